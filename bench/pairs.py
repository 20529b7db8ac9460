"""Two processes that answer each other, pinned, over shared memory: round-trip times in ns."""

import ctypes
import mmap
import os
import signal
import statistics

import numpy as np

from phx._core import records

SLOTS = 1024
PR_SET_PDEATHSIG = 1


def ring_memory(slots: int = SLOTS, dtype=records.BBO) -> mmap.mmap:
    """Return shared anonymous memory with the header of an empty ring."""
    memory = mmap.mmap(-1, records.HEADER_BYTES + slots * dtype.itemsize)
    header = np.ndarray(1, records.SEGMENT_HEADER, buffer=memory)
    header["record_bytes"], header["capacity"] = dtype.itemsize, slots
    np.frombuffer(memory, np.uint8)[records.HEADER_BYTES :] = 0  # touch every page now
    return memory


def address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Pinned:
    """Run in a with block: this process is pinned to a CPU and gets its old set back."""

    def __init__(self, cpu: int):
        self.cpu = cpu

    def __enter__(self):
        self.before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.cpu})

    def __exit__(self, *error):
        os.sched_setaffinity(0, self.before)


def round_trip_ns(ping, pong, rounds: int, cpus: tuple[int, int], ns_per_tick: float = 1.0) -> float:
    """Return the median round trip: `pong()` in a child on cpus[1], `ping(samples)` here on cpus[0]."""
    samples = np.zeros(rounds, np.uint64)
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, {cpus[1]})
            pong()
        finally:
            os._exit(0)
    try:
        with Pinned(cpus[0]):
            ping(samples)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return statistics.median(samples[rounds // 20 :].tolist()) * ns_per_tick
