"""What becomes of a message on its way out: nothing, one, or several, each with how much later it goes."""

import re
from collections.abc import Callable

from phx.sim.faults import hostile
from phx.sim.faults.catalogue import At
from phx.sim.faults.switchboard import Active, Switchboard

EVENT = re.compile(r'^\{"e":"(\w+)"')
EXECUTION = re.compile(r'"x":"(\w+)"')
BEST = re.compile(r'"b":"([^"]*)","B":"([^"]*)","a":"([^"]*)","A":"([^"]*)"')
LEVELS = re.compile(r'"b":(\[.*?\]\]|\[\]),"a":(\[.*?\]\]|\[\])')

# Kinds, words and shapes of events that nobody knows.
STRANGERS = (
    '{"e":"SOMETHING_NEW","E":1,"T":1,"z":{"list":[1,2,{"deep":null}]}}',
    '{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"unheard":{"of":"this"}}',
    '{"e":"STRATEGY_UPDATE","T":1,"E":1,"su":{"si":0,"st":"LATER","ss":"NEVER_HEARD","s":"X"}}',
    "{}",
)

Way = list[tuple[float, str | bytes]]  # (delay in s, what goes out); bytes are not for the events of accounts


def strange(text: str) -> str:
    """Return an event with fields nobody knows; what it says is the same."""
    return text[:-1] + ',"zz":"2027-01-01","zo":{"new":[1,null,{"e":"TRADE"}]}}'


def strange_status(text: str) -> str:
    """Return an order event with an execution, a status and a reason nobody knows."""
    return re.sub(r'"(x|X|er)":"\w+"', r'"\1":"NEVER_HEARD"', text)


def crossed(text: str) -> str:
    """Return best prices, or depth, with bid and ask changed over."""
    return LEVELS.sub(r'"b":\2,"a":\1', BEST.sub(r'"b":"\3","B":"\4","a":"\1","A":"\2"', text))


def one_sided(text: str, side: str) -> str:
    """Return best prices, or depth, of which one side says it is empty."""
    if side == "BUY":
        return LEVELS.sub(
            lambda m: f'"b":{emptied(m[1])},"a":{m[2]}', BEST.sub(r'"b":"0","B":"0","a":"\3","A":"\4"', text)
        )
    return LEVELS.sub(lambda m: f'"b":{m[1]},"a":{emptied(m[2])}', BEST.sub(r'"b":"\1","B":"\2","a":"0","A":"0"', text))


def emptied(levels: str) -> str:
    return re.sub(r',"[^"]*"\]', ',"0"]', levels)


WAYS: dict[str, Callable[[Active, str], Way]] = {
    "drop_event": lambda active, text: [],
    "late_event": lambda active, text: [(active["delay_s"], text)],
    "double_event": lambda active, text: [(0.0, text), (active["delay_s"], text)],
    "strange_event": lambda active, text: [(0.0, strange(text)), *((0.0, stranger) for stranger in STRANGERS)],
    "strange_status": lambda active, text: [(0.0, strange_status(text))],
    "bad_event_numbers": lambda active, text: [(0.0, hostile.spoiled(text, active.pick("number")))],
    "silent_user_stream": lambda active, text: [],
    "gap": lambda active, text: [],
    "silence": lambda active, text: [],
    "late_frame": lambda active, text: [(active["delay_s"], text)],
    "double_frame": lambda active, text: [(0.0, text), (0.0, text)],
    "crossed_book": lambda active, text: [(0.0, crossed(text))],
    "empty_side": lambda active, text: [(0.0, one_sided(text, active["side"]))],
    "bad_numbers": lambda active, text: [(0.0, hostile.spoiled(text, active.pick("number")))],
    "hostile_payload": lambda active, text: [(0.0, text), (0.0, hostile.PAYLOADS[active.pick("payload")])],
    "hostile_frame": lambda active, text: [(0.0, text), (0.0, hostile.FRAMES[active.pick("frame")])],
    "torn_frame": lambda active, text: [(0.0, hostile.torn(text.encode()))],
}
SWAPS = ("swap_events", "swap_frames")


class Messages:
    """One kind of messages: it remembers those that wait to be overtaken, one of each listener and stream."""

    def __init__(self, board: Switchboard, at: At):
        self.board = board
        self.at = at
        self._held: dict[object, dict[str, str]] = {}

    @property
    def concerned(self) -> bool:
        """Whether any message has to come this way: a fault is on, or has left one behind that waits."""
        return bool(self.board.at[self.at] or self._held)

    def way(self, listener, stream: str, text: str, now_ms: int, fits: Callable[[Active], bool]) -> Way:
        """Return what goes out instead of a message."""
        waiting = self._held.get(listener, {})
        held = waiting.pop(stream, None)
        if not waiting:
            self._held.pop(listener, None)
        after: Way = [] if held is None else [(0.0, held)]
        active = self.board.striking(self.at, now_ms, fits)
        if active is None:
            return [(0.0, text), *after]
        if active.name in SWAPS:
            self._held.setdefault(listener, {})[stream] = text
            return after
        return [*WAYS[active.name](active, text), *after]

    def forget(self, listener) -> None:
        """Forget what waits for a listener that is gone."""
        self._held.pop(listener, None)


def is_event(active: Active, text: str, account: int) -> bool:
    """Whether a fault is meant for a user event: its account, symbol, kind and, of orders, what was executed."""
    settings = active.settings
    if settings["account"] not in (0, account) or active.name == "replayed_events":
        return False
    kind = EVENT.match(text)
    if settings["event"] and (kind is None or kind[1] != settings["event"]):
        return False
    if settings["symbol"] and f'"s":"{settings["symbol"]}"' not in text:
        return False
    execution = EXECUTION.search(text)
    if active.name == "strange_status" and execution is None:
        return False
    return not settings["execution"] or (execution is not None and execution[1] == settings["execution"])


def is_frame(active: Active, stream: str, text: str) -> bool:
    """Whether a fault is meant for a market frame: its symbol, and its stream's name or a part of it."""
    symbol = stream.lower().partition("@")[0]
    if active["symbol"] and active["symbol"].lower() != symbol:
        return False
    if active.name in ("crossed_book", "empty_side") and not (BEST.search(text) or LEVELS.search(text)):
        return False
    return active["stream"].lower() in stream.lower()
