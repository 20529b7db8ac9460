"""Which faults are on: their rates, seeds and times, and how often each one has struck."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from phx.sim.faults.catalogue import CATALOGUE, CHOICES, COMMON, At, Fault

LONGEST_S = 7 * 86_400.0
MOST_ON = 1000
# Bounds of numbers that are no times: (least, most).
BOUNDS = {
    "rate": (0, 1), "count": (0, 10**9), "seed": (0, 2**63), "account": (0, 10**6), "share": (0, 1), "last": (1, 100),
    "tick": (1, 1000), "step": (1, 1000), "notional": (1, 10**6), "width": (0, 1), "leverage": (1, 125),
    "reason": (0, 9), "parts": (1, 100), "skew_ms": (-8.64e7, 8.64e7), "code": (-100_000, -1),
}  # fmt: skip


class FaultError(ValueError):
    """A fault that cannot be switched on; names what was found and what was expected."""


@dataclass(eq=False)
class Active:
    """A fault that is on, or will be. Times in ms of the host's clock; until_ms 0: until it is switched off."""

    fault: Fault
    settings: dict
    from_ms: int
    until_ms: int
    random: Random = field(repr=False)
    struck: int = 0
    begun: bool = False  # an act's beginning was carried out
    due_ms: int = 0  # of a repeated act
    undo: list[Callable[[], None]] = field(default_factory=list, repr=False)  # besides its changes to attributes
    memory: dict = field(default_factory=dict, repr=False)  # what the fault itself remembers

    def __getitem__(self, name: str):
        return self.settings[name]

    @property
    def name(self) -> str:
        return self.fault.name

    def is_over(self, now_ms: int) -> bool:
        if self.until_ms and now_ms >= self.until_ms:
            return True
        # An act that lasts does so once it has happened; count is of how often something comes.
        return bool(self["count"]) and self.struck >= self["count"] and not self._stays

    @property
    def _stays(self) -> bool:
        return self.fault.at is At.ACT and self.fault.lasts

    def is_running(self, now_ms: int) -> bool:
        return now_ms >= self.from_ms and not self.is_over(now_ms)

    def pick(self, setting: str):
        """Return a choice: what is set, else one of all there are, by the fault's seed."""
        return self[setting] or self.random.choice(CHOICES[setting][1:])

    def shown(self) -> dict:
        """Return the fault as the administration shows it."""
        row = {"name": self.name, "struck": self.struck, "from": self.from_ms, "until": self.until_ms}
        return row | {"settings": self.settings}


def settings_of(name: str, asked: dict) -> tuple[Fault, dict]:
    """Return a fault and everything that is set of it, typed. asked: texts or typed values. Raises FaultError."""
    fault = CATALOGUE.get(name)
    if fault is None:
        raise FaultError(f"fault {name!r}: no such fault; there are {', '.join(CATALOGUE)}")
    known = COMMON | fault.settings
    settings = dict(known)
    for key, value in asked.items():
        if key not in known:
            raise FaultError(f"fault {name}: no setting {key!r}; there are {', '.join(known)}")
        settings[key] = typed(name, key, value, type(known[key]))
    return fault, settings


def typed(name: str, key: str, value, kind: type):
    """Return what was set as the type of its default, within its bounds."""
    if isinstance(value, bool | list | dict) or value is None:
        raise FaultError(f"fault {name}: {key} {value!r}, expected {expected(key, kind)}")
    try:
        found = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise FaultError(f"fault {name}: {key} {value!r}, expected {expected(key, kind)}") from None
    least, most = bounds(key)
    is_right = found in CHOICES[key] if key in CHOICES else kind is str or least <= found <= most
    if not is_right or (kind is float and not math.isfinite(found)) or (kind is int and found != float(value)):
        raise FaultError(f"fault {name}: {key} {value!r}, expected {expected(key, kind)}")
    return found


def bounds(key: str) -> tuple[float, float]:
    return (0, LONGEST_S) if key.endswith("_s") else BOUNDS.get(key, (-math.inf, math.inf))


def expected(key: str, kind: type) -> str:
    if key in CHOICES:
        return " or ".join(repr(choice) for choice in CHOICES[key])
    if kind is str:
        return "a text"
    least, most = bounds(key)
    return f"{'a whole number' if kind is int else 'a number'} of {least:g} to {most:g}"


class Switchboard:
    """The faults that are on, in the order they were switched on. Empty, it costs one look."""

    def __init__(self):
        self.on: list[Active] = []
        self.at: dict[At, list[Active]] = {at: [] for at in At}  # the same by where they strike
        self.struck: dict[str, int] = {}  # of every fault, those switched off since included

    def switch_on(self, name: str, asked: dict, now_ms: int) -> Active:
        """Switch a fault on. Raises FaultError."""
        if len(self.on) >= MOST_ON:
            raise FaultError(f"fault {name!r}: {MOST_ON} are on, expected fewer")
        fault, settings = settings_of(name, asked)
        from_ms = now_ms + round(settings["after_s"] * 1000)
        until_ms = from_ms + round(settings["for_s"] * 1000) if settings["for_s"] else 0
        active = Active(fault, settings, from_ms, until_ms, Random(f"{settings['seed']}/{name}"))
        self.on.append(active)
        self.at[fault.at].append(active)
        return active

    def switch_off(self, gone: list[Active]) -> None:
        """Forget faults."""
        for active in gone:
            self.on.remove(active)
            self.at[active.fault.at].remove(active)

    def over(self, now_ms: int) -> list[Active]:
        """Return the faults whose time is over."""
        return [active for active in self.on if active.is_over(now_ms)]

    def running(self, name: str, now_ms: int) -> list[Active]:
        return [active for active in self.on if active.name == name and active.is_running(now_ms)]

    def striking(self, at: At, now_ms: int, fits: Callable[[Active], bool]) -> Active | None:
        """Return the first fault of a place that strikes now. fits: whether it is meant for this occasion."""
        for active in self.at[at]:
            if active.is_running(now_ms) and fits(active) and active.random.random() < active["rate"]:
                self.note(active)
                return active
        return None

    def note(self, active: Active) -> None:
        active.struck += 1
        self.struck[active.name] = self.struck.get(active.name, 0) + 1
