"""What was meant and what was laid out: every record as STYLE asks for it."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from phx._core import records

DECLARED = Path(records.__file__).with_name("records.pxd").read_text()
ALL = {**records.RING_RECORDS, **{f"counters {name}": block for name, block in records.COUNTER_BLOCKS.items()}}
UNITS = ("_ns", "_s", "_ticks", "_lots", "_ticklots", "_e8", "_e6", "_id", "_bytes", "_version")
WITHOUT_UNIT = {"take_side", "raised_limits_by"}  # signed 64-bit integers that are no quantity


@pytest.mark.parametrize("name", ALL)
def test_a_record_is_a_whole_number_of_cache_lines(name):
    assert ALL[name].itemsize % 64 == 0


@pytest.mark.parametrize("name", records.RING_RECORDS)
def test_a_ring_record_begins_with_its_sequence_number(name):
    dtype = records.RING_RECORDS[name]
    assert dtype.names[0] == "seq"
    assert dtype.fields["seq"] == (np.dtype("u8"), 0)


@pytest.mark.parametrize("name", [*ALL, "header"])
def test_a_record_has_no_implicit_padding(name):
    dtype = ALL.get(name, records.SEGMENT_HEADER)
    end = 0
    for field in dtype.names:
        assert dtype.fields[field][1] == end, f"{name}: a hole before {field}"
        end += dtype.fields[field][0].itemsize
    assert end == dtype.itemsize, f"{name}: a hole at the end"


@pytest.mark.parametrize("name", records.RING_RECORDS)
def test_times_prices_and_quantities_end_in_their_unit(name):
    """A signed 64-bit integer is a time, a price, a quantity, money or a venue's id: its name says which."""
    dtype = records.RING_RECORDS[name]
    for field in dtype.names:
        base = dtype.fields[field][0].base
        words = field.split("_")
        for word, unit in (("price", "ticks"), ("qty", "lots"), ("fee", "e8"), ("mono", "ns"), ("recv", "ns")):
            if word in words and base.kind in "iu":
                assert words[-1] == unit, f"{name}.{field}: expected a name that ends in _{unit}"
        if base.kind == "i" and base.itemsize == 8:
            assert field.endswith(UNITS) or field.startswith("reserved") or field in WITHOUT_UNIT, f"{name}.{field}"


def test_a_monotonic_time_is_never_called_a_timestamp():
    for name, dtype in ALL.items():
        for field in dtype.names:
            assert not (field.startswith("ts_") and "mono" in field), f"{name}.{field}"
            assert not field.startswith("ts_") or field.endswith("_ns"), f"{name}.{field}"


def test_reserved_fields_are_zero_in_a_new_record():
    for dtype in ALL.values():
        record = np.zeros(1, dtype)
        for field in dtype.names:
            if field.startswith("reserved"):
                assert not record[field].any()


def test_reserved_fields_say_that_they_are_zero_or_why_they_are_there():
    for line in DECLARED.splitlines():
        if re.search(r"\breserved\d", line) and "FeedCounters" not in line and "#" in line:
            assert "zero" in line, line


def test_every_field_has_a_name_that_occurs_in_the_one_declaration():
    for name, dtype in ALL.items():
        for field in dtype.names:
            assert re.search(rf"\b{field}\b", DECLARED), f"{name}.{field}"


def test_the_layout_hash_differs_when_anything_of_the_layout_does():
    base = [("seq", "<u8"), ("price_ticks", "<i8"), ("qty_lots", "<i8", (4,)), ("flags", "u1"), ("reserved0", "u1", 15)]

    def explicit(fields, itemsize=64, shift=0):
        names, formats, offsets, end = [], [], [], 0
        for field_name, kind, *shape in fields:
            names.append(field_name)
            formats.append(np.dtype((kind, *shape)) if shape else np.dtype(kind))
            offsets.append(end + (shift if field_name == "reserved0" else 0))
            end += formats[-1].itemsize
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize})

    renamed = [("seq", "<u8"), ("price_lots", "<i8"), *base[2:]]
    retyped = [("seq", "<u8"), ("price_ticks", "<u8"), *base[2:]]
    reshaped = [*base[:2], ("qty_lots", "<i8", (2, 2)), *base[3:]]
    reordered = [base[0], base[2], base[1], *base[3:]]
    layouts = {
        "as it is": explicit(base),
        "renamed": explicit(renamed),
        "another type": explicit(retyped),
        "another shape": explicit(reshaped),
        "another order": explicit(reordered),
        "another size": explicit(base, itemsize=128),
        "another offset": explicit(base, itemsize=128, shift=1),
        "big endian": explicit([("seq", ">u8"), *base[1:]]),
    }
    hashes = {what: records.layout_hash(dtype) for what, dtype in layouts.items()}
    for (one, first), (other, second) in itertools.combinations(hashes.items(), 2):
        assert first != second, f"{one} and {other} have the same hash"
    assert records.layout_hash(explicit(base)) == hashes["as it is"]


def test_the_layout_hashes_of_all_records_differ():
    hashes = [records.layout_hash(dtype) for dtype in ALL.values()]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_is_fnv1a():
    """Known answers of the 64-bit FNV-1a reference (draft-eastlake-fnv)."""
    assert records.fnv1a(b"") == 0xCBF29CE484222325
    assert records.fnv1a(b"a") == 0xAF63DC4C8601EC8C
    assert records.fnv1a(b"foobar") == 0x85944171F73967E8


def test_the_header_keeps_the_cursor_on_a_cache_line_of_its_own():
    dtype = records.SEGMENT_HEADER
    assert dtype.itemsize == records.HEADER_BYTES
    line = dtype.fields["cursor"][1] // 64
    others = [f for f in dtype.names if f != "cursor" and not f.startswith("reserved")]
    assert all(dtype.fields[f][1] // 64 != line for f in others)
    assert dtype.names[-1] == "state"
