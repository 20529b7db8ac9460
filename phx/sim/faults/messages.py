"""What becomes of a message on its way out: nothing, one, or several, each with how much later it goes."""

import re
from collections.abc import Callable

from phx.sim.faults.catalogue import CATALOGUE, At
from phx.sim.faults.switchboard import Active, Switchboard

USER_NAMES = tuple(fault.name for fault in CATALOGUE.values() if fault.at is At.USER_EVENT)
FRAME_NAMES = tuple(f.name for f in CATALOGUE.values() if f.at is At.FRAME and f.name != "hostile_frame")

EVENT = re.compile(r'^\{"e":"(\w+)"')
EXECUTION = re.compile(r'"x":"(\w+)"')

# Kinds, words and shapes of events that nobody knows.
STRANGE = (
    '{"e":"SOMETHING_NEW","E":1,"T":1,"z":{"list":[1,2,{"deep":null}]}}',
    '{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"unheard":{"of":"this"}}',
    '{"e":"STRATEGY_UPDATE","T":1,"E":1,"su":{"si":0,"st":"LATER","ss":"NEVER_HEARD","s":"X"}}',
    "{}",
)

# Frames no client should have to read, by kind. They are JSON of a depth diff where they are JSON at all.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "huge": lambda: b'{"e":"depthUpdate","b":[' + b'["1","1"],' * 200_000 + b'["1","1"]]}',
    "deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    "cut": lambda: b'{"e":"depthUpdate","E":17',
    "not_utf8": lambda: b'{"e":"depthUpdate","s":"\xff\xfe\x00"}',
    "not_finite": lambda: (
        b'{"e":"bookTicker","u":1,"s":"BTCUSDC","b":"NaN","B":"1e400","a":"-Infinity","A":"-1","T":1,"E":1}'
    ),
    "null": lambda: b'{"e":"depthUpdate","E":null,"T":null,"s":null,"U":null,"u":null,"pu":null,"b":null,"a":null}',
    "lines": lambda: b'{"e":"error","m":"\\r\\n2026-01-01 I gateway all is well\\u001b[31m"}',
    "empty": lambda: b"",
    "html": lambda: b"<html><body>403 Forbidden</body></html>",
}

Way = list[tuple[float, str]]  # (delay in s, text) of everything that goes out instead


class Messages:
    """One direction of one kind: it remembers the message that waits to be overtaken."""

    def __init__(self, board: Switchboard, names: tuple[str, ...]):
        self.board = board
        self.names = names
        self._held: dict[object, str] = {}  # by listener

    def way(self, listener, text: str, now_ms: int, fits: Callable[[Active], bool]) -> Way:
        """Return what goes out instead of a message."""
        board = self.board
        held = self._held.pop(listener, None)
        after = [] if held is None else [(0.0, held)]
        active = board.striking(self.names, now_ms, fits) if board.on else None
        if active is None:
            return [(0.0, text), *after]
        name = active.fault.name
        if name in ("drop_event", "silent_user_stream", "gap", "silence"):
            return after
        if name in ("late_event", "late_frame"):
            return [*after, (active["delay_s"], text)]
        if name in ("double_event", "double_frame"):
            return [(0.0, text), *after, (active.settings.get("delay_s", 0.0), text)]
        if name in ("swap_events", "swap_frames"):
            self._held[listener] = text
            return after
        if name == "strange_event":
            return [(0.0, stranger(text)), *after, *((0.0, strange) for strange in STRANGE)]
        if name == "crossed_book":
            return [(0.0, crossed(text)), *after]
        return [(0.0, text), *after]


def stranger(text: str) -> str:
    """Return an event with fields nobody knows; what it says is the same."""
    return text[:-1] + ',"zz":"2027-01-01","zo":{"new":[1,null,{"e":"TRADE"}]}}'


def crossed(text: str) -> str:
    """Return a best price message with bid and ask changed over."""
    prices = re.compile(r'"b":"([^"]*)","B":"([^"]*)","a":"([^"]*)","A":"([^"]*)"')
    return prices.sub(r'"b":"\3","B":"\4","a":"\1","A":"\2"', text)


def is_event(active: Active, text: str, account: int) -> bool:
    """Whether a fault is meant for a user event: its kind and, of orders, what was executed."""
    settings = active.settings
    if settings["account"] not in (0, account):
        return False
    kind = EVENT.match(text)
    if settings["event"] and (kind is None or kind[1] != settings["event"]):
        return False
    if not settings.get("execution"):
        return True
    execution = EXECUTION.search(text)
    return execution is not None and execution[1] == settings["execution"]


def is_stream(active: Active, stream: str) -> bool:
    """Whether a fault is meant for a stream: its whole name, or a part of it."""
    return active["stream"].lower() in stream.lower()
