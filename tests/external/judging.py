"""Named steps of a third-party client against a venue, run in the client's own virtual environment.

Standard library only: the client's environment has nothing of phx. Each step prints one JSON line with its outcome, so
that the tests outside can show which one failed, and how.
"""

import asyncio
import json
import sys
import time
import traceback


class Judge:
    """Collects steps in the order they are written and runs them in that order."""

    def __init__(self):
        self.steps = []

    def step(self, function):
        self.steps.append(function)
        return function

    async def run(self, venue) -> None:
        for function in self.steps:
            outcome = {"step": function.__name__, "passed": True, "found": ""}
            try:
                found = function(venue)
                if asyncio.iscoroutine(found):
                    found = await asyncio.wait_for(found, 40)
                outcome["found"] = str(found or "")[:300]
            except Exception:
                outcome["passed"], outcome["found"] = False, traceback.format_exc(limit=-6)
            print(json.dumps(outcome), flush=True)


def arguments() -> dict:
    """Return what the test outside says about the venue: rest, ws, key, secret, symbol."""
    return json.loads(sys.argv[1])


def expect(condition, found) -> None:
    if not condition:
        raise AssertionError(f"found {found!r}"[:2000])


async def until(condition, what: str, timeout_s: float = 15.0):
    """Wait until a condition returns something true, and return that."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:.0f} s for {what}")
        await asyncio.sleep(0.02)
    return found


class LocalBook:
    """An order book kept by the venue's documented procedure from diffs and one snapshot."""

    def __init__(self):
        self.sides = {"b": {}, "a": {}}
        self.waiting, self.last, self.applied, self.gaps = [], None, 0, 0

    def begin(self, snapshot: dict) -> None:
        for side, name in (("b", "bids"), ("a", "asks")):
            self.sides[side] = {float(price): float(qty) for price, qty in snapshot[name]}
        self.last, self.first = snapshot["lastUpdateId"], True
        waiting, self.waiting = self.waiting, []
        for diff in waiting:
            self.add(diff)

    def add(self, diff: dict) -> None:
        if self.last is None:
            self.waiting.append(diff)
            return
        if diff["u"] < self.last:
            return
        if self.first:
            expect(diff["U"] <= self.last + 1, (diff["U"], self.last))
            self.first = False
        elif diff["pu"] != self.last:
            self.gaps += 1
        for side in ("b", "a"):
            for price, qty in diff[side]:
                if float(qty) == 0:
                    self.sides[side].pop(float(price), None)
                else:
                    self.sides[side][float(price)] = float(qty)
        self.last, self.applied = diff["u"], self.applied + 1

    def top(self) -> tuple[float, float]:
        return max(self.sides["b"]), min(self.sides["a"])
