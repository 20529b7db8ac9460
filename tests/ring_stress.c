/* One process publishes without pause, another reads: how many accepted records are torn?
 *
 * ring_stress MODE SLOTS WORDS ACCEPTED SECONDS UNTIL_TORN
 *   MODE        newest: the newest again and again; order: every record in order, as RingReader.read does
 *   ACCEPTED    end after so many records were accepted ...
 *   SECONDS     ... or after so much time
 *   UNTIL_TORN  1: end at the first torn record (for the broken twins)
 * prints: accepted refused torn lost_wrong published seconds
 *
 * Compiled from ring.h itself; -DPHX_RING_MUTANT_... makes the twins.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

enum { MOST_WORDS = 1024 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Word i of record seq: no two records share a word, so one foreign word is seen. */
static uint64_t word_of(uint64_t seq, uint64_t i) { return seq * 0x9E3779B97F4A7C15u + i; }

static void write_for_ever(phx_ring *ring) {
    uint64_t record[MOST_WORDS];
    for (uint64_t seq = 1;; seq++) {
        for (uint64_t i = 1; i < ring->words; i++)
            record[i] = word_of(seq, i);
        phx_ring_publish(ring, seq, record);
    }
}

static int is_torn(const uint64_t *record, uint64_t words) {
    for (uint64_t i = 1; i < words; i++)
        if (record[i] != word_of(record[0], i))
            return 1;
    return 0;
}

int main(int count, char **arguments) {
    if (count != 7)
        return 2;
    int in_order = !strcmp(arguments[1], "order");
    uint64_t slots = strtoull(arguments[2], 0, 10), words = strtoull(arguments[3], 0, 10);
    uint64_t wanted = strtoull(arguments[4], 0, 10);
    double seconds = atof(arguments[5]);
    int until_torn = atoi(arguments[6]);
    unsigned char *memory =
        mmap(0, 128 + slots * words * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || words > MOST_WORDS || slots & (slots - 1))
        return 2;
    phx_ring ring = {memory + 128, (uint64_t *)memory, words, slots - 1};
    pid_t reader = getpid(), writer = fork();
    if (writer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == reader)
            write_for_ever(&ring);
        return 0;
    }
    uint64_t record[MOST_WORDS], accepted = 0, refused = 0, torn = 0, lost = 0, lost_wrong = 0, next = 1, turn = 0;
    double begin = now_s();
    while (accepted < wanted && !(until_torn && torn)) {
        if ((++turn & 0xffff) == 0 && now_s() - begin > seconds)
            break;
        if (in_order) {
            int result = phx_ring_read(&ring, next, record);
            if (result == RING_LAPPED) {
                uint64_t newest = phx_load_acquire(ring.cursor), behind = ring.mask >> 1;
                uint64_t seq = newest > next + behind ? newest - behind : next + 1;
                lost += seq - next;
                next = seq;
            }
            refused += result != RING_OK;
            if (result != RING_OK)
                continue;
            lost_wrong += record[0] != next || accepted + lost + 1 != next;
            next++;
        } else if (phx_ring_newest(&ring, next - 1, record) == RING_OK) {
            lost_wrong += record[0] + 1 < next; /* went back */
            next = record[0] + 1;
        } else {
            refused++;
            continue;
        }
        accepted++;
        torn += is_torn(record, words);
    }
    double took = now_s() - begin;
    kill(writer, SIGKILL);
    waitpid(writer, 0, 0);
    printf("%llu %llu %llu %llu %llu %.3f\n", (unsigned long long)accepted, (unsigned long long)refused,
           (unsigned long long)torn, (unsigned long long)lost_wrong, (unsigned long long)*ring.cursor, took);
    return 0;
}
