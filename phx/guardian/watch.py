"""What the guardian sees of another process, and the one thing it does to it: kill it when it hangs.

Death is a lost lock, a hang an old heartbeat. A hang is only counted while this process itself ran: after a freeze of
the host everybody's heartbeat is old, and nobody is to be killed for it.
"""

import logging
import os
import signal
from enum import IntEnum

from phx.process import FENCE_NS, HUNG_NS, Peer
from phx.segment import start_ticks

log = logging.getLogger("phx.guardian")


class Seen(IntEnum):
    ABSENT = 0  # nobody holds its lock
    STARTING = 1  # lock held, no heartbeat yet
    AWAKE = 2
    STALE = 3  # heartbeat older than HUNG_NS: not acted on
    HUNG = 4  # older than FENCE_NS: to be killed


def judge(alive: bool, heartbeat_age_ns: int | None, ran_for_ns: int) -> Seen:
    """Return the state of a process. ran_for_ns: how long we ourselves have run without a freeze."""
    if not alive:
        return Seen.ABSENT
    if heartbeat_age_ns is None:
        return Seen.STARTING
    age_ns = min(heartbeat_age_ns, ran_for_ns)
    if age_ns <= HUNG_NS:
        # After our own freeze an old heartbeat is no proof of life either: refreshing waits for a new one.
        return Seen.AWAKE if heartbeat_age_ns <= HUNG_NS else Seen.STALE
    return Seen.STALE if age_ns <= FENCE_NS else Seen.HUNG


class Watched:
    """One process under watch. `seen` is its state, `since_mono_ns` when it entered it."""

    def __init__(self, peer: Peer, now_mono_ns: int):
        self.peer = peer
        self.name = peer.name
        self.seen = Seen.ABSENT
        self.since_mono_ns = now_mono_ns
        self.awake_mono_ns = now_mono_ns  # when it was last seen awake; at first the benefit of the doubt
        self._last_pid = 0

    def look(self, now_mono_ns: int, ran_for_ns: int) -> Seen:
        """Look again; return the state before, so that the caller can act on a change."""
        alive = self.peer.alive()
        age_ns = self.peer.heartbeat_age_ns(now_mono_ns) if alive else None
        before = self.seen
        self.seen = Seen.ABSENT if self._succeeded() else judge(alive, age_ns, ran_for_ns)
        if self.seen != before:
            self.since_mono_ns = now_mono_ns
        if self.seen == Seen.AWAKE:
            self.awake_mono_ns = now_mono_ns
        return before

    def _succeeded(self) -> bool:
        """Return whether it died and came back between two looks: its death is reported all the same, once."""
        pid = self.peer.pid()  # 0 while a new life is writing it
        other = bool(pid and self._last_pid and pid != self._last_pid)
        self._last_pid = pid or self._last_pid
        return other

    def pid(self) -> int:
        """Return its pid if that is certain: what the lock says, confirmed by start time; else 0."""
        pid, segment = self.peer.pid(), self.peer.segment
        if not pid or segment is None:
            return 0
        header = segment.header[0]
        same = int(header["writer_pid"]) == pid and int(header["writer_start_ticks"]) == start_ticks(pid)
        return pid if same else 0

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; return whether it went to the process meant, and not to a later one with its number."""
        pid = self.pid()
        if not pid:
            return False
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            if self.pid() != pid:  # asked again, now that the descriptor pins it
                return False
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        log.warning("guardian: sent %s to %s, pid %d", number.name, self.name, pid)
        return True
