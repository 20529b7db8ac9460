"""The alerts: one row per class of incident, each with how it is seen. A new class is a new row.

ops looks several times a second at what every process leaves in shared memory and in the run folder. An incident
alerts once when it begins, and again only after it was over for a while.
"""

import shutil
import time
from collections.abc import Callable
from typing import NamedTuple

from phx import latches
from phx.ops.alert_log import AlertLog
from phx.ops.sightings import Sightings

PAGE, WARN = "page", "warn"  # somebody has to look now; somebody should look today
OVER_S = 10.0  # an incident that was away for so long is a new one

Incidents = dict[object, tuple[str, str]]  # what it is, so that it is known again → (symbol or "", text)


class Row(NamedTuple):
    """One class. look: what of it is going on now."""

    name: str
    severity: str
    look: Callable[[Sightings], Incidents]


class Alerts:
    """Turns what is seen into alerts; `log` keeps them."""

    def __init__(self, instance):
        self.sightings = Sightings(instance)
        self.log = AlertLog(instance.config.run_folder(), [row.name for row in TABLE])
        self._last_s: dict[tuple, float] = {}

    def look(self) -> None:
        """Raise an alert for each incident that is new. Raises OSError when one cannot be written; it is counted."""
        now_s = time.monotonic()
        self.sightings.look(now_s)
        failed = None
        for row in TABLE:
            for incident, (symbol, text) in row.look(self.sightings).items():
                key = (row.name, incident)
                going_on = now_s - self._last_s.get(key, -OVER_S) < OVER_S
                self._last_s[key] = now_s
                if going_on:
                    continue
                try:
                    self.log.write(row.name, row.severity, symbol, text)
                except OSError as error:
                    failed = error
        self._last_s = {key: last_s for key, last_s in self._last_s.items() if now_s - last_s < OVER_S}
        if failed is not None:
            raise failed


# ---- latches: each by what its reason begins with; the last row takes all others

LATCHED = {
    "daily_loss": latches.DAILY_LOSS,
    "throttle": "execution throttle",
    "protection_latched": "market-maker protection",
    "forced_order": "forced order",
    "key_lost": "the venue refuses the API key",
    "contract_changed": "sizes do not fit",
    "journal_stuck": "journal not written",
    "drift_latched": "the venue differs",
    "override_refused": "override refused",
}


def latched(name: str = "") -> Callable[[Sightings], Incidents]:
    begins = (LATCHED[name],) if name else ()

    def look(seen: Sightings) -> Incidents:
        return {
            (latch.name, latch.ts_ns): (latch.symbol, f"{latch.name} latched: {latch.reason}")
            for latch in seen.latches
            if latch.reason.startswith(begins or tuple(LATCHED.values())) == bool(begins)
        }

    return look


# ---- counters: an incident is that one rose


def counted(kind: str, field: str, text: str) -> Callable[[Sightings], Incidents]:
    """kind: feed, quoter, gateway (one block per symbol) or process. text: with {n}, how many, and {who}."""

    def look(seen: Sightings) -> Incidents:
        risen = seen.risen(kind, field).items()
        return {who: ("" if kind == "process" else who, text.format(n=n, who=who)) for who, n in risen}

    return look


# ---- processes

SILENT_NS = 1_000_000_000
DOWN_S = 15.0  # an end without an error: another start may be under way, or all of it ends


def silent(seen: Sightings) -> Incidents:
    """Hung, stopped or killed: the last sign of life is old."""
    ages = {name: age_ns for name, age_ns in seen.heartbeat_ages_ns.items() if age_ns is not None}
    return {
        name: ("", f"{name} gave no sign of life for {age_ns / 1e9:.1f} s")
        for name, age_ns in ages.items()
        if age_ns > SILENT_NS
    }


def down(seen: Sightings) -> Incidents:
    gone = {name: gone_s for name, gone_s in seen.gone_s.items() if gone_s > DOWN_S}
    return {name: ("", f"{name} is not up; see its log") for name in gone}


def restarted(seen: Sightings) -> Incidents:
    return {(name, n): ("", f"{name} was started anew, {n} times by now") for name, n in seen.began_anew.items()}


# ---- quoting and orders

NOT_QUOTING_S = 3.0
ONE_SIDED_S = 10.0
UNKNOWN_NS = 5_000_000_000  # an outcome is known within this time


def not_quoting(seen: Sightings) -> Incidents:
    found: Incidents = {}
    for symbol, since_s in seen.paused_since_s.items():
        if seen.now_s - since_s > NOT_QUOTING_S:
            found[symbol] = (symbol, f"not quoting: {seen.reasons[symbol].lower().replace('_', ' ')}")
    for symbol, since_s in seen.one_sided_since_s.items():
        if symbol not in found and seen.now_s - since_s > ONE_SIDED_S:
            found[symbol] = (symbol, "no order on a side, although nothing speaks against it")
    return found


def stopped_out(seen: Sightings) -> Incidents:
    return {s: (s, f"closing the position: {why.lower().replace('_', ' ')}") for s, why in seen.stops.items()}


def unknown_order(seen: Sightings) -> Incidents:
    found: Incidents = {}
    for symbol in seen.traded:
        old = [(age_ns, i) for of, i, age_ns in seen.unknown_orders if of == symbol and age_ns > UNKNOWN_NS]
        if old:
            age_ns, intent_id = max(old)
            text = f"{len(old)} orders with an unknown outcome, {intent_id} for {age_ns / 1e9:.0f} s"
            found[symbol] = (symbol, text)
    return found


def drift(seen: Sightings) -> Incidents:
    return {(d.symbol, d.kind): (d.symbol, f"the guardian's own look at the venue: {d.text}") for d in seen.differences}


# ---- the venue


def line_down(field: str, what: str) -> Callable[[Sightings], Incidents]:
    return lambda seen: {field: ("", f"{what} is down")} if seen.down_for_s(field) > 1.0 else {}


def dead_man(seen: Sightings) -> Incidents:
    """Not armed, or refreshed so late that the gateway adds nothing: fewer than P ahead."""
    found = {}
    for symbol, left_ns in seen.deadman_left_ns.items():
        if left_ns < seen.deadman_period_ns:
            shown = f"{max(0, left_ns) / 1e9:.1f} s left" if left_ns > 0 else "not armed"
            found[symbol] = (symbol, f"dead man's switch: {shown}")
    return found


def banned(seen: Sightings) -> Incidents:
    left_s = (seen.banned_until_ns - time.time_ns()) / 1e9
    return {seen.banned_until_ns: ("", f"the venue answers nobody here for {left_s:.0f} s")} if left_s > 0 else {}


CLOCK_NS = 250_000_000


def clock(seen: Sightings) -> Incidents:
    """Market data of every symbol comes before it happened, or long after."""
    if not seen.least_lateness_ns:
        return {}
    symbol, late_ns = min(seen.least_lateness_ns.items(), key=lambda item: abs(item[1]))
    text = f"the venue's clock is {-late_ns / 1e6:+.0f} ms from ours by the market data of {symbol}, or that is late"
    return {"clock": ("", text)} if abs(late_ns) > CLOCK_NS else {}


STORM = 5  # books rebuilt within STORM_S
STORM_S = 60.0


def resync_storm(seen: Sightings) -> Incidents:
    found = {symbol: seen.risen_within("feed", "resyncs", symbol, STORM_S) for symbol in seen.fed}
    return {s: (s, f"{n} books rebuilt within {STORM_S:.0f} s") for s, n in found.items() if n >= STORM}


# ---- this host, and what people do

LEAST_DISK_BYTES = 100 * 1024 * 1024
JOURNAL_S = 2.0


def disk(seen: Sightings) -> Incidents:
    free = shutil.disk_usage(seen.run_folder).free
    return {"disk": ("", f"{free // 2**20} MiB left in {seen.run_folder}")} if free < LEAST_DISK_BYTES else {}


def journal_behind(seen: Sightings) -> Incidents:
    late_s = seen.journal_late_s
    return {"journal": ("", f"the journal is {late_s:.0f} s behind on disk")} if late_s > JOURNAL_S else {}


def override(seen: Sightings) -> Incidents:
    """Limits are raised for a while: to be known for as long as it lasts."""
    if seen.override is None:
        return {}
    return {seen.override.since_ns: ("", f"limits raised by uid {seen.override.uid} until {seen.override.until}")}


TABLE = (
    Row("process_silent", PAGE, silent),
    Row("process_down", PAGE, down),
    Row("process_restarted", WARN, restarted),
    Row("process_froze", WARN, counted("process", "freezes", "{who} did not run for a while")),
    Row("guardian_acted", WARN, counted("process", "interventions", "the guardian acted for a process {n} times")),
    *(Row(name, PAGE, latched(name)) for name in LATCHED),
    Row("latched", PAGE, latched()),
    Row("not_quoting", PAGE, not_quoting),
    Row("stopped_out", PAGE, stopped_out),
    Row("protection", WARN, counted("gateway", "protections", "market-maker protection pulled both sides")),
    Row("unknown_order", PAGE, unknown_order),
    Row("foreign_order", WARN, counted("process", "foreign_orders", "{n} orders on the account are not ours")),
    Row("foreign_fill", PAGE, counted("gateway", "fills_foreign", "{n} fills of orders that are not ours")),
    Row("zombie", WARN, counted("process", "zombies", "{n} orders appeared after their absence was believed")),
    Row("position_drift", PAGE, counted("gateway", "position_drift", "the gateway took the venue's position")),
    Row("drift", PAGE, drift),
    Row("rate_limited", WARN, counted("process", "rate_limited", "{who}: {n} answers 429 or 418")),
    Row("banned", PAGE, banned),
    Row("user_stream_down", WARN, line_down("user_stream_up", "the account's stream")),
    Row("order_session_down", WARN, line_down("order_session_up", "the order session")),
    Row("dead_man", PAGE, dead_man),
    Row("feed_silent", WARN, counted("feed", "silent_streams", "{n} streams fell silent")),
    Row("feed_gap", WARN, counted("feed", "gaps", "{n} gaps in the depth stream")),
    Row("feed_crossed", WARN, counted("feed", "crossed", "{n} crossed books")),
    Row("resync_storm", PAGE, resync_storm),
    Row("clock", WARN, clock),
    Row("journal_behind", PAGE, journal_behind),
    Row("disk", PAGE, disk),
    Row("config_refused", WARN, counted("process", "config_refused", "a changed configuration was refused")),
    Row("override", WARN, override),
    Row("error", WARN, counted("process", "errors", "{who} logged {n} errors")),
)
