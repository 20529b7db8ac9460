"""A record to another process and back: the price of having stages in processes of their own.

Topology: two processes over two rings of 1,024 slots of 64 bytes; spinning on two CPUs, or yielding on one. Measure:
median round trip. Floors: two bare cache lines, and the ring in C. Rivals: multiprocessing.Queue and struct over shared
memory in pure Python. A regression means one more cache line travels per hop. On a shared host only the ratios of
one run count; with fewer than two CPUs the spinning ones are skipped.
"""

import ctypes
import mmap
import multiprocessing
import struct
import time

import pairs
import pytest
from compiled import floor, loops

from phx._core import records
from phx._core.ring import RingReader, RingWriter

ROUNDS = 20_000
PYTHON_ROUNDS = 2_000


@pytest.fixture(scope="module")
def hop():
    library = floor("hop")
    pointer, number, flag = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int
    library.hop_stamp_ns.restype = ctypes.c_double
    library.line_ping.argtypes = [pointer, number, flag, pointer]
    library.line_pong.argtypes = [pointer, number, flag]
    library.ring_ping.argtypes = [pointer, pointer, number, number, flag, pointer]
    library.ring_pong.argtypes = [pointer, pointer, number, number, flag]
    library.ns_per_tick = library.hop_stamp_ns()
    return library


def bare_lines(hop, cpus, yields):
    def run():
        memory = mmap.mmap(-1, 4096)
        place = pairs.address(memory)
        return pairs.round_trip_ns(
            lambda samples: hop.line_ping(place, ROUNDS, yields, samples.ctypes.data),
            lambda: hop.line_pong(place, ROUNDS, yields),
            ROUNDS,
            cpus,
            hop.ns_per_tick,
        )

    return run


def ring_in_c(hop, cpus, yields):
    def run():
        there, back = pairs.ring_memory(), pairs.ring_memory()
        one, other = pairs.address(there), pairs.address(back)
        return pairs.round_trip_ns(
            lambda samples: hop.ring_ping(one, other, pairs.SLOTS, ROUNDS, yields, samples.ctypes.data),
            lambda: hop.ring_pong(one, other, pairs.SLOTS, ROUNDS, yields),
            ROUNDS,
            cpus,
            hop.ns_per_tick,
        )

    return run


def our_ring(hop, cpus, yields):
    module = loops("ring_loops")

    def run():
        there, back = pairs.ring_memory(), pairs.ring_memory()
        to_child, from_child = RingWriter(there, records.BBO), RingReader(back, records.BBO)
        from_parent, to_parent = RingReader(there, records.BBO), RingWriter(back, records.BBO)
        return pairs.round_trip_ns(
            lambda samples: module.ping(to_child, from_child, ROUNDS, yields, samples),
            lambda: module.pong(to_parent, from_parent, ROUNDS, yields),
            ROUNDS,
            cpus,
            hop.ns_per_tick,
        )

    return run


def queue(cpus):
    def run():
        there, back = multiprocessing.Queue(), multiprocessing.Queue()

        def ping(samples):
            for i in range(PYTHON_ROUNDS):
                begin = time.perf_counter_ns()
                there.put(i)
                back.get()
                samples[i] = time.perf_counter_ns() - begin

        def pong():
            for _ in range(PYTHON_ROUNDS):
                back.put(there.get())
            back.close()
            back.join_thread()  # its feeder thread still holds the last answer

        return pairs.round_trip_ns(ping, pong, PYTHON_ROUNDS, cpus)

    return run


def struct_in_shared_memory(cpus):
    def run():
        memory, word = mmap.mmap(-1, 4096), struct.Struct("q")

        def ping(samples):
            for i in range(1, PYTHON_ROUNDS + 1):
                begin = time.perf_counter_ns()
                word.pack_into(memory, 0, i)
                while word.unpack_from(memory, 128)[0] != i:
                    pass
                samples[i - 1] = time.perf_counter_ns() - begin

        def pong():
            for i in range(1, PYTHON_ROUNDS + 1):
                while word.unpack_from(memory, 0)[0] != i:
                    pass
                word.pack_into(memory, 128, i)

        return pairs.round_trip_ns(ping, pong, PYTHON_ROUNDS, cpus)

    return run


def bench_ring_round_trip_2p_spinning_on_two_cpus(side_by_side, hop, cpus):
    """Aims: at most 1.2 x bare lines, 1.1 x the same in C; 8 x and 150 x faster than the two rivals."""
    if len(cpus) < 2:
        pytest.skip("two spinning processes need two CPUs")
    two = (cpus[0], cpus[1])
    others = {
        "bare cache lines": bare_lines(hop, two, 0),
        "the ring in C": ring_in_c(hop, two, 0),
        "pure Python shared memory": struct_in_shared_memory(two),
        "multiprocessing.Queue": queue(two),
    }
    side_by_side(our_ring(hop, two, 0), others)


def bench_ring_round_trip_2p_yielding_on_one_cpu(side_by_side, hop, cpus):
    """Two switches of the kernel's scheduler per round trip: the ring itself should not show. Expect 1.0."""
    one = (cpus[0], cpus[0])
    others = {"bare cache lines": bare_lines(hop, one, 1), "the ring in C": ring_in_c(hop, one, 1)}
    side_by_side(our_ring(hop, one, 1), others)
