"""What a person sees: one screen of a running instance, and one line of it for a log."""

import math
import time

from phx import topology
from phx.latches import Latches
from phx.ops import alert_log, limits_in_force
from phx.ops.figures import Figures, figures
from phx.process import HUNG_NS

ALERTS, ALERTS_NS = 5, 3_600_000_000_000  # so many of the last hour are shown
CLEAR = "\x1b[H\x1b[2J"
BLOCKED = {
    "NOT_READY": "the venue does not take orders: not at all, or not of this symbol (see gateway.log)",
    "USER_STREAM": "the account's stream is down or not caught up with",
    "NO_PROOF": "the dead man's switch is not armed",
    "STALE_LADDER": "no fresh ladder from the quoter",
}
COLUMNS = (
    "symbol    mode       mid         own bid      own ask      position    PnL       fills  orders  "
    "canc/min  tick-ladder p50/p99  tick-wire p50/p99"
)


class View:
    """Renders an instance, once or again and again. Rates are over the gateway's life, which counts them."""

    def __init__(self, instance):
        self.instance = instance
        self.config = instance.config

    def screen(self) -> list[str]:
        """Return the lines of one screen."""
        lines = [self.headline(), "", COLUMNS]
        for symbol in self.config.traded():
            found = figures(self.instance, symbol)
            lines.append(self.row(found))
            lines.append(f"{'':10}{second_row(found, self.why_not_quoting(found))}")
        lines += ["", self.process_line(), *limits_in_force.lines(self.config, self.instance)]
        latched = Latches(self.config.run_folder()).all()
        lines += [f"latched: {latch.name}: {latch.reason}; phx enable clears it" for latch in latched]
        shown = alert_log.newest(self.config.run_folder(), ALERTS, time.time_ns() - ALERTS_NS)
        return lines + [alert_line(alert) for alert in shown]

    def headline(self) -> str:
        parts = [f"phx {self.config.global_.instance}", self.config.venue.environment, clock(self.age_s())]
        account = self.instance.newest("account")
        if account is not None:
            parts.append(f"orders 10s {account['orders_10s']}, 60s {account['orders_60s']}")
            parts.append(f"gross {account['gross_notional_e8'] / 1e8:,.0f}")
        if (left_s := deadman_s(self.instance)) is not None:
            parts.append(f"dead man's switch {left_s:.1f} s")
        return "   ".join(parts)

    def row(self, f: Figures) -> str:
        minutes = max(self.age_s(), 60.0) / 60
        return (
            f"{f.symbol:<10}{f.mode.lower():<11}{price(f.mid):<12}{price(f.own_bid):<13}{price(f.own_ask):<13}"
            f"{f.position:<+12.6g}{f.pnl:<+10.2f}{f.fills:<7}{f'{f.buy_orders}+{f.sell_orders}':<8}"
            f"{f.cancels / minutes:<10.1f}{f.tick_to_ladder.text():<21}{f.tick_to_wire.text()}"
        )

    def line(self) -> str:
        """Return the same in one line, for output that is no terminal."""
        parts = []
        for symbol in self.config.traded():
            f = figures(self.instance, symbol)
            why = f" ({why})" if (why := self.why_not_quoting(f)) else ""
            parts.append(
                f"{symbol} {f.mode.lower()}{why} mid {price(f.mid)} orders {f.buy_orders}+{f.sell_orders} "
                f"fills {f.fills} position {f.position:+.6g} PnL {f.pnl:+.2f}, without fees {f.pnl_no_fees:+.2f}, "
                f"at base fees {f.pnl_base_fees:+.2f}"
            )
        return f"{clock(self.age_s())}  " + "; ".join(parts)

    def process_line(self) -> str:
        words = []
        restarts = self.instance.restarts()
        for name in topology.processes(self.config):
            again = f", {restarts[name]} restarts" if name in restarts else ""
            words.append(f"{name} {self.life_of(name)}{again}")
        return "   ".join(words)

    def life_of(self, process: str) -> str:
        age_ns = self.instance.heartbeat_age_ns(process)
        return "not ready" if age_ns is None else "ok" if age_ns < HUNG_NS else f"silent {age_ns / 1e9:.1f} s"

    def why_not_quoting(self, f: Figures) -> str:
        """Return why a symbol is not quoted: who does not live, since what it last said is old, else what is said."""
        said = why_not_quoting(f)
        feeds = [f"feed.{group}" for group, symbols in self.config.feed_groups().items() if f.symbol in symbols]
        lives = {name: self.life_of(name) for name in (*feeds, f"quoter.{f.symbol}", "gateway", "guardian")}
        return ", ".join(f"{name} {life}" for name, life in lives.items() if life != "ok") or said if said else ""

    def age_s(self) -> float:
        return self.instance.age_s("gateway") or 0.0


def alert_line(alert: dict) -> str:
    at = time.strftime("%H:%M:%S", time.gmtime(alert["ts_ns"] / 1e9))
    symbol = f" {alert['symbol']}" if alert["symbol"] else ""
    return f"alert {at} UTC {alert['severity']} {alert['class']}{symbol}: {alert['text']}"


def second_row(f: Figures, why: str) -> str:
    """Return why it is in its mode, how full it is, and what it earned under other fees and by the mark price."""
    why = why or ("quoting" if f.reason == "NONE" else f.reason.lower().replace("_", " "))
    ratio = "-" if math.isnan(f.ratio) else f"{f.ratio:+.1%}"
    gap = "-" if math.isnan(f.gap) else f"{f.gap:.6g}"
    by_mark = f.pnl - f.unrealised + f.unrealised_mark
    return (
        f"{why}; inventory {ratio} of net_max, gap {gap}; PnL without fees {f.pnl_no_fees:+.2f}, "
        f"at base fees {f.pnl_base_fees:+.2f}, by the mark price {'-' if math.isnan(by_mark) else f'{by_mark:+.2f}'}"
    )


def why_not_quoting(f: Figures) -> str:
    """Return why a symbol shows no orders on some side, "" when it does on both."""
    if f.quotes_both_sides:
        return ""
    if f.reason != "NONE":
        return f.reason.lower().replace("_", " ")
    if not f.ready:
        return "gateway not ready"
    if f.blocked != "NONE":
        return BLOCKED.get(f.blocked, f.blocked.lower().replace("_", " "))
    return "no order on " + " and ".join(s for s, n in (("buy", f.buy_orders), ("sell", f.sell_orders)) if not n)


def deadman_s(instance) -> float | None:
    """Return the seconds until the venue cancels all if we fall silent, the earliest symbol's; None: not armed."""
    proof = instance.newest("proof")
    if proof is None:
        return None
    ids = [instance.config.instrument_ids()[symbol] for symbol in instance.config.traded()]
    deadlines = [int(proof["deadline_mono_ns"][i]) for i in ids]
    return (min(deadlines) - time.monotonic_ns()) / 1e9 if min(deadlines) > 0 else None


def book_lines(instance, symbol: str, levels: int = 10) -> list[str]:
    """Return a symbol's live book as text, asks on top, our own orders marked."""
    book, instrument = instance.newest(f"book.{symbol}"), instance.instruments().get(symbol)
    if book is None or instrument is None:
        return [f"{symbol}: no book yet"]
    own = instance.newest(f"own.{symbol}") if symbol in instance.config.symbols else None
    ours = set() if own is None else {(int(s), int(p)) for s, p in live_orders(own)}
    lines = [f"{symbol}   update {book['update_id']}   sync {book['sync_id']}   flags {book['flags']}"]
    for side, name in ((-1, "ask"), (1, "bid")):
        shown = min(levels, int(book[f"{name}_levels"]))
        rungs = [(int(book[f"{name}_price_ticks"][i]), int(book[f"{name}_qty_lots"][i])) for i in range(shown)]
        for ticks, lots in rungs if side > 0 else reversed(rungs):
            mark = " <- ours" if (side, ticks) in ours else ""
            lines.append(f"{name} {instrument.price_text(ticks):>14} {instrument.qty_text(lots):>14}{mark}")
    return lines


def book_tree(instance, symbol: str) -> dict | None:
    """Return a symbol's live book for JSON: prices and quantities as the venue writes them."""
    book, instrument = instance.newest(f"book.{symbol}"), instance.instruments().get(symbol)
    if book is None or instrument is None:
        return None
    tree = {"symbol": symbol, "update_id": int(book["update_id"]), "ts_event_ns": int(book["ts_event_ns"])}
    tree |= {"sync_id": int(book["sync_id"]), "flags": int(book["flags"])}
    for name in ("bid", "ask"):
        rungs = range(int(book[f"{name}_levels"]))
        ticks, lots = book[f"{name}_price_ticks"], book[f"{name}_qty_lots"]
        tree[f"{name}s"] = [[instrument.price_text(int(ticks[i])), instrument.qty_text(int(lots[i]))] for i in rungs]
    return tree


def live_orders(own):
    rows = int(own["orders"])
    return zip(own["side"][:rows], own["price_ticks"][:rows], strict=True)


def price(value: float) -> str:
    """Return a price with at least two decimals and six digits: 64,000.25 and 0.0123410."""
    if math.isnan(value):
        return "-"
    decimals = 2 if value == 0 else max(2, 5 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:d}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"
