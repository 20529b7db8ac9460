"""Going back to former limits when an override is over, whether or not ops is there to lower them."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from phx.gateway.requantise import limits_in
from phx.instruments import Instrument
from phx.latches import Latches
from phx.overrides import OverrideRefused, Overrides, stricter

log = logging.getLogger("phx.gateway")


class EndedOverride:
    """restore(symbol, limits): have limits in force; fields of risk.Limits. An override changed by hand latches."""

    def __init__(
        self, run_folder: Path, instruments: dict[str, Instrument], restore: Callable[[str, dict[str, int]], None]
    ):
        self.instruments = instruments
        self.overrides = Overrides(run_folder)
        self.latches = Latches(run_folder)
        self.restore = restore
        self.refused = ""
        self.lowered = 0  # how often a symbol's limits were

    def mind(self, in_force: dict[str, dict[str, int]]) -> bool:
        """Lower what is above the former limits of an override that is over; return whether anything was.

        in_force: symbol → limits.
        """
        before = self.lowered
        try:
            override = self.overrides.read()
        except OverrideRefused as error:
            if self.refused != str(error):
                self.refused = str(error)
                log.error("latched: override refused: %s", error)
                self.latches.set("gateway", f"override refused: {error}")
            return False
        if override is None or override.in_force(time.time_ns()):
            return False
        for symbol, present in in_force.items():
            former = limits_in(override.limits.get(symbol, {}), self.instruments[symbol])
            lowered = stricter(present, former)
            if lowered != present:
                log.warning("%s: an override is over: back to the former limits", symbol)
                self.restore(symbol, lowered)
                self.lowered += 1
        return self.lowered != before
