"""Publish and read in one process: what a record costs on its way through a ring, without any waiting.

Topology: one thread, 1,024 slots of 64 bytes, Cython nogil. Measure: ns per record. Floor: the same loop in C over
ring.h. A regression means that the Cython classes got between the protocol and the memory, or the protocol grew.
"""

import pairs
import pytest
from compiled import floor, loops
from timing import per_operation_ns

from phx._core import records
from phx._core.ring import RingReader, RingWriter

COUNT = 200_000


@pytest.fixture(scope="module")
def hop():
    library = floor("hop")
    library.publish_read.argtypes = [pairs.ctypes.c_void_p] + [pairs.ctypes.c_uint64] * 3
    return library


def bench_ring_publish_read_1p(side_by_side, hop):
    module = loops("ring_loops")

    def ours():
        memory = pairs.ring_memory()
        writer, reader = RingWriter(memory, records.BBO), RingReader(memory, records.BBO)
        return per_operation_ns(lambda: module.publish_read(writer, reader, COUNT), COUNT)

    def in_c():
        memory = pairs.ring_memory()
        place = pairs.address(memory)
        return per_operation_ns(lambda: hop.publish_read(place, pairs.SLOTS, 8, COUNT), COUNT)

    def from_python():
        memory = pairs.ring_memory()
        writer, reader = RingWriter(memory, records.BBO), RingReader(memory, records.BBO)
        record = pairs.np.zeros(1, records.BBO)

        def run():
            for _ in range(2000):
                writer.write(record)
                reader.read_record()

        return per_operation_ns(run, 2000)

    side_by_side(ours, {"the same in C": in_c, "called from Python": from_python})


def bench_ring_publish_1p_with_a_stopped_reader(side_by_side):
    """A reader that stopped must not slow its writer: it is lapped, nobody waits. Expect 1.0."""
    module = loops("ring_loops")

    def publishing(with_reader: bool):
        def run():
            memory = pairs.ring_memory()
            writer = RingWriter(memory, records.BBO)
            readers = [RingReader(memory, records.BBO) for _ in range(3 * with_reader)]
            for reader in readers:
                reader.read_record()
            return per_operation_ns(lambda: module.publish(writer, COUNT), COUNT)

        return run

    side_by_side(publishing(True), {"without readers": publishing(False)})
