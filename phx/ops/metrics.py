"""Prometheus on loopback: every counter of every process and the figures of every symbol, read from shared memory.

A counter's name and HELP text are its field's name and comment in records.pxd, so none is undocumented. Histograms
are folded to 41 edges, two per octave from 1 µs to 1 s.
"""

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from phx import topology
from phx._core.enums import Mode
from phx._core.histogram import EDGES_NS, quantile_ns
from phx.ops.alerts import TABLE
from phx.ops.fields import COUNTER_STRUCTS, counter_fields, is_gauge, is_histogram, metric_name
from phx.ops.figures import Figures, figures
from phx.ops.instance import Instance
from phx.ops.view import deadman_s

log = logging.getLogger("phx")

# Powers of two and 45/32 of them (about √2): edges of buckets, so folding is exact.
FOLDED_NS = np.array(sorted([1 << k for k in range(10, 31)] + [45 << (k - 5) for k in range(10, 30)]), dtype=np.int64)
FOLDED_AT = np.searchsorted(EDGES_NS, FOLDED_NS)
MIDDLES_NS = (EDGES_NS + np.append(EDGES_NS[1:], EDGES_NS[-1])) / 2
QUANTILES = (0.5, 0.99, 0.999, 1.0)

# (name, HELP, what of a symbol's figures), all in quote or base currency, fractions or seconds.
SYMBOL_GAUGES = (
    ("position_size", "inventory, base currency, signed", lambda f: f.position),
    ("position_notional", "inventory at mid, quote currency, signed", lambda f: f.notional),
    ("pnl_realised", "closed profit before fees, quote currency", lambda f: f.realised),
    ("pnl_unrealised", "inventory at mid minus what it cost, quote currency", lambda f: f.unrealised),
    ("pnl_total", "realised + unrealised - fees + funding, quote currency", lambda f: f.pnl),
    ("pnl_no_fees", "the same as if no fee had been paid, quote currency", lambda f: f.pnl_no_fees),
    ("pnl_base_fees", "the same at the fees of the public lowest tier, quote currency", lambda f: f.pnl_base_fees),
    ("pnl_unrealised_mark", "inventory at the mark price minus what it cost", lambda f: f.unrealised_mark),
    ("fees", "paid, rebates negative, quote currency", lambda f: f.fees),
    ("funding_paid", "funding received minus paid, quote currency", lambda f: f.funding),
    ("max_drawdown", "largest fall of the total PnL from its peak, quote currency", lambda f: f.max_drawdown),
    ("pending_buy_size", "quantity of live buy orders, base currency", lambda f: f.pending_buy),
    ("pending_sell_size", "quantity of live sell orders, base currency", lambda f: f.pending_sell),
    ("open_buy_orders", "live buy orders", lambda f: f.buy_orders),
    ("open_sell_orders", "live sell orders", lambda f: f.sell_orders),
    ("unknown_orders", "orders whose outcome is unknown now", lambda f: f.unknown_orders),
    ("own_bid", "price of the nearest live buy order", lambda f: f.own_bid),
    ("own_ask", "price of the nearest live sell order", lambda f: f.own_ask),
    ("own_gap", "from the nearest live buy order to the nearest live sell order, quote currency", lambda f: f.gap),
    ("mid", "middle of the venue's best bid and ask", lambda f: f.mid),
    ("mark", "the venue's mark price", lambda f: f.mark),
    ("spread", "the venue's best ask minus best bid, quote currency", lambda f: f.spread),
    ("funding_rate", "smoothed predicted funding rate, fraction per interval", lambda f: f.funding_rate),
    ("volume", "filled notional of both sides, quote currency", lambda f: f.volume),
    ("taker_volume", "of it: filled as taker, quote currency", lambda f: f.taker_volume),
    ("worst_case_buy", "inventory if every live and wanted buy fills, base currency", lambda f: f.worst_buy),
    ("worst_case_sell", "inventory if every live and wanted sell fills, base currency", lambda f: f.worst_sell),
    ("cancels_per_minute", "cancels sent in the last minute", lambda f: f.cancels_per_minute),
    ("inventory_ratio", "inventory over net_max", lambda f: f.ratio),
    ("inventory_skew", "shift of the reservation price by inventory, quote currency", lambda f: f.skew),
    ("volatility_scaling", "factor on distances by volatility", lambda f: f.vol_scale),
    ("volatility", "standard deviation of mids over the window, fraction of the mid", lambda f: f.sigma),
    ("quoted_share", "share of the quotable time with both sides wanted", lambda f: f.quoted_share),
    ("gateway_ready", "1 = orders may be sent", lambda f: f.ready),
)
MODE_TEXT = "1 for the mode a symbol is in, label mode"
# (name, HELP, what of a mode's time and entries), labels symbol and mode.
MODE_COUNTERS = (
    ("mode_seconds", "time in a mode, label mode", lambda f: f.mode_s),
    ("mode_entries", "transitions into a mode, label mode", lambda f: f.mode_entries),
)
# (name, HELP, what of a mark-out), labels symbol, mode, layer and horizon; only what has fills.
MARK_OUT_LABELS = ("symbol", "mode", "layer", "horizon")
MARK_OUT_GAUGES = (
    ("mark_out_fills", "fills judged after the horizon, labels mode, layer, horizon", lambda m: m.fills),
    ("mark_out_volume", "their notional at their own prices, quote currency", lambda m: m.volume),
    ("mark_out_gain", "their gain against the mid then, positive is good, quote currency", lambda m: m.gain),
    ("mark_out_bps", "the same in basis points of the volume", lambda m: m.bps),
)
DEADMAN_TEXT = "until the venue cancels all if phx falls silent"
HEARTBEAT_TEXT = "age of a process's last sign of life; absent when not ready"
ALERTS_TEXT = "alerts raised since ops began, labels class and severity; their lines are in run/alerts.jsonl"
ACCOUNT_GAUGES = (
    ("total_notional", "positions and orders over all symbols, quote currency", "gross_notional_e8", 1e8),
    ("worst_notional", "the same if every live order filled, quote currency", "worst_notional_e8", 1e8),
    ("wallet", "margin asset balance last seen", "wallet_e8", 1e8),
    ("daily_pnl", "realised + unrealised - fees + funding since 00:00 UTC, quote currency", "daily_pnl_e8", 1e8),
    ("orders_10s", "order count used in 10 s", "orders_10s", 1),
    ("orders_60s", "order count used in 60 s", "orders_60s", 1),
    ("user_stream_up", "1 = the private stream is connected", "user_stream_up", 1),
    ("order_session_up", "1 = the order session is connected", "order_session_up", 1),
)


class Metrics:
    """The collector. watched: symbol → what ops has followed over time, alerts: class → how many; both shared with its
    loop, read only here."""

    def __init__(self, config, watched: dict, alerts: dict[str, int]):
        self.instance = Instance(config)  # its own attachments: it runs in the server's threads
        self.config = config
        self.watched = watched
        self.alerts = alerts
        self.lock = threading.Lock()

    def describe(self):
        return []  # nothing is promised before the first scrape

    def collect(self):
        with self.lock:
            found = [*self.blocks(), *self.symbols(), *self.account(), *self.processes()]
        return iter(found)

    def blocks(self):
        """Return every counter block of every process."""
        for kind in COUNTER_STRUCTS:
            label = "process" if kind == "process" else "symbol"
            names = self.block_names(kind)
            read = {name: self.instance.block(segment) for name, segment in names.items()}
            present = {name: block for name, block in read.items() if block is not None}
            for field in counter_fields(kind):
                yield from families(metric_name(kind, field), field, label, present)

    def block_names(self, kind: str) -> dict[str, str]:
        if kind == "process":
            return {name: f"process.{name}" for name in topology.processes(self.config)}
        symbols = self.config.instrument_ids() if kind == "feed" else self.config.traded()
        return {symbol: f"counters.{kind}.{symbol}" for symbol in symbols}

    def symbols(self):
        """Return the figures of every traded symbol."""
        read = [self.figures_of(symbol) for symbol in self.config.traded()]
        for name, text, value in SYMBOL_GAUGES:
            family = GaugeMetricFamily(f"phx_{name}", text, labels=["symbol"])
            for found in read:
                family.add_metric([found.symbol], float(value(found)))
            yield family
        mode = GaugeMetricFamily("phx_strategy_mode", MODE_TEXT, labels=["symbol", "mode"])
        for found in read:
            for word in Mode:
                name = word.name.removeprefix("MODE_")
                mode.add_metric([found.symbol, name.lower()], float(found.mode == name))
        yield mode
        yield from mode_families(read)
        yield from mark_out_families(read)

    def figures_of(self, symbol: str) -> Figures:
        found = figures(self.instance, symbol)
        if (watched := self.watched.get(symbol)) is not None and watched.cancels:
            found.max_drawdown = watched.max_drawdown
            found.cancels_per_minute = watched.cancels_per_minute()
        return found

    def account(self):
        account = self.instance.newest("account")
        for name, text, field, unit in ACCOUNT_GAUGES:
            if account is not None:
                yield GaugeMetricFamily(f"phx_{name}", text, value=float(account[field]) / unit)
        if (left_s := deadman_s(self.instance)) is not None:
            yield GaugeMetricFamily("phx_deadman_remaining_seconds", DEADMAN_TEXT, value=left_s)

    def processes(self):
        family = GaugeMetricFamily("phx_heartbeat_age_seconds", HEARTBEAT_TEXT, labels=["process"])
        for name in topology.processes(self.config):
            if (age_ns := self.instance.heartbeat_age_ns(name)) is not None:
                family.add_metric([name], age_ns / 1e9)
        yield family
        alerts = CounterMetricFamily("phx_alerts", ALERTS_TEXT, labels=["class", "severity"])
        for row in TABLE:
            alerts.add_metric([row.name, row.severity], self.alerts.get(row.name, 0))
        yield alerts


def mode_families(read: list[Figures]):
    """Return time and transitions by mode; both count within a quoter's life."""
    for name, text, value in MODE_COUNTERS:
        family = CounterMetricFamily(f"phx_{name}", text, labels=["symbol", "mode"])
        for found in read:
            for mode, amount in value(found).items():
                family.add_metric([found.symbol, mode], amount)
        yield family


def mark_out_families(read: list[Figures]):
    """Return what fills were worth later, by mode, layer and horizon."""
    for name, text, value in MARK_OUT_GAUGES:
        family = GaugeMetricFamily(f"phx_{name}", text, labels=MARK_OUT_LABELS)
        for found in read:
            for m in found.mark_outs:
                family.add_metric([found.symbol, m.mode, m.layer, f"{m.horizon_s}s"], float(value(m)))
        yield family


def families(name: str, field, label: str, blocks: dict):
    """Return the metric families of one field over several blocks."""
    text = field.comment or field.name.replace("_", " ")
    if not is_histogram(field):
        kind = GaugeMetricFamily if is_gauge(field) else CounterMetricFamily
        family = kind(name, text, labels=[label])
        for owner, block in blocks.items():
            family.add_metric([owner], float(block[field.name]))
        return [family]
    histogram = HistogramMetricFamily(name, text, labels=[label])
    quantiles = GaugeMetricFamily(f"{name}_quantile", f"{text}: quantiles since start", labels=[label, "quantile"])
    for owner, block in blocks.items():
        buckets = block[field.name]
        histogram.add_metric([owner], folded(buckets), sum_value=float(np.dot(buckets, MIDDLES_NS)) / 1e9)
        for share in QUANTILES:
            quantiles.add_metric([owner, f"{share:g}"], float(quantile_ns(buckets, share)) / 1e9)
    return [histogram, quantiles]


def folded(buckets) -> list[tuple[str, float]]:
    """Return (le, cumulative count) pairs; le is edge / 1e9, since times 1e-9 gives unstable labels."""
    counts = np.concatenate(([0], np.cumsum(buckets)))
    pairs = [(repr(int(edge) / 1e9), float(counts[at])) for edge, at in zip(FOLDED_NS, FOLDED_AT, strict=True)]
    return [*pairs, ("+Inf", float(counts[-1]))]


def serve(metrics: Metrics, port: int) -> ThreadingHTTPServer:
    """Serve the metrics at http://127.0.0.1:port/metrics from a thread of its own. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(metrics)

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self):
            # A browser that was talked into asking for us by another name gets nothing.
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if host not in ("127.0.0.1", "localhost") or self.path not in ("/metrics", "/"):
                self.send_error(404)
                return
            body = generate_latest(registry)
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("ops: metrics at http://127.0.0.1:%d/metrics", server.server_address[1])
    return server
