"""Doorbells: a parked process is woken by futex, or by a byte in its named pipe when it runs an asyncio loop.

Order matters on both sides. The ringer publishes, fences, then looks whether the owner is parked; the owner marks
itself parked, fences, then looks at its rings once more. So one of the two always sees the other, and the wait
has a timeout all the same.
"""

import mmap
import os
import stat

from posix.unistd cimport close

cdef extern from *:
    """
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #include <stdint.h>
    #include <limits.h>
    static inline void phx_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static inline void phx_add(uint32_t *p) { __atomic_fetch_add(p, 1, __ATOMIC_RELEASE); }
    static inline uint32_t phx_get(uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void phx_set(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline int phx_swap(uint32_t *p, uint32_t v) { return (int)__atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
    static inline void phx_futex_wake(uint32_t *p) { syscall(SYS_futex, p, FUTEX_WAKE, INT_MAX, 0, 0, 0); }
    static inline void phx_futex_wait(uint32_t *p, uint32_t seen, int64_t timeout_ns) {
        struct timespec t = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
        syscall(SYS_futex, p, FUTEX_WAIT, seen, &t, 0, 0);
    }
    static inline void phx_poke(int fd) { if (write(fd, "!", 1) < 0) { /* full: the owner is awake already */ } }
    """
    void phx_fence() noexcept nogil
    void phx_add(uint32_t *) noexcept nogil
    uint32_t phx_get(uint32_t *) noexcept nogil
    void phx_set(uint32_t *, uint32_t) noexcept nogil
    int phx_swap(uint32_t *, uint32_t) noexcept nogil
    void phx_futex_wake(uint32_t *) noexcept nogil
    void phx_futex_wait(uint32_t *, uint32_t, int64_t) noexcept nogil
    void phx_poke(int) noexcept nogil


def open_files(path):
    """Make sure `path` (the word) and `path`.fifo exist; return (mapping, fifo descriptor).

    Neither file is ever replaced while the instance's folder lives, so either side may come first.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        refuse_unless_ours(path, os.fstat(fd), stat.S_ISREG)
        os.posix_fallocate(fd, 0, mmap.PAGESIZE)
        memory = mmap.mmap(fd, mmap.PAGESIZE)
    finally:
        os.close(fd)
    try:
        os.mkfifo(f"{path}.fifo", 0o600)
    except FileExistsError:
        pass
    # Read-write, so that neither end ever sees the other missing; non-blocking, so that a full pipe costs nothing.
    fifo = os.open(f"{path}.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        refuse_unless_ours(f"{path}.fifo", os.fstat(fifo), stat.S_ISFIFO)
    except ValueError:
        os.close(fifo)
        raise
    return memory, fifo


def refuse_unless_ours(path, status, is_kind):
    """Raise ValueError unless the file is of the wanted kind, of this user, and closed to everybody else."""
    if not is_kind(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ValueError(f"{path}: mode {status.st_mode:o}, uid {status.st_uid}; no bell of uid {os.geteuid()}")


cdef class Ringer:
    """Rings the bell of another process. pipe: the owner runs an asyncio loop and sleeps on its named pipe."""

    def __cinit__(self):
        self.fifo = -1

    def __init__(self, path, bint pipe):
        self.memory, fifo = open_files(path)
        cdef unsigned char[::1] view = self.memory
        self.word = <BellWord *>&view[0]
        if pipe:
            self.fifo = fifo
        else:
            os.close(fifo)

    cdef void ring(self) noexcept nogil:
        phx_add(&self.word.rings)
        phx_fence()
        if phx_get(&self.word.parked) and phx_swap(&self.word.parked, 0):
            if self.fifo >= 0:
                phx_poke(self.fifo)
            else:
                phx_futex_wake(&self.word.rings)

    def ring_now(self):
        """Ring from Python."""
        self.ring()

    def __dealloc__(self):
        if self.fifo >= 0:
            close(self.fifo)


cdef class Bell:
    """A process's own bell. `fifo` is the descriptor an asyncio loop adds as a reader."""

    def __cinit__(self):
        self.fifo = -1

    def __init__(self, path):
        self.memory, self.fifo = open_files(path)
        cdef unsigned char[::1] view = self.memory
        self.word = <BellWord *>&view[0]

    cdef uint32_t park(self) noexcept nogil:
        cdef uint32_t seen = phx_get(&self.word.rings)
        phx_set(&self.word.parked, 1)
        phx_fence()
        return seen

    cdef void unpark(self) noexcept nogil:
        phx_set(&self.word.parked, 0)

    cdef void wait(self, uint32_t seen, int64_t timeout_ns) noexcept nogil:
        phx_futex_wait(&self.word.rings, seen, timeout_ns)

    def park_now(self):
        """Mark the owner parked; the caller re-checks its rings, then waits. Returns what wait_now() needs."""
        return self.park()

    def unpark_now(self):
        """Mark the owner awake."""
        self.unpark()

    def wait_now(self, uint32_t seen, int64_t timeout_ns):
        """Sleep until the bell is rung, at most timeout_ns."""
        with nogil:
            self.wait(seen, timeout_ns)

    def drain(self):
        """Empty the named pipe after the loop reported it readable."""
        try:
            while len(os.read(self.fifo, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def __dealloc__(self):
        if self.fifo >= 0:
            close(self.fifo)
