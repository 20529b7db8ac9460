"""The ring against a small model, its bounds against hostile headers, and a death at every store of a publish."""

import ctypes
import mmap
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core import records
from phx._core.ring import EMPTY, LAPPED, OK, RingReader, RingWriter
from phx.segment import Segment

CORE = Path(__file__).resolve().parents[1] / "phx" / "_core"
STORES_PER_PUBLISH = 1 + records.BBO.itemsize // 8 + 1  # zero, seven payload words, number, cursor


def ring_memory(slots: int, dtype=records.BBO) -> mmap.mmap:
    """Return anonymous memory with the header of an empty ring."""
    memory = mmap.mmap(-1, records.HEADER_BYTES + slots * dtype.itemsize)
    header = np.ndarray(1, records.SEGMENT_HEADER, buffer=memory)
    header["record_bytes"], header["capacity"] = dtype.itemsize, slots
    return memory


def header_of(memory):
    return np.ndarray(1, records.SEGMENT_HEADER, buffer=memory)


def slots_of(memory, slots: int):
    return np.ndarray(slots, records.BBO, buffer=memory, offset=records.HEADER_BYTES)


def bbo(update_id: int):
    record = np.zeros(1, records.BBO)
    record["update_id"] = update_id
    record["bid_price_ticks"] = update_id * 3
    record["ask_qty_lots"] = update_id % 1000
    return record


def test_what_is_written_is_read_back_in_order():
    memory = ring_memory(8)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    assert [writer.write(bbo(n)) for n in (10, 11, 12)] == [1, 2, 3]
    for seq, update_id in ((1, 10), (2, 11), (3, 12)):
        code, record = reader.read_record()
        assert (code, record["seq"], record["update_id"]) == (OK, seq, update_id)
    assert reader.read_record() == (EMPTY, None)
    assert reader.lost == 0


def test_a_reader_begins_with_the_next_record_unless_it_asks_for_all():
    memory = ring_memory(8)
    writer = RingWriter(memory, records.BBO)
    writer.write(bbo(1))
    reader = RingReader(memory, records.BBO)
    assert reader.read_record() == (EMPTY, None)
    reader.attach(memory, records.BBO, True)
    assert reader.read_record()[1]["update_id"] == 1


def test_newest_skips_and_then_reading_goes_on_behind_it():
    memory = ring_memory(8)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    assert reader.read_newest() is None
    for n in range(1, 6):
        writer.write(bbo(n))
    assert reader.read_newest()["update_id"] == 5
    assert reader.read_newest()["update_id"] == 5
    assert reader.read_record() == (EMPTY, None)
    writer.write(bbo(6))
    assert reader.read_record()[1]["update_id"] == 6


@settings(deadline=None, max_examples=200)
@given(
    slots=st.sampled_from([2, 4, 8, 64]),
    steps=st.lists(st.one_of(st.integers(1, 150), st.just("read"), st.just("newest"), st.just("attach")), max_size=60),
)
def test_any_walk_agrees_with_a_list_of_records(slots, steps):
    memory = ring_memory(slots)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    published, wanted, lost = 0, 1, 0
    for step in steps:
        if step == "read":
            code, record = reader.read_record()
            if wanted > published:
                assert code == EMPTY
            elif published - wanted >= slots:  # its slot holds a younger one
                assert code == LAPPED
                jump = max(published - (slots - 1) // 2, wanted + 1)
                lost, wanted = lost + jump - wanted, jump
            else:
                assert (code, record["seq"], record["update_id"]) == (OK, wanted, wanted * 7)
                wanted += 1
        elif step == "newest":
            record = reader.read_newest()
            assert (record is None) == (published == 0)
            if published:
                assert (record["seq"], record["update_id"]) == (published, published * 7)
                wanted = published + 1
        elif step == "attach":
            reader.attach(memory, records.BBO)
            wanted = published + 1
        else:
            for _ in range(step):
                published += 1
                writer.write(bbo(published * 7))
        assert (reader.next_seq, reader.lost) == (wanted, lost)


@given(bursts=st.lists(st.integers(0, 40), min_size=1, max_size=40))
@settings(deadline=None, max_examples=100)
def test_delivered_and_lost_add_up_to_what_was_published(bursts):
    memory = ring_memory(8)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    delivered = []
    for burst in bursts:
        for _ in range(burst):
            writer.write(bbo(1))
        while (answer := reader.read_record())[0] != EMPTY:
            if answer[0] == OK:
                delivered.append(int(answer[1]["seq"]))
    assert len(delivered) + reader.lost == writer.published
    assert delivered == sorted(set(delivered))


def test_a_reader_whose_slot_is_being_rewritten_is_told_that_it_was_lapped():
    """The writer died at the first store of record 5, in the slot of record 1: records 2 to 4 must still come."""
    memory = ring_memory(4)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    for n in range(1, 5):
        writer.write(bbo(n))
    slots_of(memory, 4)["seq"][1] = 0
    assert reader.read_record()[0] == LAPPED
    left = []
    while (answer := reader.read_record())[0] == OK:
        left.append(int(answer[1]["seq"]))
    assert left == [3, 4]
    assert reader.lost == 2
    assert reader.read_record() == (EMPTY, None)


def test_a_zero_slot_that_was_never_published_is_empty_not_lapped():
    memory = ring_memory(4)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    for n in range(1, 5):
        writer.write(bbo(n))
        assert reader.read_record()[0] == OK
    slots_of(memory, 4)["seq"][1] = 0  # the writer is at record 5
    assert reader.read_record() == (EMPTY, None)
    assert reader.lost == 0


def test_a_record_published_but_not_yet_in_the_cursor_is_not_read_twice():
    """The writer stores the slot's number before the cursor; a reader in between must not go back afterwards."""
    memory = ring_memory(4)
    reader, writer = RingReader(memory, records.BBO), RingWriter(memory, records.BBO)
    writer.write(bbo(1))
    writer.write(bbo(2))
    header_of(memory)["cursor"] = 1
    assert [reader.read_record()[1]["update_id"] for _ in range(2)] == [1, 2]
    assert reader.read_newest()["update_id"] == 2
    assert reader.next_seq == 3
    header_of(memory)["cursor"] = 2
    assert reader.read_record() == (EMPTY, None)


def test_a_newest_that_can_never_be_read_ends_as_busy_within_bounded_attempts():
    memory = ring_memory(4)
    reader = RingReader(memory, records.BBO)
    header_of(memory)["cursor"] = 3  # a cursor whose slot was never written
    assert reader.read_newest() is None  # BUSY, after RING_RETRIES


def test_a_new_generation_is_read_from_its_own_beginning():
    old, new = ring_memory(8), ring_memory(8)
    writer = RingWriter(old, records.BBO)
    reader = RingReader(old, records.BBO)
    for n in range(5):
        writer.write(bbo(n))
    reader.read_record()
    reader.attach(new, records.BBO)
    assert reader.read_record() == (EMPTY, None)
    RingWriter(new, records.BBO).write(bbo(77))
    assert reader.read_record()[1]["update_id"] == 77


def test_a_writer_refuses_to_continue_a_ring():
    memory = ring_memory(8)
    RingWriter(memory, records.BBO).write(bbo(1))
    with pytest.raises(ValueError, match="a writer starts with a new segment"):
        RingWriter(memory, records.BBO)


def test_a_writer_refuses_read_only_memory():
    with pytest.raises((ValueError, BufferError, TypeError)):
        RingWriter(memoryview(bytes(ring_memory(8))), records.BBO)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record_bytes", 0),
        ("record_bytes", 128),
        ("record_bytes", 2**64 - 1),
        ("capacity", 0),
        ("capacity", 1),
        ("capacity", 3),
        ("capacity", 16),
        ("capacity", 2**40),
        ("capacity", 2**63),
        ("capacity", 2**58),  # times 64 bytes it wraps to zero
        ("cursor", 2**64 - 1),
        ("cursor", 2**62),
    ],
)
def test_a_header_that_does_not_fit_the_memory_is_refused(field, value):
    memory = ring_memory(8)
    header_of(memory)[field] = value
    with pytest.raises(ValueError, match="ring: "):
        RingReader(memory, records.BBO)


def test_memory_without_room_for_a_header_is_refused():
    with pytest.raises(ValueError, match="a header has"):
        RingReader(bytearray(64), records.BBO)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_random_header_and_slot_bytes_are_refused_or_read_within_bounds(data):
    """Ordered and newest reads over damaged memory return; the records handed out are copies of slots, no more."""
    memory = ring_memory(4)
    writer = RingWriter(memory, records.BBO)
    for n in range(6):
        writer.write(bbo(n))
    raw = np.frombuffer(memory, np.uint8)
    if data.draw(st.booleans()):
        reader = RingReader(memory, records.BBO)  # attached before the damage
    else:
        reader = None
    places = data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), min_size=1, max_size=40))
    for place, value in places:
        raw[place] = value
    if reader is None:
        try:
            reader = RingReader(memory, records.BBO)
        except ValueError:
            return
    for _ in range(20):
        assert reader.read_record()[0] in (EMPTY, OK, LAPPED)
        reader.read_newest()


@pytest.fixture(scope="module")
def dying_publish(tmp_path_factory):
    """Compile phx_ring_publish with a SIGKILL in front of its k-th store; return (publish, countdown)."""
    folder = tmp_path_factory.mktemp("dying")
    source = folder / "dying.c"
    source.write_text(
        "#include <signal.h>\n#include <stdint.h>\n"
        "int64_t stores_to_live;\n"
        "#define PHX_RING_STORE() do { if (stores_to_live-- == 0) raise(SIGKILL); } while (0)\n"
        '#include "ring.h"\n'
        "void publish(char *segment, uint64_t slots, uint64_t words, uint64_t seq, const uint64_t *record) {\n"
        "    phx_ring ring = {(unsigned char *)segment + 256, (uint64_t *)(segment + 128), words, slots - 1};\n"
        "    phx_ring_publish(&ring, seq, record);\n"
        "}\n"
    )
    library = folder / "dying.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{CORE}", str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.publish.argtypes = [ctypes.c_void_p, *[ctypes.c_uint64] * 3, ctypes.c_void_p]
    return loaded.publish, ctypes.c_int64.in_dll(loaded, "stores_to_live")


def test_the_cursor_is_where_the_dying_writer_expects_it():
    assert records.SEGMENT_HEADER.fields["cursor"][1] == 128
    assert records.HEADER_BYTES == 256


def test_a_writer_killed_at_any_store_leaves_a_readable_ring_and_the_next_one_a_new_generation(tmp_path, dying_publish):
    """Every store of seven publishes into four slots, so before, at and after the wrap; one process dies for each."""
    publish, stores_to_live = dying_publish
    slots, publishes = 4, 7
    for k in range(publishes * STORES_PER_PUBLISH + 1):
        reader_waits = Segment.create(tmp_path, "bbo.X", records.BBO, slots)  # so that there is one to attach to
        generation = reader_waits.generation + 1
        child = os.fork()
        if child == 0:
            segment = Segment.create(tmp_path, "bbo.X", records.BBO, slots)
            address = ctypes.addressof(ctypes.c_char.from_buffer(segment.memory))
            stores_to_live.value = k
            for seq in range(1, publishes + 1):
                publish(address, slots, records.BBO.itemsize // 8, seq, bbo(seq * 7).ctypes.data)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        finished = k == publishes * STORES_PER_PUBLISH
        assert (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL) != finished

        segment = Segment.attach(tmp_path, "bbo.X", records.BBO)
        assert segment.generation == generation
        reader = RingReader(segment.memory, records.BBO)
        reader.attach(segment.memory, records.BBO, True)
        seen = []
        for _ in range(publishes + 3):  # bounded: a dead writer keeps nobody waiting
            code, record = reader.read_record()
            if code == OK:
                assert record["update_id"] == record["seq"] * 7 and record["bid_price_ticks"] == record["seq"] * 21
                seen.append(int(record["seq"]))
        assert code == EMPTY
        assert len(seen) + reader.lost == reader.next_seq - 1
        numbered = k // STORES_PER_PUBLISH + (k % STORES_PER_PUBLISH == STORES_PER_PUBLISH - 1)
        assert reader.next_seq == numbered + 1, f"killed before store {k}"
        assert seen[-1:] == ([numbered] if numbered else [])

        restarted = Segment.create(tmp_path, "bbo.X", records.BBO, slots)
        assert segment.replaced()
        fresh = Segment.attach(tmp_path, "bbo.X", records.BBO)
        assert fresh.generation == generation + 1
        reader.attach(fresh.memory, records.BBO)
        RingWriter(restarted.memory, records.BBO).write(bbo(k))
        assert reader.read_record()[1]["update_id"] == k
