"""The faults by name: where each one strikes, what it does, and what can be set of it."""

from enum import Enum
from typing import NamedTuple


class At(Enum):
    """What a fault strikes. ACT happens once when it is switched on, and again every `every_s` where that is set."""

    REQUEST = "request"
    USER_EVENT = "user event"
    FRAME = "market frame"
    HANDSHAKE = "handshake"
    ACT = "act"


class Fault(NamedTuple):
    """text: what happens. settings: name → default; what is set must be of its type. lasts: it ends with for_s."""

    name: str
    at: At
    text: str
    settings: dict[str, object]
    lasts: bool


COMMON = {"rate": 1.0, "seed": 1, "after_s": 0.0, "for_s": 0.0, "count": 0}
OF_ORDERS = {"account": 0, "symbol": ""}
ON_ACCOUNT = {"account": 0}
ROUTES = ("", "public", "market", "private", "api")

# What may be set of a setting that is a choice.
CHOICES: dict[str, tuple[str, ...]] = {
    "of": ("place", "amend", "cancel", "cancel_all", "batch", "query", "depth", "trading", "signed", "any"),
    "side": ("BUY", "SELL"),
    "controlled": ("BOTH", "BUY", "SELL"),
    "what": ("", "weight", "orders"),
    "body": ("", "cut", "empty", "html", "text", "huge", "deep", "not_utf8", "numbers"),
    "payload": ("", "huge", "deep", "cut", "not_utf8", "numbers", "null", "lines", "empty", "html"),
    "frame": ("", "deflate", "oversized", "binary", "fragment", "opcode", "masked", "not_utf8"),
    "number": ("", "NaN", "1e400", "-Infinity", "-1", "0", "-0", "null", "empty"),
    "how": ("404", "403", "418", "503", "close", "reset"),
    "error": ("-1006", "-1007"),
}


def on_request(name: str, text: str, of: str, **settings) -> Fault:
    return Fault(name, At.REQUEST, text, {"of": of, **OF_ORDERS, **settings}, True)


def on_event(name: str, text: str, **settings) -> Fault:
    return Fault(name, At.USER_EVENT, text, {"event": "", "execution": "", **OF_ORDERS, **settings}, True)


def on_frame(name: str, text: str, stream: str = "", **settings) -> Fault:
    return Fault(name, At.FRAME, text, {"stream": stream, "symbol": "", **settings}, True)


def once(name: str, text: str, **settings) -> Fault:
    """Return an act that leaves nothing to take back; it can come again."""
    return Fault(name, At.ACT, text, {**settings, "every_s": 0.0}, False)


def lasting(name: str, text: str, **settings) -> Fault:
    """Return an act whose effect ends with it."""
    return Fault(name, At.ACT, text, settings, True)


TRADING = "trading"  # requests that change orders: places, amendments, cancels, batches

CATALOGUE = {
    row.name: row
    for row in (
        # ---- requests: what was done and what is answered part ways
        on_request("unknown_placed", "carried out, answered 503 with an unknown outcome", "place"),
        on_request("unknown_dropped", "not carried out, answered 503 with an unknown outcome", "place"),
        on_request("timeout_placed", "carried out, answered -1007 (408) or -1006", "place", error="-1007"),
        on_request("timeout_dropped", "not carried out, answered -1007 (408) or -1006", "place", error="-1007"),
        on_request("overload_placed", "carried out, although answered -1008", "place"),
        on_request("overload_dropped", "not carried out, answered -1008; reduce-only orders too", "place"),
        on_request("internal_error", "not carried out: 503 with -1001", TRADING),
        on_request("unavailable", "not carried out: 503 Service Unavailable.", TRADING),
        on_request("lost_reply", "carried out, never answered", TRADING),
        on_request("lost_request", "neither carried out nor answered", TRADING),
        on_request("torn_reply", "carried out; the connection is reset within the answer", TRADING),
        on_request("torn_request", "not carried out; the connection is reset", TRADING),
        on_request("late_accept", "answered 503 with an unknown outcome, carried out later", "place", delay_s=3.0),
        on_request("slow_request", "carried out and answered later", TRADING, delay_s=5.0),
        on_request("slow_reply", "carried out at once, answered later than its events", TRADING, delay_s=0.2),
        on_request("read_lag", "queries do not know orders younger than lag_s: -2013", "query", lag_s=2.0),
        on_request("reject", "refused with a code", "place", code=-2019),
        on_request("post_only", "post-only orders refused with -5022 whatever the book", "place"),
        on_request("post_only_expires", "post-only orders that would take end as EXPIRED, without an error", "place"),
        on_request("partial_batch", "every second entry of a batch is refused with a code", "batch", code=-1001),
        on_request("survivor", "a cancel of all leaves one order although it says it did not", "cancel_all"),
        on_request("swallowed_cancel", "a cancel is acknowledged and not carried out", "cancel"),
        on_request("stale_snapshot", "depth snapshots are older than they should be, up to lag_s", "depth", lag_s=5.0),
        on_request("strange_answer", "a status and fields nobody knows in an answer", "query"),
        on_request(
            "hostile_body", "carried out; the answer is no answer (kinds: `body`; each in turn)", "any", body=""
        ),
        on_request("key_revoked", "signed requests refused: -2015, or another code", "signed", code=-2015),
        on_request("bad_gateway", "not carried out: 502 with a page of HTML", "any"),
        on_request("outage", "not carried out: 503 to everything", "any"),
        on_request("too_many", "429 with Retry-After", "any", retry_after_s=5.0),
        on_request("ban", "418 with Retry-After; handshakes too", "any", retry_after_s=120.0),
        on_request("closed_door", "403 with a page; handshakes too", "any"),
        # ---- the user stream
        on_event("drop_event", "never arrives"),
        on_event("late_event", "arrives later; what follows overtakes it", delay_s=2.0),
        on_event("double_event", "arrives twice", delay_s=0.0),
        on_event("swap_events", "arrives after the one that follows it"),
        on_event("strange_event", "with fields nobody knows, followed by events nobody knows"),
        on_event("strange_status", "an order event with an execution and a status nobody knows"),
        on_event("bad_event_numbers", "its numbers are none (kinds: `number`; each in turn)", number=""),
        on_event("silent_user_stream", "no events at all; connection, pings and listen key live"),
        on_event("replayed_events", "the newest events again to who connects again", last=3),
        # ---- market data
        on_frame("gap", "a depth diff never arrives", "depth@"),
        on_frame("silence", "a stream says nothing, pings go on"),
        on_frame("late_frame", "a frame arrives later; what follows overtakes it", delay_s=1.0),
        on_frame("double_frame", "a frame arrives twice"),
        on_frame("swap_frames", "a frame arrives after the one that follows it"),
        on_frame("crossed_book", "best bid and best ask change places, in depth the sides"),
        on_frame("empty_side", "one side of the book is gone", side="SELL"),
        on_frame("bad_numbers", "its numbers are none (kinds: `number`; each in turn)", number=""),
        on_frame("hostile_payload", "followed by a text nobody should have to read (kinds: `payload`)", payload=""),
        on_frame("hostile_frame", "followed by bytes that are no frame of text (kinds: `frame`)", frame=""),
        on_frame("torn_frame", "breaks off within itself, with the connection"),
        # ---- connections and listen keys
        Fault(
            "refuse_connections",
            At.HANDSHAKE,
            "no handshake succeeds: answered 404, 403, 418, 503, accepted and closed, or reset; of REST always reset",
            {"route": "", "how": "404"},
            True,
        ),
        once("disconnect", "connections are reset without a word", route=""),
        once("end_of_life", "connections are closed as after 24 hours", route=""),
        lasting("half_open", "connections stay open, but nothing comes through either way", route=""),
        once("key_expired", "listen keys end with listenKeyExpired", **ON_ACCOUNT),
        once("key_lost", "listen keys end without an event; keeping one alive is answered -1125", **ON_ACCOUNT),
        # ---- limits, clock, dead man's switch
        lasting("overload", "-1008 to orders that do not reduce; cancels go through"),
        lasting("limits", "limits shrink to a share of what exchangeInfo says", what="", share=0.5),
        lasting("listed_limits", "limits shrink to a share, and exchangeInfo says so", what="", share=0.5),
        lasting("clock_skew", "the venue's clock is off, at once or growing over ramp_s", skew_ms=5000.0, ramp_s=0.0),
        lasting("countdown_late", "dead man's switches fire late_s late, with 0 never", late_s=0.0),
        # ---- contracts
        lasting("filters", "tick, step or smallest notional grow by factors", symbol="", tick=1, step=1, notional=1),
        lasting("band", "the price band narrows to this share of the mark", symbol="", width=0.0001),
        lasting("halt", "a contract stops trading; its orders expire (er 7)", symbol="", status="SETTLING"),
        lasting("risk_control", "a contract takes orders that reduce only", symbol="", controlled="BOTH"),
        # ---- the account: what somebody else, or the venue itself, does with it
        lasting("hedge_mode", "the position mode is the other one", **ON_ACCOUNT),
        lasting("multi_assets", "multi-assets mode is the other one", **ON_ACCOUNT),
        lasting("leverage", "the leverage is another", **OF_ORDERS, leverage=1),
        lasting("margin_type", "the margin type is the other one", **OF_ORDERS),
        once("foreign_order", "an order no client sent", **OF_ORDERS, side="BUY", qty="", price=""),
        once("foreign_cancel", "all open orders are cancelled by somebody else", **OF_ORDERS),
        once("expire_orders", "all open orders expire for a reason, 0 to 9", **OF_ORDERS, reason=6),
        once("liquidation", "the venue closes positions, in parts: autoclose-", **OF_ORDERS, parts=1),
        once("adl", "the venue closes positions against others: adl_autoclose", **OF_ORDERS),
        once("settlement", "the venue settles positions: settlement_autoclose-", **OF_ORDERS),
    )
}
CHOICES["route"] = (*ROUTES, "rest")
