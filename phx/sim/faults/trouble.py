"""All that can go wrong at one venue: its faults, joined to its requests, its streams and its clock."""

import asyncio
import logging

from phx.sim.faults import messages, requests
from phx.sim.faults.acts import Acts
from phx.sim.faults.catalogue import CATALOGUE, At
from phx.sim.faults.switchboard import Active, FaultError, Switchboard

log = logging.getLogger("phx.sim")


class Trouble:
    """The faults of a venue. While none is on, each hook costs one look at an empty list."""

    def __init__(self, venue, planned: list[tuple[str, dict]] = ()):
        self.venue = venue
        self.board = Switchboard()
        self.acts = Acts(venue)
        self._events = messages.Messages(self.board, messages.USER_NAMES)
        self._frames = messages.Messages(self.board, messages.FRAME_NAMES)
        for name, settings in planned:
            self.board.switch_on(name, settings, venue.now_ms())

    @property
    def any(self) -> bool:
        return bool(self.board.on)

    # ---- switching

    def switch_on(self, name: str, asked: dict) -> Active:
        """Switch a fault on; one that starts now has begun when this returns. Raises FaultError."""
        active = self.board.switch_on(name, asked, self.venue.now_ms())
        try:
            self._act(active, self.venue.now_ns())
        except FaultError:
            self.board.on.remove(active)
            raise
        log.warning("fault %s is on: %s", name, active.settings)
        return active

    def switch_off(self, name: str = "") -> int:
        """Switch off one kind of fault, or all; return how many were on."""
        gone = [active for active in self.board.on if name in ("", active.fault.name)]
        for active in gone:
            self.board.on.remove(active)
            self.acts.end(active)
        return len(gone)

    def turn(self, now_ns: int) -> None:
        """Begin the acts whose time has come, end what is over."""
        if not self.board.on:
            return
        for active in self.board.on:
            try:
                self._act(active, now_ns)
            except FaultError as error:
                log.warning("%s", error)
                active.begun = True
        for active in self.board.drop_over(now_ns // 1_000_000):
            self.acts.end(active)

    def _act(self, active: Active, now_ns: int) -> None:
        now_ms = now_ns // 1_000_000
        if active.fault.at is not At.ACT or now_ms < active.from_ms or active.is_over(now_ms):
            return
        every_ms = round(active.settings.get("every_s", 0) * 1000)
        if active.begun and not (every_ms and now_ms >= active.due_ms):
            return
        active.due_ms = now_ms + every_ms
        if active.random.random() < active["rate"]:
            self.acts.begin(active, now_ns)
            self.board.note(active)
        active.begun = True
        if not active.fault.lasts and not every_ms and not active.settings["count"]:
            active.until_ms = now_ms  # done

    def state(self) -> dict:
        """Return what is on, how often what has struck, and what there is."""
        return {
            "on": [active.shown() for active in self.board.on],
            "struck": self.board.struck,
            "known": {fault.name: {"at": fault.at.value, "text": fault.text, "settings": fault.settings}
                      for fault in CATALOGUE.values()},
        }  # fmt: skip

    # ---- hooks

    def fate_of(self, work: str, params: dict, key) -> requests.Fate:
        """Return what becomes of a request. key: None for a public one."""
        owner = key.account.owner if key else 0
        return requests.fate_of(self.board, work, params, key is not None, owner, self.venue.now_ms())

    def on_user_event(self, account, listen_key: str, text: str) -> None:
        """Send a user event, or what becomes of it."""
        way = self._events.way(
            listen_key, text, self.venue.now_ms(), lambda active: messages.is_event(active, text, account.owner)
        )
        for delay_s, sent in way:
            self._later(delay_s, lambda sent=sent: self.venue.hub.send(listen_key, sent))

    def frames(self, connection, stream: str, payload: bytes) -> list[tuple[float, bytes]]:
        """Return what a connection gets instead of a market frame: (delay in s, payload)."""
        text = payload.decode()
        way = self._frames.way(
            (connection, stream), text, self.venue.now_ms(), lambda active: messages.is_stream(active, stream)
        )
        return [(delay_s, sent.encode()) for delay_s, sent in way]

    def hostile(self, stream: str) -> bytes | None:
        """Return a frame that no client should have to read, when it is time for one."""
        active = self.board.striking(
            ("hostile_frame",), self.venue.now_ms(), lambda active: messages.is_stream(active, stream)
        )
        if active is None:
            return None
        kinds = [active["kind"]] if active["kind"] else list(messages.HOSTILE)
        return messages.HOSTILE[active.random.choice(kinds)]()

    @staticmethod
    def _later(delay_s: float, action) -> None:
        if delay_s <= 0:
            action()
        else:
            asyncio.get_running_loop().call_later(delay_s, action)
