/* The ring: one writer, any number of readers, no lock; in shared memory or in a process.
 *
 * A slot begins with its sequence number. The writer stores 0 ("being written"), then the payload, then the new
 * number; a reader copies the payload between two loads of the number and believes it only if both are equal.
 * The payload moves as relaxed atomic 8-byte words, so a copy that races is stale or refused, never undefined.
 * Readers are lossy by design: the writer never waits, a reader that was overtaken is told exactly how many
 * records it lost. (Method: seqlock per slot; H.-J. Boehm, "Can seqlocks get along with programming language
 * memory models?", MSPC 2012.)
 *
 * A writer continues nobody's ring: after a crash the numbers could repeat, so it makes a new segment.
 *
 * PHX_RING_STORE() marks every store of the protocol; tests define it to die there. PHX_RING_MUTANT_* builds the
 * broken twins that the stress tests must catch first.
 */
#ifndef PHX_RING_H
#define PHX_RING_H

#include <stdint.h>

#ifndef PHX_RING_STORE
#define PHX_RING_STORE() ((void)0)
#endif

enum { RING_EMPTY = 0, RING_OK = 1, RING_LAPPED = 2, RING_BUSY = 3 };
enum { RING_RETRIES = 64 };

typedef struct {
    unsigned char *slots;      /* first record, 64-byte aligned */
    uint64_t *cursor;          /* newest published sequence number, in the header */
    uint64_t words;            /* record size in 8-byte words */
    uint64_t mask;             /* capacity - 1 */
} phx_ring;

static inline uint64_t phx_load_acquire(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint64_t phx_load_relaxed(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void phx_store_relaxed(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline void phx_store_release(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

static inline uint64_t *phx_ring_slot(const phx_ring *ring, uint64_t seq) {
    return (uint64_t *)(ring->slots + (seq & ring->mask) * ring->words * 8);
}

/* Publish a record; its first word is ignored and becomes the sequence number, which is returned. */
static inline uint64_t phx_ring_publish(phx_ring *ring, uint64_t seq, const uint64_t *record) {
    uint64_t *slot = phx_ring_slot(ring, seq);
    /* Invalidate the slot before touching its payload, so that a reader still on the old record sees the change
     * when it re-checks the number. Pairs with the acquire fence in phx_ring_read. */
#ifndef PHX_RING_MUTANT_NO_INVALIDATE
    PHX_RING_STORE();
    phx_store_relaxed(slot, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
    for (uint64_t i = 1; i < ring->words; i++) {
        PHX_RING_STORE();
        phx_store_relaxed(slot + i, record[i]);
    }
    /* Everything above is visible before the number is. Pairs with the first load in phx_ring_read. */
    PHX_RING_STORE();
    phx_store_release(slot, seq);
    PHX_RING_STORE();
    phx_store_release(ring->cursor, seq);
    return seq;
}

/* Copy record `seq` to out. RING_EMPTY: not published yet, or being written. RING_LAPPED: overwritten. */
static inline int phx_ring_read(const phx_ring *ring, uint64_t seq, uint64_t *out) {
    const uint64_t *slot = phx_ring_slot(ring, seq);
    uint64_t before = phx_load_acquire(slot);
    if (before == 0 && phx_load_acquire(phx_ring_slot(ring, seq + 1)) > seq) {
        /* Zero, yet its successor is there: it came between the two loads, or the slot is being rewritten, perhaps by
         * a writer that died there. A second look tells which. (The cursor would tell too, but a reader that polls it
         * takes its line from the writer each time.) */
        before = phx_load_acquire(slot);
        if (before == 0)
            return RING_LAPPED;
    }
    if (before < seq)
        return RING_EMPTY;
    if (before > seq)
        return RING_LAPPED;
    for (uint64_t i = 1; i < ring->words; i++)
        out[i] = phx_load_relaxed(slot + i);
    out[0] = before;
    /* The payload is read before the number is read again. Pairs with the release fence in phx_ring_publish. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t after = phx_load_relaxed(slot);
#if defined(PHX_RING_MUTANT_NO_RECHECK)
    after = before;
#elif defined(PHX_RING_MUTANT_EVENNESS)
    after = after ? before : 0; /* "not being written now" is not "not rewritten meanwhile" */
#endif
    return after == before ? RING_OK : RING_LAPPED;
}

/* Copy the newest record to out, `least` or younger: a number its reader has seen already, 0 for none.
 * RING_EMPTY: nothing published. RING_BUSY: the writer overtook RING_RETRIES attempts. */
static inline int phx_ring_newest(const phx_ring *ring, uint64_t least, uint64_t *out) {
    for (int i = 0; i < RING_RETRIES; i++) {
        uint64_t seq = phx_load_acquire(ring->cursor);
        if (seq < least)
            seq = least; /* read by number just before the cursor was stored: do not go back */
        if (seq == 0)
            return RING_EMPTY;
        if (phx_ring_read(ring, seq, out) == RING_OK)
            return RING_OK;
    }
    return RING_BUSY;
}

#endif
