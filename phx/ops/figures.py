"""What people and metrics want to know of one symbol, computed from its newest records; amounts in quote currency."""

import math

import numpy as np
from msgspec import Struct

from phx import earnings
from phx._core.enums import Mode, OrderState, Reason, RejectReason
from phx._core.histogram import quantile_ns
from phx._core.records import ABSENT_PRICE_TICKS
from phx.instruments import ONE_E8

NAN = math.nan
QUOTES_LESS = ("PINNING", "GRINDING", "FLATTENING", "COOLING", "HALTED")


class Latency(Struct, frozen=True):
    """A histogram in three numbers, nanoseconds; zeros while nothing was counted."""

    count: int = 0
    p50_ns: float = 0.0
    p99_ns: float = 0.0
    max_ns: float = 0.0

    @classmethod
    def of(cls, buckets) -> "Latency":
        count = int(np.sum(buckets))
        return cls(count, *(float(quantile_ns(buckets, share)) for share in (0.5, 0.99, 1.0))) if count else cls()

    def text(self) -> str:
        return f"{duration(self.p50_ns)}/{duration(self.p99_ns)}" if self.count else "-"


class Figures(Struct):
    """One symbol at one moment. NaN: not known yet."""

    symbol: str
    mode: str = "NONE"
    reason: str = "NONE"
    ready: bool = False
    blocked: str = "NONE"  # why the gateway lets no quote stand
    mid: float = NAN
    spread: float = NAN
    own_bid: float = NAN  # our nearest live orders
    own_ask: float = NAN
    gap: float = NAN  # from own bid to own ask
    position: float = 0.0
    notional: float = 0.0  # signed
    realised: float = 0.0
    unrealised: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    pnl: float = 0.0  # realised + unrealised - fees + funding
    pnl_no_fees: float = 0.0  # the same as if no fee had been paid,
    pnl_base_fees: float = 0.0  # and with those of the public lowest tier
    mark: float = NAN  # the venue's mark price
    unrealised_mark: float = 0.0  # inventory at the mark price minus what it cost
    volume: float = 0.0
    taker_volume: float = 0.0  # of it: filled as taker
    fills: int = 0
    buy_orders: int = 0
    sell_orders: int = 0
    pending_buy: float = 0.0
    pending_sell: float = 0.0
    unknown_orders: int = 0
    ladders: int = 0
    places: int = 0
    amends: int = 0
    cancels: int = 0
    near_placed: float = 0.0
    near_filled: float = 0.0
    rejects_own: int = 0
    rejects_venue: int = 0
    unknown_outcomes: int = 0
    gaps: int = 0
    resyncs: int = 0
    live_share: float = NAN  # of the time watched, orders of both sides were live; set by who watches
    quoted_share: float = NAN  # of the time in which it could quote, both sides were wanted
    quotable_s: float = 0.0
    mode_s: dict[str, float] = {}  # time in each mode, seconds
    mode_entries: dict[str, int] = {}  # transitions into each mode
    mark_outs: list[earnings.MarkOut] = []
    mark_outs_dropped: int = 0
    ratio: float = NAN
    skew: float = NAN
    vol_scale: float = NAN
    sigma: float = NAN
    funding_rate: float = NAN
    worst_buy: float = 0.0
    worst_sell: float = 0.0
    tick_to_ladder: Latency = Latency()
    tick_to_wire: Latency = Latency()
    ack: Latency = Latency()
    max_drawdown: float = 0.0  # largest fall of the PnL from its peak, as far as ops has watched
    cancels_per_minute: float = 0.0  # over the last minute

    @property
    def quotes_both_sides(self) -> bool:
        return self.buy_orders > 0 and self.sell_orders > 0

    @property
    def wants_less(self) -> bool:
        """Whether its mode, or a human, asks for fewer than two sides."""
        return self.mode in QUOTES_LESS or (self.mode == "PAUSED" and self.reason == "OPERATOR")


def figures(instance, symbol: str) -> Figures:
    """Return the figures of a traded symbol; what no process has said yet stays at its default."""
    found = Figures(symbol)
    instrument = instance.instruments().get(symbol)
    if instrument is None:
        return found
    read_market(found, instance, instrument)
    read_state(found, instance, instrument)
    read_own(found, instance, instrument)
    read_counters(found, instance, instrument)
    return found


def read_market(found: Figures, instance, instrument) -> None:
    bbo = instance.newest(f"bbo.{found.symbol}")
    if bbo is None or ABSENT_PRICE_TICKS in (bbo["bid_price_ticks"], bbo["ask_price_ticks"]):
        return
    bid_ticks, ask_ticks = int(bbo["bid_price_ticks"]), int(bbo["ask_price_ticks"])
    found.mid = instrument.price((bid_ticks + ask_ticks) / 2)
    found.spread = instrument.price(ask_ticks - bid_ticks)
    if (mark_ticks := instance.mark_ticks(found.symbol)) is not None:
        found.mark = instrument.price(mark_ticks)


def read_state(found: Figures, instance, instrument) -> None:
    state = instance.newest(f"state.{found.symbol}")
    if state is None:
        return
    found.mode = word(Mode, state["mode"], "MODE_")
    found.reason = word(Reason, state["reason"], "REASON_")
    found.ratio = float(state["ratio"])
    found.skew = instrument.price(float(state["skew_ticks"]))
    found.vol_scale = float(state["vol_scale"])
    found.sigma = float(state["sigma_30m"])
    found.funding_rate = float(state["funding_ema"])
    found.worst_buy = instrument.qty(int(state["worst_buy_lots"]))
    found.worst_sell = instrument.qty(int(state["worst_sell_lots"]))
    quotable_ns = int(state["quotable_ns"])
    found.quotable_s = quotable_ns / 1e9
    if quotable_ns:
        found.quoted_share = int(state["quoted_both_ns"]) / quotable_ns


def read_own(found: Figures, instance, instrument) -> None:
    own = instance.newest(f"own.{found.symbol}")
    if own is None:
        return
    lots, cost_ticklots = int(own["position_lots"]), int(own["open_cost_ticklots"])
    found.ready = bool(own["ready"])
    found.blocked = word(RejectReason, own["blocked"], "REJECT_")
    found.position = instrument.qty(lots)
    found.realised = instrument.quote(int(own["realised_ticklots"]))
    found.fees = int(own["fees_e8"]) / ONE_E8
    found.funding = int(own["funding_e8"]) / ONE_E8
    found.volume = instrument.quote(int(own["volume_ticklots"]))
    found.taker_volume = instrument.quote(int(own["taker_volume_ticklots"]))
    found.fills = int(own["fills"])
    value_ticks = cost_ticklots / lots if lots else 0.0  # without a market it is worth what it cost
    if lots and not math.isnan(found.mid):
        value_ticks = found.mid / instrument.price(1)
        found.notional = found.position * found.mid
        found.unrealised = found.notional - instrument.quote(cost_ticklots)
    if lots:
        found.unrealised_mark = found.position * found.mark - instrument.quote(cost_ticklots)
    venue = instance.config.venue
    earned = earnings.profit(own, instrument, value_ticks, venue.base_maker_fee, venue.base_taker_fee)
    found.pnl, found.pnl_no_fees, found.pnl_base_fees = earned.own_fees, earned.no_fees, earned.base_fees
    rows = slice(0, int(own["orders"]))
    sides, states = own["side"][rows], own["state"][rows]
    prices, remaining_lots = own["price_ticks"][rows], own["remaining_lots"][rows]
    buys, sells = sides > 0, sides < 0
    found.buy_orders, found.sell_orders = int(buys.sum()), int(sells.sum())
    found.unknown_orders = int((states == OrderState.ORDER_UNKNOWN).sum())
    found.pending_buy = instrument.qty(int(remaining_lots[buys].sum()))
    found.pending_sell = instrument.qty(int(remaining_lots[sells].sum()))
    if found.buy_orders:
        found.own_bid = instrument.price(int(prices[buys].max()))
    if found.sell_orders:
        found.own_ask = instrument.price(int(prices[sells].min()))
    found.gap = found.own_ask - found.own_bid


def read_counters(found: Figures, instance, instrument) -> None:
    feed = instance.block(f"counters.feed.{found.symbol}")
    if feed is not None:
        found.gaps, found.resyncs = int(feed["gaps"]), int(feed["resyncs"])
    quoter = instance.block(f"counters.quoter.{found.symbol}")
    if quoter is not None:
        found.ladders = int(quoter["ladders"])
        found.tick_to_ladder = Latency.of(quoter["tick_to_ladder_ns"])
        found.mode_s, found.mode_entries = earnings.mode_seconds(quoter), earnings.mode_entries(quoter)
        found.mark_outs = earnings.mark_outs(quoter, instrument)
        found.mark_outs_dropped = int(quoter["mark_outs_dropped"])
    gateway = instance.block(f"counters.gateway.{found.symbol}")
    if gateway is not None:
        for name in ("places", "amends", "cancels", "rejects_own", "rejects_venue"):
            setattr(found, name, int(gateway[name]))
        found.near_placed = instrument.qty(int(gateway["placed_near_lots"]))
        found.near_filled = instrument.qty(int(gateway["filled_near_lots"]))
        found.unknown_outcomes = int(gateway["unknown_outcomes"])
        found.tick_to_wire = Latency.of(gateway["tick_to_wire_ns"])
        found.ack = Latency.of(gateway["ack_ns"])


def word(enum, value, prefix: str) -> str:
    """Return an enum value's name without its prefix; a number that has none as that number."""
    try:
        return enum(int(value)).name.removeprefix(prefix)
    except ValueError:
        return str(int(value))


def duration(ns: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"
