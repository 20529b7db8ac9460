"""The one table of segments and processes: who writes what, who reads it, how many slots it has."""

from typing import NamedTuple

from phx._core import records

WATCHED_FROM = 32  # symbol ids: traded symbols from 0, watched ones from here, so that adding one moves no other

RECORDER = "recorder"  # whoever follows a running instance to keep or check what it did; no process of its own


class SegmentKind(NamedTuple):
    """A row of the table. per: one segment per "symbol" (traded), "instrument" (traded or watched), "process" or one.

    writer and readers are kinds of processes; `bells` are those of the readers that sleep until it is written.
    """

    name: str
    record: object
    slots: int
    per: str
    writer: str
    readers: tuple[str, ...]
    bells: tuple[str, ...] = ()


SEGMENTS = {
    kind.name: kind
    for kind in (
        SegmentKind("bbo", records.BBO, 1024, "instrument", "feed", ("quoter", "gateway", "ops"), ("quoter",)),
        SegmentKind("book", records.BOOK, 256, "instrument", "feed", ("quoter", "gateway", "ops"), ("quoter",)),
        SegmentKind(
            "tape", records.TAPE, 8192, "instrument", "feed", ("quoter", "gateway", "ops", RECORDER), ("quoter",)
        ),
        SegmentKind("ladder", records.LADDER, 64, "symbol", "quoter", ("gateway", RECORDER), ("gateway",)),
        SegmentKind("own", records.OWN, 8, "symbol", "gateway", ("quoter", "guardian", "ops"), ("quoter",)),
        SegmentKind("exec", records.EXEC, 4096, "symbol", "gateway", ("quoter", RECORDER), ("quoter",)),
        SegmentKind("params", records.PARAMS, 4, "symbol", "ops", ("quoter", "gateway"), ("quoter",)),
        SegmentKind("operator", records.OPERATOR, 4, "one", "ops", ("quoter", "gateway"), ("quoter",)),
        SegmentKind("state", records.QUOTER_STATE, 4, "symbol", "quoter", ("ops",)),
        SegmentKind("decisions", records.DECISION, 65536, "symbol", "quoter", (RECORDER,)),
        SegmentKind("account", records.ACCOUNT, 8, "one", "gateway", ("guardian", "ops")),
        SegmentKind("proof", records.PROOF, 8, "one", "guardian", ("gateway", "ops"), ("gateway",)),
        SegmentKind("journal", records.JOURNAL, 65536, "one", "gateway", ("ops",)),
        SegmentKind("counters.feed", records.FEED_COUNTERS, 1, "instrument", "feed", ("ops",)),
        SegmentKind("counters.quoter", records.QUOTER_COUNTERS, 1, "symbol", "quoter", ("ops",)),
        SegmentKind("counters.gateway", records.GATEWAY_COUNTERS, 1, "symbol", "gateway", ("ops",)),
        # One per process; its header's heartbeat is the process's own.
        SegmentKind(
            "process", records.PROCESS_COUNTERS, 1, "process", "itself", ("quoter", "gateway", "guardian", "ops")
        ),
    )
}

# How a kind of process sleeps: asyncio loops on a named pipe, plain loops on a futex. Those without a row poll.
BELLS = {"quoter": "futex", "gateway": "pipe"}


def kind_of(segment_name: str) -> SegmentKind:
    """Return the row of a segment's full name, for example of "bbo.BTCUSDC" or "counters.feed.BTCUSDC"."""
    head, _, rest = segment_name.partition(".")
    if head == "counters":
        head = f"counters.{rest.partition('.')[0]}"
    if head not in SEGMENTS:
        raise KeyError(f"{segment_name}: no such segment; known kinds: {', '.join(SEGMENTS)}")
    return SEGMENTS[head]


def processes(config) -> list[str]:
    """Return the names of all processes of a configuration, in the order of the data."""
    names = [] if config.sim is None or config.venue.environment != "sim" else ["sim"]
    names += [f"feed.{group}" for group in config.feed_groups()]
    names += [f"quoter.{symbol}" for symbol in config.traded()]
    return [*names, "gateway", "guardian", "ops"]


def writes(process: str, config) -> list[str]:
    """Return the full names of the segments a process writes."""
    kind, _, argument = process.partition(".")
    names = [f"process.{process}"]
    for row in SEGMENTS.values():
        if row.writer != kind:
            continue
        if row.per == "one":
            names.append(row.name)
        elif kind == "feed":
            names += [f"{row.name}.{symbol}" for symbol in config.feed_groups()[argument]]
        elif kind == "quoter":
            names.append(f"{row.name}.{argument}")
        else:
            names += [f"{row.name}.{symbol}" for symbol in config.traded()]
    return names


def bells(segment_name: str, config) -> list[str]:
    """Return the processes to wake after a segment was written."""
    row = kind_of(segment_name)
    symbol = segment_name.rpartition(".")[2]
    woken = []
    for kind in row.bells:
        if kind != "quoter":
            woken.append(kind)
        elif row.per == "one":
            woken += [f"quoter.{traded}" for traded in config.traded()]
        else:
            woken += [f"quoter.{traded}" for traded in config.traded() if symbol in (traded, config.leader_of(traded))]
    return woken
