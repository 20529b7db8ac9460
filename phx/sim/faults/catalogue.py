"""The faults by name: where each one strikes, what it does, and what can be set of it."""

from enum import Enum
from typing import NamedTuple


class At(Enum):
    """What a fault strikes. ACT happens once when it is switched on, and again every `every_s` where that is set."""

    REQUEST = "request"
    USER_EVENT = "user event"
    FRAME = "market frame"
    ACT = "act"


class Fault(NamedTuple):
    """text: what happens. settings: name → default; what is set must be of its type. lasts: it ends with for_s."""

    name: str
    at: At
    text: str
    settings: dict[str, object]
    lasts: bool


def fault(name: str, at: At, text: str, lasts: bool = True, **settings) -> Fault:
    """Return a row of the catalogue."""
    return Fault(name, at, text, settings, lasts)


TRADING = "trading"  # requests that change orders: places, amendments, cancels
REJECT_CODE = -1001

CATALOGUE = {
    row.name: row
    for row in (
        # ---- requests: what was done and what is answered part ways
        fault("unknown_placed", At.REQUEST, "carried out, answered 503 with an unknown outcome", of="place"),
        fault("unknown_dropped", At.REQUEST, "not carried out, answered 503 with an unknown outcome", of="place"),
        fault(
            "timeout_placed", At.REQUEST, "carried out, answered -1007 (code -1006 likewise)", of="place", code=-1007
        ),
        fault("timeout_dropped", At.REQUEST, "not carried out, answered -1007", of="place", code=-1007),
        fault("overload_placed", At.REQUEST, "carried out, although answered -1008", of="place"),
        fault("unavailable", At.REQUEST, "not carried out: 503 Service Unavailable.", of=TRADING),
        fault("lost_reply", At.REQUEST, "carried out, never answered", of=TRADING),
        fault("lost_request", At.REQUEST, "neither carried out nor answered", of=TRADING),
        fault(
            "late_accept",
            At.REQUEST,
            "answered 503 with an unknown outcome, carried out later",
            of="place",
            delay_s=3.0,
        ),
        fault("slow_request", At.REQUEST, "carried out and answered later", of=TRADING, delay_s=5.0),
        fault("slow_reply", At.REQUEST, "carried out at once, answered later than its events", of=TRADING, delay_s=0.2),
        fault("read_lag", At.REQUEST, "a query does not know an order that is there: -2013", of="query"),
        fault("reject", At.REQUEST, "refused with a code", of="place", code=REJECT_CODE),
        fault("post_only", At.REQUEST, "post-only orders refused with -5022", of="place"),
        fault("partial_batch", At.REQUEST, "single entries of a batch refused with -1001", of="batch"),
        fault("survivor", At.REQUEST, "a cancel of all leaves one order although it says it did not", of="cancel_all"),
        fault("swallowed_cancel", At.REQUEST, "a cancel is acknowledged and not carried out", of="cancel"),
        fault("key_revoked", At.REQUEST, "signed requests refused with -2015", of="signed"),
        fault("bad_gateway", At.REQUEST, "not carried out: 502 with a page of HTML", of="any"),
        fault("outage", At.REQUEST, "not carried out: 503 to everything", of="any"),
        fault("too_many", At.REQUEST, "429 with Retry-After", of="any", retry_after_s=5.0),
        # ---- the user stream
        fault("drop_event", At.USER_EVENT, "never arrives", event="", execution=""),
        fault(
            "late_event", At.USER_EVENT, "arrives later; what follows overtakes it", event="", execution="", delay_s=2.0
        ),
        fault("double_event", At.USER_EVENT, "arrives twice", event="", execution="", delay_s=0.0),
        fault("swap_events", At.USER_EVENT, "arrives after the one that follows it", event="", execution=""),
        fault("strange_event", At.USER_EVENT, "followed by an event, a status and fields nobody knows", event=""),
        fault("silent_user_stream", At.USER_EVENT, "no events at all, the connection lives", event="", execution=""),
        # ---- market data
        fault("gap", At.FRAME, "a depth diff never arrives", stream="depth"),
        fault("silence", At.FRAME, "a stream says nothing, pings go on", stream=""),
        fault("late_frame", At.FRAME, "a frame arrives later; what follows overtakes it", stream="", delay_s=1.0),
        fault("double_frame", At.FRAME, "a frame arrives twice", stream=""),
        fault("swap_frames", At.FRAME, "a frame arrives after the one that follows it", stream=""),
        fault("crossed_book", At.FRAME, "best bid and best ask change places", stream="bookTicker"),
        fault("hostile_frame", At.FRAME, "followed by a frame no client should have to read", stream="", kind=""),
        # ---- acts
        fault("disconnect", At.ACT, "connections break without a word", lasts=False, route="", every_s=0.0),
        fault("end_of_life", At.ACT, "connections are closed as after 24 hours", lasts=False, route="", every_s=0.0),
        fault("half_open", At.ACT, "connections stay open, but nothing comes through either way", route=""),
        fault("refuse_connections", At.ACT, "no WebSocket handshake succeeds", route=""),
        fault("key_expired", At.ACT, "listen keys end with listenKeyExpired", lasts=False, every_s=0.0),
        fault(
            "key_lost",
            At.ACT,
            "listen keys end without an event; keeping one alive is answered -1125",
            lasts=False,
            every_s=0.0,
        ),
        fault("ban", At.ACT, "418 to everything, with Retry-After"),
        fault("closed_door", At.ACT, "403 to everything"),
        fault("overload", At.ACT, "-1008 to orders that do not reduce; cancels go through"),
        fault("limits", At.ACT, "the limits shrink to a share of what exchangeInfo says", share=0.5),
        fault("clock_skew", At.ACT, "the venue's clock is off", skew_ms=5000.0),
        fault("filters", At.ACT, "tick, step or smallest notional grow", symbol="", tick=1, step=1, notional=1),
        fault("halt", At.ACT, "a contract stops trading; its orders expire", symbol="", status="SETTLING"),
        fault(
            "foreign_order",
            At.ACT,
            "an order on the account that no client sent",
            lasts=False,
            symbol="",
            side="BUY",
            qty="",
            price="",
            every_s=0.0,
        ),
        fault("liquidation", At.ACT, "the venue closes the position: autoclose-", lasts=False, symbol=""),
        fault("adl", At.ACT, "the venue closes the position against another's: adl_autoclose", lasts=False, symbol=""),
        fault("hedge_mode", At.ACT, "the account changes its position mode", lasts=False),
    )
}
