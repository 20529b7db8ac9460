"""All that can go wrong at one venue: its faults, joined to its requests, its streams and its clock."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from phx.sim.faults import conditions, messages, requests
from phx.sim.faults.acting import check
from phx.sim.faults.acts import BEGIN, Acts
from phx.sim.faults.catalogue import CATALOGUE, At
from phx.sim.faults.switchboard import Active, FaultError, Switchboard

MOST_PENDING = 10_000  # what is late; more goes out at once
REMEMBERED = 100  # events of an account, for who connects again

log = logging.getLogger("phx.sim")


class Trouble:
    """The faults of a venue. While none is on, each hook costs one look at an empty list."""

    def __init__(self, venue, planned: list[tuple[str, dict]] = ()):
        self.venue = venue
        self.board = Switchboard()
        self.acts = Acts(venue)
        self.at = self.board.at
        self.pending = 0
        self.events = messages.Messages(self.board, At.USER_EVENT)
        self.market = messages.Messages(self.board, At.FRAME)
        self._recent: dict[int, deque[str]] = {}  # by account
        for name, settings in planned:
            check(venue, self.board.switch_on(name, settings, venue.now_ms()))

    # ---- switching

    def switch_on(self, name: str, asked: dict) -> Active:
        """Switch a fault on; one that starts now has begun when this returns. Raises FaultError."""
        now_ns = self.venue.now_ns()
        active = self.board.switch_on(name, asked, now_ns // 1_000_000)
        try:
            check(self.venue, active)
            self._act(active, now_ns)
        except Exception:
            self._end([active])
            raise
        log.warning("fault %s is on: %s", name, active.settings)
        return active

    def switch_off(self, name: str = "") -> int:
        """Switch off one kind of fault, or all; return how many were on. Raises FaultError for an unknown name."""
        if name and name not in CATALOGUE:
            raise FaultError(f"fault {name!r}: no such fault; there are {', '.join(CATALOGUE)}")
        gone = [active for active in self.board.on if name in ("", active.name)]
        self._end(gone)
        return len(gone)

    def turn(self, now_ns: int) -> None:
        """Begin the acts whose time has come, end what is over. A fault that fails is switched off; time goes on."""
        for active in list(self.board.on):
            try:
                self._act(active, now_ns)
            except FaultError as error:  # it cannot be done now; one that repeats may be later
                if active.memory.get("said") != str(error):
                    log.warning("%s", error)
                active.memory["said"] = str(error)
            except Exception:
                log.exception("fault %s failed and is switched off", active.name)
                self._end([active])
        if self.board.on:
            self._end(self.board.over(now_ns // 1_000_000))

    def _act(self, active: Active, now_ns: int) -> None:
        now_ms = now_ns // 1_000_000
        if active.name not in BEGIN or not active.is_running(now_ms):
            return
        every_ms = round(active.settings.get("every_s", 0) * 1000)
        if active.begun and not (every_ms and now_ms >= active.due_ms):
            return
        active.begun = True
        active.due_ms = now_ms + every_ms
        if not active.fault.lasts and not every_ms:
            active.until_ms = now_ms  # it is over once it is done
        if active.fault.at is not At.ACT:
            self.acts.begin(active, now_ns)
        elif active.random.random() < active["rate"]:
            self.acts.begin(active, now_ns)
            self.board.note(active)

    def _end(self, gone: list[Active]) -> None:
        self.board.switch_off(gone)
        for active in gone:
            try:
                self.acts.end(active)
            except Exception:
                log.exception("fault %s could not be taken back", active.name)

    def state(self) -> dict:
        """Return what is on, how often what has struck, and what there is."""
        return {
            "on": [active.shown() for active in self.board.on],
            "struck": self.board.struck,
            "known": {fault.name: {"at": fault.at.value, "text": fault.text, "settings": fault.settings}
                      for fault in CATALOGUE.values()},
        }  # fmt: skip

    # ---- hooks

    def skew_ms(self, now_ms: int) -> int:
        """Return how far the clock is off that requests are held to."""
        if not self.at[At.ACT]:
            return 0
        running = [active for active in self.board.running("clock_skew", now_ms) if active.struck]
        return round(sum(conditions.skew_ms(active, now_ms) for active in running))

    def handshake(self, route: str) -> str:
        """Return how a handshake fails: a status, close or reset; "" when it does not. route "rest": a connection."""
        now_ms = self.venue.now_ms()
        if self.at[At.REQUEST] and route != "rest":
            for name, status in (("closed_door", "403"), ("ban", "418")):
                if any(active["of"] == "any" for active in self.board.running(name, now_ms)):
                    return status
        if not self.at[At.HANDSHAKE]:
            return ""
        active = self.board.striking(At.HANDSHAKE, now_ms, lambda fault: fault["route"] in ("", route))
        return active["how"] if active else ""

    def fate_of(self, work: str, params: dict, key) -> requests.Fate:
        """Return what becomes of a request. key: None for a public one."""
        owner = key.account.owner if key else 0
        return requests.fate_of(self.board, work, params, key is not None, owner, self.venue.now_ms())

    def on_user_event(self, account, listen_key: str, text: str) -> None:
        """Send a user event, or what becomes of it."""
        self._recent.setdefault(account.owner, deque(maxlen=REMEMBERED)).append(text)
        way = self.events.way(
            listen_key, "", text, self.venue.now_ms(), lambda active: messages.is_event(active, text, account.owner)
        )
        for delay_s, sent in way:
            self.later(delay_s, lambda sent=sent: self.venue.hub.send(listen_key, sent))

    def replay(self, connection, listen_key: str) -> None:
        """Send who listens to an account the events that others were sent already."""
        owner = self.venue.listen_keys.owner_of(listen_key)
        recent = self._recent.get(owner)
        if not recent:
            return
        active = self.board.striking(
            At.USER_EVENT,
            self.venue.now_ms(),
            lambda fault: fault.name == "replayed_events" and fault["account"] in (0, owner),
        )
        for text in list(recent)[-active["last"] :] if active else ():
            connection.send(listen_key, text.encode())

    def frames(self, connection, stream: str, payload: bytes) -> list[tuple[float, bytes]]:
        """Return what a connection gets instead of a market frame: (delay in s, payload)."""
        text = payload.decode()
        way = self.market.way(
            connection, stream, text, self.venue.now_ms(), lambda active: messages.is_frame(active, stream, text)
        )
        return [(delay_s, sent if isinstance(sent, bytes) else sent.encode()) for delay_s, sent in way]

    def forget(self, connection) -> None:
        """Forget a connection that is gone."""
        self.market.forget(connection)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something after a delay; at once when too much waits already."""
        if delay_s <= 0 or self.pending >= MOST_PENDING:
            action()
            return
        self.pending += 1
        asyncio.get_running_loop().call_later(delay_s, self._due, action)

    def _due(self, action: Callable[[], None]) -> None:
        self.pending -= 1
        action()
