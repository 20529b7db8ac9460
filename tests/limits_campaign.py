"""Random and hostile intents against each layer of limits alone, judged by a ledger of a few lines in plain integers.

gateway_alone: ladders and takes that no quoter would want go straight into the gateway's rings, while orders fill, end
and get lost. quoter_alone: decisions on markets, books of own orders and parameters out of any range, judged as if the
gateway passed whatever is shown. The ledger knows the limits, the market that was given, and what was sent.
"""

import random
from dataclasses import dataclass, field

import numpy as np
from gateway_rig import NO_PRICE, RULES, SECOND_NS, Rig
from quoting import market as quiet_market
from quoting import own as own_record

from phx._core import records
from phx._core.action import ActionKind, TimeInForce
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.decide import decide_ladder

HUGE = (0, -1, 1, 2**31, 2**40, 2**40 + 1, 2**62, 2**63 - 1, -(2**63), -(2**62))
LIMIT_LOTS, ORDER_LOTS = 1000, 450
ORDER_E8, GROSS_E8 = 4_500 * 10**8, 15_000 * 10**8
TICKLOT_E8 = RULES["ticklot_e8"]
BLOCK = 512


@dataclass
class Judged:
    """What one layer alone let through."""

    intents: int = 0
    passed: int = 0
    filled: int = 0
    amended: int = 0
    escapes: list[str] = field(default_factory=list)

    def escape(self, what: str, *facts) -> None:
        if len(self.escapes) < 20:
            self.escapes.append(f"{what}: {facts}")


# ---- the gateway alone


class Ledger:
    """Positions and open orders, as the venue would have them."""

    def __init__(self, judged: Judged):
        self.judged = judged
        self.position = [0, 0]
        self.open: dict[int, list] = {}  # intent → [symbol, side, lots left, price, lots filled]
        self.market = [(99_999, 100_001, 100_000)] * 2
        self.value = [100_001] * 2

    def worst(self, symbol: int) -> int:
        sums = {1: 0, -1: 0}
        for s, side, left, *_ in self.open.values():
            sums[side] += left if s == symbol else 0
        return max(abs(self.position[symbol] + sums[1]), abs(self.position[symbol] - sums[-1]))

    def place(self, action: dict) -> None:
        symbol, side, price, lots = (action[k] for k in ("symbol_id", "side", "price_ticks", "qty_lots"))
        self.judged.passed += 1
        own = sum(left for s, d, left, *_ in self.open.values() if (s, d) == (symbol, side))
        only_reduces = side * self.position[symbol] + own + lots <= 0
        before = self.worst(symbol)
        self.open[action["intent_id"]] = [symbol, side, lots, price, 0]
        self._judge(action, before, own, only_reduces)

    def amend(self, action: dict) -> None:
        """Judge a change of an order, which may be made or not: what it was has been judged before."""
        intent, symbol, side, lots = (action[k] for k in ("intent_id", "symbol_id", "side", "qty_lots"))
        self.judged.amended += 1
        filled = self.open[intent][4] if intent in self.open else 0
        own = sum(row[2] for i, row in self.open.items() if i != intent and tuple(row[:2]) == (symbol, side))
        only_reduces = side * self.position[symbol] + own + lots - filled <= 0
        if not only_reduces or not action["reduce_only"]:
            self.judged.escape("an amend that adds", side, lots, own, self.position[symbol])
        self._judge(action, self.worst(symbol), own, only_reduces)

    def _judge(self, action: dict, before: int, own: int, only_reduces: bool) -> None:
        symbol, side, price, lots = (action[k] for k in ("symbol_id", "side", "price_ticks", "qty_lots"))
        judged, (bid, ask, mark) = self.judged, self.market[symbol]
        if lots <= 0 or lots > ORDER_LOTS or (price != NO_PRICE and not 0 < price <= RULES["max_price_ticks"]):
            judged.escape("size or price", side, price, lots)
        if action["time_in_force"] != TimeInForce.GTX:
            if not (action["reduce_only"] and only_reduces):
                judged.escape("a take that adds", side, price, lots, self.position[symbol])
            return
        if price * lots * TICKLOT_E8 > ORDER_E8:
            judged.escape("value", price, lots)
        if price * lots < RULES["min_notional_ticklots"] and not action["reduce_only"]:
            judged.escape("least value", price, lots)
        if side * (price - (ask if side > 0 else bid)) >= 0:
            judged.escape("takes", side, price, bid, ask)
        beyond2, beyond_mark = side * (2 * price - bid - ask), side * (price - mark)
        if beyond2 * 100 > 3 * (bid + ask) or -beyond2 * 100 > 5 * (bid + ask) or beyond_mark * 100 > 4 * mark:
            judged.escape("collar", side, price, bid, ask, mark)
        if not 95 * mark <= 100 * price * 1 if side < 0 else 100 * price > 105 * mark:
            judged.escape("percent price", side, price, mark)
        if not only_reduces and side * self.position[symbol] + own + lots > LIMIT_LOTS:
            judged.escape("position", side, lots, own, self.position[symbol])
        total = sum(self.worst(s) * max(self.value[s], price if s == symbol else 0) for s in range(2)) * TICKLOT_E8
        if self.worst(symbol) > before and not only_reduces and total > GROSS_E8:
            judged.escape("gross", total / 1e8)
        opposite = [p for s, d, _, p, _ in self.open.values() if (s, d) == (symbol, -side) and p != NO_PRICE]
        if any(side * (price - p) >= 0 for p in opposite):
            judged.escape("meets own order", side, price)


def hostile_ladders(rng: np.random.Generator, count: int) -> np.ndarray:
    """LADDER records of up to 32 layers a side: half plausible, the rest anything that fits the fields."""
    rows = np.zeros(count, records.LADDER)
    for name, side in (("bid", 1), ("ask", -1)):
        shape = (count, 32)
        price = 100_000 - side * rng.integers(-40, 6_500, shape)
        price = np.where(rng.random(shape) < 0.1, rng.integers(-(2**62), 2**62, shape), price)
        price = np.where(rng.random(shape) < 0.1, rng.choice(np.array(HUGE), shape), price)
        lots = rng.integers(1, 120, shape)
        lots = np.where(rng.random(shape) < 0.15, rng.integers(400, 520, shape), lots)
        lots = np.where(rng.random(shape) < 0.1, rng.choice(np.array(HUGE), shape), lots)
        rows[f"{name}_price_ticks"], rows[f"{name}_qty_lots"] = price, lots
        rows[f"{name}_layer"] = rng.integers(0, 256, shape) * (rng.random(shape) < 0.1) + np.arange(32)
        rows[f"{name}_layers"] = rng.choice([32, 32, 8, 33, 255], count)
        rows[f"{name}_reduce_only"] = rng.integers(0, 2**32, count) * (rng.random(count) < 0.3)
    rows["take_n"] = np.arange(1, count + 1)
    rows["take_side"] = rng.choice([1, -1, 0, 2**62, -7], count)
    rows["take_qty_lots"] = np.where(rng.random(count) < 0.7, rng.integers(1, 2_000, count), rng.choice(HUGE, count))
    rows["take_limit_ticks"] = rng.choice([NO_PRICE, 100_000, 1, 2**62, 0, -5], count)
    rows["mode"] = rng.integers(0, 9, count)
    rows["params_version"], rows["own_epoch"] = 1, 7
    return rows


def gateway_alone(intents: int, seed: int = 1, **limits) -> Judged:
    """Put so many intents into a gateway; limits: the rig's parameters, the ledger's own stay as they are."""
    rng, dice, judged = np.random.default_rng(seed), random.Random(seed), Judged()
    ours = {
        "net_max_lots": LIMIT_LOTS,
        "max_order_lots": ORDER_LOTS,
        "max_order_notional_e8": ORDER_E8,
        "max_gross_notional_e8": GROSS_E8,
        "max_open_orders": 100,
        "max_in_flight": 100,
    }
    rig = Rig(symbols=2, **(ours | limits))
    rig.account.set_order_limits(4000, 4000)
    rig.account.set_cancel_limit(4000)
    ledger = Ledger(judged)
    at, ladders, epoch, version = BLOCK, None, 1, 1
    while judged.intents < intents:
        if at == BLOCK:
            at, ladders, epoch = 0, hostile_ladders(rng, BLOCK), epoch + 1
        symbol = dice.randrange(2)
        row = ladders[at]
        at += 1
        rig.now_ns += dice.choice((SECOND_NS // 100, SECOND_NS // 10, SECOND_NS))
        if dice.random() < 0.02:
            rig.now_ns += 12 * SECOND_NS  # market and mark are stale, the proof is over
        else:
            hostile_market(rig, ledger, dice)
            rig.prove()
        if dice.random() < 0.01:
            # A configuration that would raise everything, without a confirmation: it must change nothing.
            version += 1
            wild = {name: value * 1000 for name, value in ours.items() if "max_open" not in name}
            for s in rig.symbols:
                s.params.write(symbol_id=s.id, **(rig.params | wild | limits | {"params_version": version}))
        own_seq = rig.symbols[symbol].own.writer.published
        row["decided_mono_ns"], row["take_deadline_mono_ns"] = rig.now_ns, rig.now_ns + SECOND_NS
        row["quoter_epoch"], row["own_seq"] = epoch, own_seq if dice.random() < 0.9 else max(0, own_seq - 1)
        rig.symbols[symbol].ladder.writer.write(row.reshape(1))
        judged.intents += min(int(row["bid_layers"]), 32) + min(int(row["ask_layers"]), 32) + 1
        follow(rig, ledger, dice)
        follow(rig, ledger, dice)
        if dice.random() < 0.2:
            judged.intents += chase(rig, ledger, symbol, row.copy(), dice)
        rig.account.set_journal_drained(rig.journal.writer.published)
    return judged


def chase(rig: Rig, ledger: Ledger, symbol: int, row: np.ndarray, dice: random.Random) -> int:
    """Follow a quiet market with reduce-only orders of all that is held, and more: what moves finds no room."""
    wanted, row["take_n"] = 0, 0
    for _ in range(dice.randrange(8)):
        mid, held = 100_000 + dice.randrange(-4, 5), ledger.position[symbol]
        name, side = ("ask", -1) if held > 0 else ("bid", 1)
        rig.now_ns += SECOND_NS // 10
        set_market(rig, ledger, mid - 1, mid + 1, 100_000)
        rig.prove()
        row["bid_layers"] = row["ask_layers"] = row["bid_reduce_only"] = row["ask_reduce_only"] = 0
        row[f"{name}_layers"], row[f"{name}_reduce_only"] = 3, 0b111
        for i in range(3):
            row[f"{name}_price_ticks"][i] = mid - side * dice.randrange(9) - side * 10 * i
            row[f"{name}_qty_lots"][i] = dice.randint(1, max(1, abs(held)))
            row[f"{name}_layer"][i] = i
        row["mode"], row["decided_mono_ns"] = dice.choice((2, 2, 3)), rig.now_ns
        row["own_seq"] = rig.symbols[symbol].own.writer.published
        rig.symbols[symbol].ladder.writer.write(row.reshape(1))
        follow(rig, ledger, dice)
        wanted += 3
    return wanted


def hostile_market(rig: Rig, ledger: Ledger, dice: random.Random) -> None:
    mid = 100_000 + dice.randrange(-1_500, 1_500)
    bid, ask, mark = (
        mid - dice.choice((1, 1, 5, 400)),
        mid + dice.choice((1, 1, 5, 400)),
        mid + dice.randrange(-900, 900),
    )
    if dice.random() < 0.05:
        bid, ask, mark = (dice.choice((bid, ask, mark, *HUGE)) for _ in range(3))
    set_market(rig, ledger, bid, ask, mark, flags=dice.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 8)))


def set_market(rig: Rig, ledger: Ledger, bid: int, ask: int, mark: int, flags: int = 0) -> None:
    rig.market(bid, ask, mark, flags=flags)
    for s in range(2):
        ledger.market[s] = (bid, ask, mark)
        if max(mark, ask) > 0:
            ledger.value[s] = max(mark, ask)


def follow(rig: Rig, ledger: Ledger, dice: random.Random) -> None:
    """One turn of the gateway, then what the venue makes of it: in any order, or not at all for now."""
    rig.core.step(rig.now_ns)
    answers = []
    while (action := rig.core.pop_action()) is not None:
        intent = action["intent_id"]
        if action["kind"] == ActionKind.ACTION_PLACE:
            ledger.place(action)
        elif action["kind"] == ActionKind.ACTION_AMEND:
            ledger.amend(action)
        answers.append((action["kind"], intent, action))
    for kind, intent, action in answers:
        chance = dice.random()
        if kind == ActionKind.ACTION_AMEND:
            answer_amend(rig, ledger, action, chance)
        elif kind == ActionKind.ACTION_PLACE and chance < 0.7:
            rig.core.on_accept(intent, 1, 1, rig.now_ns)
        elif kind == ActionKind.ACTION_PLACE and chance < 0.75:
            rig.core.on_reject(intent, -5022, rig.now_ns)
            ledger.open.pop(intent)
        elif kind == ActionKind.ACTION_PLACE and chance < 0.8:
            rig.core.on_unknown(intent, rig.now_ns)
        elif kind == ActionKind.ACTION_CANCEL and intent in ledger.open and chance < 0.8:
            rig.core.on_end(intent, False, 0, 1, rig.now_ns)
            ledger.open.pop(intent)
    for symbol in rig.symbols:
        symbol.desk.enable()
    for intent in list(ledger.open):
        chance = dice.random()
        if chance < 0.06:
            fill(rig, ledger, dice, intent)
        elif chance < 0.12:
            rig.core.on_end(intent, False, 0, 1, rig.now_ns)
            ledger.open.pop(intent)


def answer_amend(rig: Rig, ledger: Ledger, action: dict, chance: float) -> None:
    """Made and told, made and not told, refused, refused and not told."""
    intent, price, lots = action["intent_id"], action["price_ticks"], action["qty_lots"]
    order = ledger.open.get(intent)
    if order is None or chance < 0.2:
        if chance < 0.1:
            on_amend_reject(rig.core, intent, -5043 if order else -2013, rig.now_ns)
        return
    if lots <= order[4]:
        rig.core.on_end(intent, False, 0, 1, rig.now_ns)
        ledger.open.pop(intent)
        return
    order[2], order[3] = lots - order[4], price
    if chance < 0.8:
        on_amended(rig.core, intent, price, lots, rig.now_ns, rig.now_ns)
    elif chance < 0.9:
        rig.core.on_unknown(intent, rig.now_ns)


def fill(rig: Rig, ledger: Ledger, dice: random.Random, intent: int) -> None:
    symbol, side, left, price, _ = ledger.open[intent]
    lots = dice.randint(1, left)
    rig.fill(
        {"symbol_id": symbol, "intent_id": intent, "side": side, "price_ticks": max(price, 1), "qty_lots": lots},
        price=100_000,
    )
    ledger.judged.filled += 1
    ledger.position[symbol] += side * lots
    ledger.open[intent][2] -= lots
    ledger.open[intent][4] += lots
    if not ledger.open[intent][2]:
        del ledger.open[intent]
    if abs(ledger.position[symbol]) > LIMIT_LOTS:
        ledger.judged.escape("position held", symbol, ledger.position[symbol])


# ---- the quoter alone

WILD = (float("nan"), float("inf"), float("-inf"), 0.0, -1.0, 1e-300, 1e300, 1e12)


def quoter_alone(intents: int, params: np.ndarray, seed: int = 1) -> Judged:
    """Decide on so many wanted layers with a quoter's own checks only. params: an array of one plain record."""
    dice, judged = random.Random(seed), Judged()
    plain = params.copy()
    doubles = [name for name in plain.dtype.names if plain.dtype[name] == np.float64]
    while judged.intents < intents:
        if judged.intents % 640 == 0:
            record = wild_params(plain, doubles, dice)
        mid = dice.choice((650_000.0, 650_000.0, 1.0, 2.0, 999.5, 1e9, 2.0**41))
        fields = {"mid_ticks": mid, "spread_ticks": 2.0}
        for name in ("micro_ticks", "fair_ticks"):
            fields[name] = mid * dice.choice((1.0, 1.001, 0.97, 3.0))
        for name in ("skew_anchor", "imbalance", "funding", "sigma_30m", "inventory_sizes"):
            fields[name] = dice.uniform(-2, 2)
        if dice.random() < 0.2:
            fields[dice.choice(("fair_ticks", "micro_ticks", "sigma_30m", "tox_scale", "funding"))] = dice.choice(WILD)
        shown = quiet_market(mid) | fields
        position = dice.choice((0, 0, 50, -120, 299, 301, -1000, 2**40))
        orders = [
            (dice.choice((1, -1)), int(mid) + dice.randrange(-600, 600), dice.randint(1, 40))
            for _ in range(dice.choice((0, 4, 16)))
        ]
        own = own_record(orders, position, dice.choice((0, 5, 60, 10**6, -5, 2**62)))
        ladder, _ = decide_ladder(shown, own, record, 10**12, scarce=dice.random() < 0.1)
        judged.intents += 32
        judge_ladder(judged, ladder[0], shown, orders, position, own[0], record[0])
    return judged


def wild_params(plain: np.ndarray, doubles: list[str], dice: random.Random) -> np.ndarray:
    record = plain.copy()
    for name in dice.sample(doubles, dice.choice((0, 0, 1, 3))):
        record[name] = dice.choice(WILD)
    for name, values in (
        ("max_order_lots", (5, 12, 13, 50)),
        ("max_order_notional_e8", (390 * 10**8, 10**12, 10**13)),
        ("net_max_lots", (6, 100, 300)),
        ("near_size_lots", (6, 13, 500, 10**9)),
        ("far_size_lots", (12, 400)),
        ("model", (0, 1, 2)),
    ):
        record[name] = dice.choice(values)
    record["collar_mid"] = dice.choice((0.03, 0.0001, record["collar_mid"][0]))
    record["collar_far"] = dice.choice((0.13, 0.01, record["collar_far"][0]))
    return record


def judge_ladder(judged: Judged, ladder, market: dict, orders, position: int, own, params) -> None:
    for side, name in ((1, "bid"), (-1, "ask")):
        live: dict[int, int] = {}
        total = 0
        for order_side, price, lots in orders:
            if order_side == side:
                live[price] = live.get(price, 0) + lots
                total += lots
        adds = 0
        for i in range(int(ladder[f"{name}_layers"])):
            price, lots = int(ladder[f"{name}_price_ticks"][i]), int(ladder[f"{name}_qty_lots"][i])
            judged.passed += 1
            adds += max(0, lots - live.get(price, 0))
            value_e8 = price * lots * int(params["ticklot_e8"])
            if not (price > 0 and 0 < lots <= params["max_order_lots"] and value_e8 <= params["max_order_notional_e8"]):
                judged.escape("size or value", price, lots, value_e8)
            beyond = side * (price - market["mid_ticks"]) / market["mid_ticks"]
            if not (beyond <= params["collar_mid"] * 1.000001 and -beyond <= params["collar_far"] * 1.000001):
                judged.escape("collar", price, market["mid_ticks"])
            if side * (price - market["ask_price_ticks" if side > 0 else "bid_price_ticks"]) >= 0:
                judged.escape("takes", side, price)
        if adds and side * position + total + adds > max(int(params["net_max_lots"]), 0):
            judged.escape("worst case", side, position, total, adds)
        reducible = max(0, -side * position)
        if adds and total + adds - reducible > max(0, int(own[f"allowance_{'buy' if side > 0 else 'sell'}_lots"])):
            judged.escape("allowance", side, position, total, adds)
