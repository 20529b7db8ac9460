"""The silence watchdog: names streams that were asked for and never delivered, or that fell silent.

A connection may be sound and answer pings while one of its streams is dead, and a stream asked for under the wrong
path is acknowledged and never delivers. So data alone is a sign of life, per stream. How long a silence is odd depends
on how often the stream delivers.
"""

from typing import NamedTuple

from phx._core.feed import Stream

SECOND_NS = 1_000_000_000
ODD_GAPS = 30  # a silence of so many mean gaps is odd, within the limits of the stream's kind
SMOOTHING = 0.1  # weight of the newest mean gap


class Patience(NamedTuple):
    """How long a kind of stream may be silent, ns. first: from the connection to its first frame; 0 = for ever."""

    first: int
    least: int
    most: int


# bookTicker and depth carry the book; a venue that stalls for two or three seconds is no reason to reconnect, and the
# quoters judge the age of their data by themselves. Mark prices come each second. Trades may not happen for a minute.
PATIENCE = {
    Stream.STREAM_BOOK_TICKER: Patience(10 * SECOND_NS, 5 * SECOND_NS, 60 * SECOND_NS),
    Stream.STREAM_DEPTH: Patience(10 * SECOND_NS, 5 * SECOND_NS, 60 * SECOND_NS),
    Stream.STREAM_MARK: Patience(10 * SECOND_NS, 5 * SECOND_NS, 5 * SECOND_NS),
}


class StreamWatch:
    """One stream: its mean gap, and whether its silence is odd."""

    def __init__(self, name: str, patience: Patience):
        self.name = name
        self.patience = patience
        self.mean_gap_ns = 0.0
        self.frames = 0
        self.sampled_ns = 0
        self.since_ns = 0  # connected; 0 = not connected, so nothing is expected

    def connected(self, now_ns: int, frames: int) -> None:
        self.since_ns = self.sampled_ns = now_ns
        self.frames = frames

    def disconnected(self) -> None:
        self.since_ns = 0

    def silent_ns(self, now_ns: int, frames: int, last_ns: int) -> int:
        """Take the stream's frame count and last receipt; return how long it has been oddly silent, 0 = it is not."""
        if not self.since_ns:
            return 0
        if frames > self.frames:
            gap_ns = (last_ns - self.sampled_ns) / (frames - self.frames)
            if self.mean_gap_ns:
                gap_ns = self.mean_gap_ns + SMOOTHING * (gap_ns - self.mean_gap_ns)
            self.mean_gap_ns, self.frames, self.sampled_ns = max(gap_ns, 1.0), frames, last_ns
        if last_ns < self.since_ns:
            age_ns, limit_ns = now_ns - self.since_ns, self.patience.first
        else:
            age_ns = now_ns - last_ns
            limit_ns = min(max(ODD_GAPS * self.mean_gap_ns, self.patience.least), self.patience.most)
        return age_ns if age_ns > limit_ns else 0


class DepthWatch:
    """Whether depth follows the top of book: each change of the top is a change of the book, so depth must tell it too.

    Found long before the silence itself is odd; the levels behind a moving top would be quoted on otherwise.
    """

    def __init__(self):
        self.depth_ns = 0  # receipt of the depth frame that was the newest when looked at last
        self.ahead_ns = 0  # since when the top is ahead of it, 0 = it is not

    def behind_ns(self, now_ns: int, since_ns: int, top_ns: int, depth_ns: int) -> int:
        """Return for how long the top has been ahead. since_ns: depth is expected since then, 0 = it is not."""
        if not since_ns or top_ns <= max(depth_ns, since_ns):
            self.ahead_ns = 0
        elif not self.ahead_ns or depth_ns > self.depth_ns:
            self.ahead_ns = now_ns
        self.depth_ns = depth_ns
        return now_ns - self.ahead_ns if self.ahead_ns else 0


class Watchdog:
    """All watched streams of a feed. `names[index][stream]` is the venue's name of an instrument's stream."""

    def __init__(self, names: list[dict[Stream, str]]):
        self.depths = [DepthWatch() for _ in names]
        self.watches = [
            {kind: StreamWatch(name, PATIENCE[kind]) for kind, name in streams.items() if kind in PATIENCE}
            for streams in names
        ]

    def connected(self, instruments, kinds, now_ns: int) -> None:
        """Expect the streams of these kinds from now on."""
        for watches, feed in zip(self.watches, instruments, strict=True):
            for kind in kinds & watches.keys():
                watches[kind].connected(now_ns, feed.frames_by_stream[kind])

    def disconnected(self, kinds) -> None:
        """Expect nothing of these kinds until they are connected again."""
        for watches in self.watches:
            for kind in kinds & watches.keys():
                watches[kind].disconnected()

    def behind(self, instruments, now_ns: int, most_ns: int) -> list[tuple[int, int]]:
        """Return (index, for how long, ns) of each instrument whose depth has been behind its top for too long."""
        found = []
        for index, (depth, feed) in enumerate(zip(self.depths, instruments, strict=True)):
            last_ns = feed.last_mono_ns_by_stream
            since_ns = self.watches[index][Stream.STREAM_DEPTH].since_ns
            top_ns, depth_ns = last_ns[Stream.STREAM_BOOK_TICKER], last_ns[Stream.STREAM_DEPTH]
            behind_ns = depth.behind_ns(now_ns, since_ns, top_ns, depth_ns)
            if behind_ns > most_ns:
                found.append((index, behind_ns))
        return found

    def silent(self, instruments, now_ns: int) -> list[tuple[int, Stream, str, int]]:
        """Return (index, kind, the stream's name, silent for ns) of each stream that is oddly silent."""
        found = []
        for index, (watches, feed) in enumerate(zip(self.watches, instruments, strict=True)):
            frames, last_ns = feed.frames_by_stream, feed.last_mono_ns_by_stream
            for kind, watch in watches.items():
                silent_ns = watch.silent_ns(now_ns, frames[kind], last_ns[kind])
                if silent_ns:
                    found.append((index, kind, watch.name, silent_ns))
        return found
