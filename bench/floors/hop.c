/* Floors of a hop between two processes: one cache line each way, and the ring in C, there and back.
 * ping runs in one process and stamps each round trip, pong in the other. */
#include "ring.h"
#include "stamp.h"

enum { LINE = 16 }; /* words between the two lines: 128 bytes, clear of the neighbour prefetch */

double hop_stamp_ns(void) { return stamp_ns(); }

void line_pong(uint64_t *memory, uint64_t rounds, int yields) {
    for (uint64_t i = 1; i <= rounds; i++) {
        while (phx_load_acquire(memory) != i)
            stamp_wait(yields);
        phx_store_release(memory + LINE, i);
    }
}

void line_ping(uint64_t *memory, uint64_t rounds, int yields, uint64_t *samples) {
    for (uint64_t i = 1; i <= rounds; i++) {
        uint64_t begin = stamp();
        phx_store_release(memory, i);
        while (phx_load_acquire(memory + LINE) != i)
            stamp_wait(yields);
        samples[i - 1] = stamp() - begin;
    }
}

static phx_ring ring_over(char *segment, uint64_t slots) {
    phx_ring ring = {(unsigned char *)segment + 256, (uint64_t *)(segment + 128), 8, slots - 1};
    return ring;
}

void ring_pong(char *there, char *back, uint64_t slots, uint64_t rounds, int yields) {
    phx_ring in = ring_over(there, slots), out = ring_over(back, slots);
    uint64_t record[8];
    for (uint64_t i = 1; i <= rounds; i++) {
        while (phx_ring_read(&in, i, record) != RING_OK)
            stamp_wait(yields);
        phx_ring_publish(&out, i, record);
    }
}

void ring_ping(char *there, char *back, uint64_t slots, uint64_t rounds, int yields, uint64_t *samples) {
    phx_ring out = ring_over(there, slots), in = ring_over(back, slots);
    uint64_t record[8] = {0};
    for (uint64_t i = 1; i <= rounds; i++) {
        uint64_t begin = stamp();
        phx_ring_publish(&out, i, record);
        while (phx_ring_read(&in, i, record) != RING_OK)
            stamp_wait(yields);
        samples[i - 1] = stamp() - begin;
    }
}

/* One process: publish and read back `count` records; returns the last word read, so that nothing is optimised away. */
uint64_t publish_read(char *segment, uint64_t slots, uint64_t words, uint64_t count) {
    phx_ring ring = {(unsigned char *)segment + 256, (uint64_t *)(segment + 128), words, slots - 1};
    uint64_t record[1024] = {0}, out[1024] = {0};
    for (uint64_t seq = 1; seq <= count; seq++) {
        record[1] = seq;
        phx_ring_publish(&ring, seq, record);
        phx_ring_read(&ring, seq, out);
    }
    return out[1];
}
