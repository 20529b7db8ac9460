"""An instance as its segments show it: newest records, counters, heartbeats; for readers off the hot path."""

import os
import time

from phx import topology
from phx._core.enums import TapeKind
from phx._core.ring import RingReader
from phx.instruments import Instrument, Tables
from phx.segment import Segment, SegmentMissing, SegmentRefused


class Instance:
    """Attaches to segments as they are asked for, and anew when a restarted writer replaced one."""

    def __init__(self, config):
        self.config = config
        self.folder = config.shm_folder()
        self._segments: dict[str, Segment] = {}
        self._readers: dict[str, RingReader] = {}
        self._tables = Tables(self.folder, config.run_folder())

    def segment(self, name: str) -> Segment | None:
        """Return a segment, or None while there is none that fits."""
        held = self._segments.get(name)
        if held is not None and not held.replaced():
            return held
        self._segments.pop(name, None)
        self._readers.pop(name, None)
        try:
            held = Segment.attach(self.folder, name, topology.kind_of(name).record)
        except (SegmentMissing, SegmentRefused):
            return None
        self._segments[name] = held
        return held

    def reader(self, name: str) -> RingReader | None:
        """Return the reader of a ring; the same one until its writer is replaced."""
        segment = self.segment(name)
        if segment is None:
            return None
        if name not in self._readers:
            self._readers[name] = RingReader(segment.memory, segment.dtype)
        return self._readers[name]

    def newest(self, name: str):
        """Return the newest record of a ring, or None."""
        reader = self.reader(name)
        return None if reader is None else reader.read_newest()

    def mark_ticks(self, symbol: str) -> int | None:
        """Return the newest mark price that the symbol's tape still holds, rounded to the tick, or None."""
        tape = self.segment(f"tape.{symbol}")
        if tape is None:
            return None
        marks = tape.records[tape.records["kind"] == TapeKind.TAPE_MARK]
        return int(marks["price_ticks"][marks["seq"].argmax()]) if len(marks) else None

    def block(self, name: str):
        """Return a copy of a counter block, or None."""
        segment = self.segment(name)
        return None if segment is None else segment.records[0].copy()

    def heartbeat_age_ns(self, process: str) -> int | None:
        """Return the age of a process's last sign of life; None when it is not ready."""
        segment = self.segment(f"process.{process}")
        if segment is None or segment.heartbeat_mono_ns == 0:
            return None
        return max(0, time.monotonic_ns() - segment.heartbeat_mono_ns)

    def age_s(self, process: str) -> float | None:
        """Return how long a process has lived; None while it has not started."""
        segment = self.segment(f"process.{process}")
        if segment is None:
            return None
        started_s = int(segment.header["writer_start_ticks"][0]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s

    def restarts(self) -> dict[str, int]:
        """Return process → how often it began anew after its first life in this folder."""
        found = {}
        for process in topology.processes(self.config):
            segment = self.segment(f"process.{process}")
            if segment is not None and segment.generation > 1:
                found[process] = segment.generation - 1
        return found

    def instruments(self) -> dict[str, Instrument]:
        """Return the instruments that feeds and gateway have written so far, by symbol."""
        self._tables.look()
        return self._tables.by_symbol
