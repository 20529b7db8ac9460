"""What each field of each record means, read from the one place where it is written: records.pxd."""

import re
from functools import cache
from importlib import resources

from msgspec import Struct

STRUCT = re.compile(r"cdef struct (\w+):")
FIELD = re.compile(r"    (\w+) (\w+)(?:\[(\w+)\])?\s*(?:# (.*))?$")
CONTINUED = re.compile(r"    \s+# (.*)$")


class Field(Struct, frozen=True):
    """One line of a struct. count: how many values, by name or number, "" = one. comment: meaning, with its unit."""

    name: str
    type: str
    count: str
    comment: str


@cache
def structs() -> dict[str, list[Field]]:
    """Return every struct of records.pxd with its fields, in the order of the file."""
    text = resources.files("phx._core").joinpath("records.pxd").read_text()
    found: dict[str, list[Field]] = {}
    current: list[Field] | None = None
    for line in text.splitlines():
        if match := STRUCT.match(line):
            current = found[match[1]] = []
        elif not line.startswith("    "):
            current = None
        elif current is not None and (match := FIELD.match(line)):
            current.append(Field(match[2], match[1], match[3] or "", match[4] or ""))
        elif current and (match := CONTINUED.match(line)):
            last = current[-1]
            current[-1] = Field(last.name, last.type, last.count, f"{last.comment} {match[1]}")
    return found


# Counter blocks by the prefix of their metrics.
COUNTER_STRUCTS = {
    "feed": "FeedCounters",
    "quoter": "QuoterCounters",
    "gateway": "GatewayCounters",
    "process": "ProcessCounters",
}


def counter_fields(kind: str) -> list[Field]:
    """Return the metrics of a counter block: its numbers and histograms. Tables by mode have their own metrics."""
    fields = structs()[COUNTER_STRUCTS[kind]]
    return [f for f in fields if not f.name.startswith("reserved") and (is_histogram(f) or not f.count)]


def is_histogram(field: Field) -> bool:
    return field.count == "HISTOGRAM_BUCKETS"


def is_gauge(field: Field) -> bool:
    """Return whether a counter block's field goes up and down; its comment says so."""
    return "gauge" in field.comment


def metric_name(kind: str, field: Field) -> str:
    """Return the Prometheus name of a counter block's field."""
    if is_histogram(field):
        return f"phx_{kind}_{field.name.removesuffix('_ns')}_seconds"
    return f"phx_{kind}_{field.name}" if is_gauge(field) else f"phx_{kind}_{field.name}_total"
