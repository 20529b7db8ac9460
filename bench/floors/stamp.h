/* A cheap time stamp and a polite wait, the same for floors and subjects. */
#ifndef PHX_STAMP_H
#define PHX_STAMP_H

#include <sched.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t stamp_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The CPU's own counter where there is one: 10 ns instead of 25 for the clock. */
static inline uint64_t stamp(void) {
#if defined(__x86_64__)
    uint32_t aux;
    return __builtin_ia32_rdtscp(&aux);
#else
    return stamp_clock_ns();
#endif
}

static inline double stamp_ns(void) {
#if defined(__x86_64__)
    uint64_t ns = stamp_clock_ns(), ticks = stamp();
    while (stamp_clock_ns() - ns < 20000000)
        ;
    return (double)(stamp_clock_ns() - ns) / (double)(stamp() - ticks);
#else
    return 1.0;
#endif
}

/* While waiting for another process: give the core away, or only the pipeline. */
static inline void stamp_wait(int gives_core_away) {
    if (gives_core_away)
        sched_yield();
#if defined(__x86_64__)
    else
        __builtin_ia32_pause();
#endif
}

#endif
