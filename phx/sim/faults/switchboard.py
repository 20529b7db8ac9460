"""Which faults are on: their rates, seeds and times, and how often each one has struck."""

from dataclasses import dataclass, field
from random import Random

from phx.sim.faults.catalogue import CATALOGUE, Fault

COMMON = {"rate": 1.0, "seed": 1, "after_s": 0.0, "for_s": 0.0, "count": 0, "account": 0}
LONGEST_S = 7 * 86_400.0


class FaultError(ValueError):
    """A fault that cannot be switched on; names what was found and what was expected."""


@dataclass
class Active:
    """A fault that is on, or will be. Times in ms of the venue's clock; until_ms 0: until it is switched off."""

    fault: Fault
    settings: dict
    from_ms: int
    until_ms: int
    struck: int = 0
    random: Random = field(default_factory=Random, repr=False)
    begun: bool = False  # an act's beginning was carried out
    due_ms: int = 0  # of a repeated act

    def __getitem__(self, name: str):
        return self.settings[name]

    def is_over(self, now_ms: int) -> bool:
        if self.until_ms and now_ms >= self.until_ms:
            return True
        return bool(self["count"]) and self.struck >= self["count"]

    def shown(self) -> dict:
        """Return the fault as the administration shows it."""
        row = {"name": self.fault.name, "struck": self.struck, "from": self.from_ms, "until": self.until_ms}
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
    for key, least, most in (("rate", 0, 1), ("after_s", 0, LONGEST_S), ("for_s", 0, LONGEST_S), ("count", 0, 10**9)):
        if not least <= settings[key] <= most:
            raise FaultError(f"fault {name}: {key} {settings[key]}, expected {least:g} to {most:g}")
    for key in ("delay_s", "every_s"):
        if not 0 <= settings.get(key, 0) <= LONGEST_S:
            raise FaultError(f"fault {name}: {key} {settings[key]}, expected 0 to {LONGEST_S:g}")
    return fault, settings


def typed(name: str, key: str, value, kind: type):
    if isinstance(value, bool) or value is None:
        raise FaultError(f"fault {name}: {key} {value!r}, expected {expected(kind)}")
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise FaultError(f"fault {name}: {key} {value!r}, expected {expected(kind)}") from None


def expected(kind: type) -> str:
    return {int: "a whole number", float: "a number"}.get(kind, "a text")


class Switchboard:
    """The faults that are on, in the order they were switched on. Empty, it costs one look."""

    def __init__(self):
        self.on: list[Active] = []
        self.struck: dict[str, int] = {}  # of every fault, those switched off since included

    def switch_on(self, name: str, asked: dict, now_ms: int) -> Active:
        """Switch a fault on. Raises FaultError."""
        fault, settings = settings_of(name, asked)
        from_ms = now_ms + round(settings["after_s"] * 1000)
        until_ms = from_ms + round(settings["for_s"] * 1000) if settings["for_s"] else 0
        seeded = Random(f"{settings['seed']}/{name}")
        active = Active(fault, settings, from_ms, until_ms, random=seeded)
        self.on.append(active)
        return active

    def drop_over(self, now_ms: int) -> list[Active]:
        """Forget and return the faults whose time is over."""
        over = [active for active in self.on if active.is_over(now_ms)]
        self.on = [active for active in self.on if active not in over]
        return over

    def striking(self, names: tuple[str, ...], now_ms: int, fits) -> Active | None:
        """Return the first of these faults that strikes now. fits(active): whether it is meant for this occasion."""
        for active in self.on:
            if active.fault.name not in names or now_ms < active.from_ms or active.is_over(now_ms) or not fits(active):
                continue
            if active.random.random() < active["rate"]:
                self.note(active)
                return active
        return None

    def note(self, active: Active) -> None:
        active.struck += 1
        self.struck[active.fault.name] = self.struck.get(active.fault.name, 0) + 1
