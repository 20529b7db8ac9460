"""What must hold whatever was killed, judged by the simulated venue's own history of orders; never by what phx says.

Times are the venue's whole milliseconds since 1970. A venue ends an order in the millisecond of its `updateTime`.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from phx.instruments import Instrument

from .venue_truth import largest_worst_cases, side_of

OPEN = ("NEW", "PARTIALLY_FILLED")
PREFIX = "phx"
# Refusals that only a mistake of phx's can bring about: key, clock, limits, filters, the same id twice.
PRICE_SLACK = 1.02  # a gross notional is valued here at other moments' prices than the gateway's
MISTAKES = (-1003, -1015, -1021, -1022, -1111, -2014, -2015, -4014, -4116, -4164, -5028)


@dataclass
class Lives:
    """The orders of ours in a history, in the order of their arrival."""

    orders: list[dict]
    events: list[tuple[int, int, dict]] = field(default_factory=list)  # (time, +1 or -1, order): leaving first

    @classmethod
    def of(cls, history: list[dict]) -> "Lives":
        ours = [order for order in history if order["clientOrderId"].startswith(PREFIX)]
        found = cls(ours)
        for order in ours:
            found.events.append((order["time"], 1, order))
            if order["status"] not in OPEN:
                found.events.append((order["updateTime"], -1, order))
        found.events.sort(key=lambda event: event[:2])
        return found

    def none_open_ms(self, symbols, from_ms: int) -> int | None:
        """Return when no order of ours was open on any of the symbols for the first time, None = never yet."""
        return self._first_ms(symbols, from_ms, lambda count: not any(count.values()))

    def two_sided_ms(self, symbols, from_ms: int) -> int | None:
        """Return when both sides of every symbol had an open order for the first time since `from_ms`."""
        return self._first_ms(symbols, from_ms, lambda count: all(count.values()))

    def _first_ms(self, symbols, from_ms: int, holds) -> int | None:
        """Return the first millisecond since from_ms at whose end something holds of the counts by symbol and side."""
        count = {(symbol, side): 0 for symbol in symbols for side in ("BUY", "SELL")}
        done_ms = from_ms  # everything up to the end of this millisecond is counted
        for time_ms, change, order in self.events:
            if time_ms > done_ms:
                if holds(count):
                    return done_ms
                done_ms = time_ms
            if order["symbol"] in symbols:
                count[order["symbol"], order["side"]] += change
        return done_ms if holds(count) else None

    def last_of_epochs_ms(self, newest: int, from_ms: int) -> int | None:
        """Return when the last order of epochs up to `newest` had ended, None = one of them is open."""
        last_ms = from_ms
        for order in self.orders:
            if epoch_of(order) <= newest:
                if order["status"] in OPEN:
                    return None
                last_ms = max(last_ms, order["updateTime"])
        return last_ms

    def last_before_ms(self, symbols, from_ms: int) -> int | None:
        """Return when the last order accepted up to from_ms had ended, None = one of them is open."""
        found = [order for order in self.orders if order["symbol"] in symbols and order["time"] <= from_ms]
        if any(order["status"] in OPEN for order in found):
            return None
        return max((order["updateTime"] for order in found), default=from_ms)

    def placed(self, symbols, from_ms: int, until_ms: int) -> list[dict]:
        """Return the orders that could add to a position and were accepted between two moments."""
        return [
            order
            for order in self.orders
            if order["symbol"] in symbols and from_ms < order["time"] < until_ms and not order["reduceOnly"]
        ]


def epoch_of(order: dict) -> int:
    """Return the gateway's life in a client order id of ours."""
    return int(order["clientOrderId"].split("-")[2], 36)


def mistakes_in(history: list[dict], refused: dict[str, int], instruments: dict[str, Instrument], config) -> list[str]:
    """Return everything a whole history holds that must never be; refused: the venue's counts by code."""
    lives = Lives.of(history)
    found = []
    ids = [(order["symbol"], order["clientOrderId"]) for order in lives.orders]
    if len(ids) != len(set(ids)):
        found.append("a client order id was accepted twice")
    if any(a > b for a, b in pairwise(epoch_of(order) for order in lives.orders)):
        found.append("an order of an earlier epoch was accepted after one of a later")
    if wrong := [o["clientOrderId"] for o in lives.orders if o["timeInForce"] != "GTX" and not o["reduceOnly"]]:
        found.append(f"not post-only: {wrong[:3]}")
    if wrong := [o["clientOrderId"] for o in lives.orders if o["status"] == "EXPIRED_IN_MATCH"]:
        found.append(f"met an order of ours: {wrong[:3]}")
    for seconds, limit in ((10, 300), (60, 1200)):
        most = most_in_window([order["time"] for order in lives.orders], seconds * 1000)
        if most > limit * config.limits.reducing_share:
            found.append(f"{most} orders in {seconds} s, at most {limit * config.limits.reducing_share:.0f}")
    if wrong := {code: count for code, count in refused.items() if int(code) in MISTAKES}:
        found.append(f"refused by the venue: {wrong}")
    return found + limits_broken(lives, instruments, config)


def limits_broken(lives: Lives, instruments: dict[str, Instrument], config) -> list[str]:
    """Return the limits on positions and open orders that a history exceeds at any of its moments."""
    found = []
    for symbol, instrument in instruments.items():
        orders = [order for order in lives.orders if order["symbol"] == symbol]
        entry = config.symbols[symbol]
        limit_lots = int(instrument.lots(entry.net_max) * entry.risk.worst_case)
        largest = max(largest_worst_cases(orders, instrument).values())
        if largest > limit_lots:
            found.append(f"{symbol}: {largest} lots could have been held, at most {limit_lots}")
        most = most_open(lives, symbol)
        if most > entry.risk.max_open_orders:
            found.append(f"{symbol}: {most} orders open, at most {entry.risk.max_open_orders}")
    gross, most = gross_worst_case(lives, instruments), float(config.limits.max_gross_notional)
    if gross > most * PRICE_SLACK:
        found.append(f"gross notional {gross:.0f} could have been held, at most {most:.0f}")
    return found


def most_in_window(times_ms: list[int], length_ms: int) -> int:
    """Return the largest number of times within any window of a length."""
    window, most = deque(), 0
    for time_ms in sorted(times_ms):
        window.append(time_ms)
        while window[0] <= time_ms - length_ms:
            window.popleft()
        most = max(most, len(window))
    return most


def most_open(lives: Lives, symbol: str) -> int:
    count = most = 0
    for _, change, order in lives.events:
        if order["symbol"] == symbol:
            count += change
            most = max(most, count)
    return most


def gross_worst_case(lives: Lives, instruments: dict[str, Instrument]) -> float:
    """Return the largest gross notional that positions and open orders of all symbols could ever have led to.

    Each symbol is valued at the price of its newest order, which is near the market.
    """
    open_lots = {(symbol, side): 0 for symbol in instruments for side in (1, -1)}
    position, price, steps = dict.fromkeys(instruments, 0), dict.fromkeys(instruments, 0.0), []
    for order in lives.orders:
        instrument, side = instruments[order["symbol"]], side_of(order)
        lots = instrument.lots(order["origQty"])
        steps.append((order["time"], 1, order["symbol"], side, lots, 0, float(order["price"])))
        for fill in order["fills"]:
            qty = instrument.lots(fill["qty"])
            steps.append((fill["time"], 2, order["symbol"], side, -qty, side * qty, float(fill["price"])))
            lots -= qty
        if order["status"] not in OPEN:
            steps.append((order["updateTime"], 0, order["symbol"], side, -lots, 0, 0.0))
    largest = 0.0
    for _, _, symbol, side, change, filled, at in sorted(steps, key=lambda step: step[:2]):
        open_lots[symbol, side] += change
        position[symbol] += filled
        price[symbol] = at or price[symbol]
        largest = max(
            largest,
            sum(
                max(s * position[name] + open_lots[name, s] for s in (1, -1))
                * float(instruments[name].lot_size)
                * price[name]
                for name in instruments
            ),
        )
    return largest
