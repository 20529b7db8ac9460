"""What becomes of one request: refused before it is carried out, answered with something else after, late, or never."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from phx.sim.faults.catalogue import TRADING, At
from phx.sim.faults.hostile import BODIES
from phx.sim.faults.switchboard import Active, Switchboard
from phx.sim.refusals import MESSAGES, Blocked, Refused

UNKNOWN = "Unknown error, please check your request or try again later."
INTERNAL = "Internal error; unable to process your request. Please try again."
UNAVAILABLE = "Service Unavailable."
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
TIMEOUTS = {
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
}
CHANGES_ORDERS = ("place", "amend", "cancel", "cancel_all", "batch")


class Page(Refused):
    """An answer that is no JSON, from something between client and venue. Over the WS-API it is an internal error."""

    def __init__(self, status: int, page: str):
        super().__init__(-1001, message=INTERNAL, status=status)
        self.page = page
        self.content_type = "text/html" if page.startswith("<") else "text/plain"


class Fate(NamedTuple):
    """What goes wrong with a request, and when its answer goes out.

    before: answered so, nothing is done, unless accept_in_s says when. after: done, answered so. wait_s: before it is
    done. reply_in_s: how much later the answer goes out, None for never. torn: the connection is reset within the
    answer. change: the answer as it is → as it is sent. body: a kind of hostile body. active: the fault.
    """

    before: Refused | None = None
    after: Refused | None = None
    accept_in_s: float | None = None
    wait_s: float = 0.0
    reply_in_s: float | None = 0.0
    torn: bool = False
    change: Callable[[object], object] | None = None
    body: str = ""
    active: Active | None = None

    def written(self, payload: bytes) -> tuple[bytes, str]:
        """Return what goes out of an encoded answer, and its content type."""
        if not self.body:
            return payload, "application/json"
        spoil, content_type = BODIES[self.body]
        return spoil(payload), content_type


UNHARMED = Fate()


def unknown() -> Refused:
    return Refused(-1000, message=UNKNOWN, status=503)


def timeout(active: Active) -> Refused:
    code = int(active["error"])
    return Refused(code, message=TIMEOUTS[code], status=408 if code == -1007 else 503)


def internal() -> Refused:
    return Refused(-1001, message=INTERNAL, status=503)


def refusal(code: int) -> Refused:
    """Return a refusal of any code, in the venue's words where they are known."""
    if code == -1001:
        return internal()
    text = MESSAGES.get(code, "Unknown error.")
    return Refused(code, message=text.replace("{}", "0"))


def banned(active: Active, now_ms: int) -> Refused:
    left_s = max(1, round(active["retry_after_s"]))
    until_ms = active.until_ms or now_ms + left_s * 1000
    message = (
        f"Way too many requests; IP banned until {until_ms}. Please use the websocket for live updates to avoid bans."
    )
    return Refused(-1003, message=message, status=418, retry_after_s=max(1, -(-(until_ms - now_ms) // 1000)))


def strange(answer):
    """Return an answer with a status and fields nobody knows, in each of its rows."""
    if isinstance(answer, list):
        return [strange(row) for row in answer]
    if not isinstance(answer, dict):
        return answer
    known = {"status": "NEVER_HEARD"} if "status" in answer else {}
    return answer | known | {"unheard": {"of": [1, None, "this"]}}


# name → (fault, time in ms) → fate. Faults that are not here are the handler's: the request itself is carried out.
FATES: dict[str, Callable[[Active, int], Fate]] = {
    "unknown_placed": lambda active, now_ms: Fate(after=unknown()),
    "unknown_dropped": lambda active, now_ms: Fate(before=unknown()),
    "timeout_placed": lambda active, now_ms: Fate(after=timeout(active)),
    "timeout_dropped": lambda active, now_ms: Fate(before=timeout(active)),
    "overload_placed": lambda active, now_ms: Fate(after=Refused(-1008)),
    "overload_dropped": lambda active, now_ms: Fate(before=Refused(-1008)),
    "internal_error": lambda active, now_ms: Fate(before=internal()),
    "unavailable": lambda active, now_ms: Fate(before=Page(503, UNAVAILABLE)),
    "lost_reply": lambda active, now_ms: Fate(reply_in_s=None),
    "lost_request": lambda active, now_ms: Fate(before=unknown(), reply_in_s=None),
    "torn_reply": lambda active, now_ms: Fate(torn=True),
    "torn_request": lambda active, now_ms: Fate(before=unknown(), torn=True),
    "late_accept": lambda active, now_ms: Fate(before=unknown(), accept_in_s=active["delay_s"]),
    "slow_request": lambda active, now_ms: Fate(wait_s=active["delay_s"]),
    "slow_reply": lambda active, now_ms: Fate(reply_in_s=active["delay_s"]),
    "reject": lambda active, now_ms: Fate(before=refusal(active["code"])),
    "post_only": lambda active, now_ms: Fate(before=Refused(-5022)),
    "strange_answer": lambda active, now_ms: Fate(change=strange),
    "hostile_body": lambda active, now_ms: Fate(body=active.pick("body")),
    "key_revoked": lambda active, now_ms: Fate(before=refusal(active["code"])),
    "bad_gateway": lambda active, now_ms: Fate(before=Page(502, BAD_GATEWAY)),
    "outage": lambda active, now_ms: Fate(before=Page(503, UNAVAILABLE)),
    "too_many": lambda active, now_ms: Fate(
        before=Refused(-1003, 2400, retry_after_s=max(1, round(active["retry_after_s"])))
    ),
    "ban": lambda active, now_ms: Fate(before=banned(active, now_ms)),
    "closed_door": lambda active, now_ms: Fate(before=Blocked()),
}
POST_ONLY = ("post_only", "post_only_expires")


def fate_of(board: Switchboard, work: str, params: dict, signed: bool, account: int, now_ms: int) -> Fate:
    """Return what becomes of a request."""
    if not board.at[At.REQUEST]:
        return UNHARMED
    active = board.striking(At.REQUEST, now_ms, lambda fault: fits(fault, work, params, signed, account))
    if active is None:
        return UNHARMED
    of_name = FATES.get(active.name)
    return (of_name(active, now_ms) if of_name else UNHARMED)._replace(active=active)


def fits(active: Active, work: str, params: dict, signed: bool, account: int) -> bool:
    """Whether a fault is meant for a request. work: as in Endpoint."""
    of = active["of"]
    is_meant = of in ("any", work) or (of == "signed" and signed) or (of == TRADING and work in CHANGES_ORDERS)
    if not is_meant or active["account"] not in (0, account):
        return False
    if active.name in POST_ONLY and params.get("timeInForce") != "GTX":
        return False
    symbol = active["symbol"]
    return not symbol or symbol == params.get("symbol") or f'"{symbol}"' in str(params.get("batchOrders", ""))


def carried_out(endpoint, call, fate: Fate, later: Callable[[float, Callable[[], None]], None]):
    """Return the answer to a request whose fate is known, or raise what it is answered with.

    later: does something after a delay in s.
    """
    if fate.before is not None:
        if fate.accept_in_s is not None:
            later(fate.accept_in_s, lambda: carried_out_unheard(endpoint, call))
        raise fate.before
    answer = endpoint.handler(call._replace(fault=fate.active))
    if fate.after is not None:
        raise fate.after
    return fate.change(plain(answer)) if fate.change else answer


def plain(answer):
    """Return an answer without its parts that are encoded already."""
    return msgspec.json.decode(msgspec.json.encode(answer))


def carried_out_unheard(endpoint, call) -> None:
    """Carry out a request that was answered long ago."""
    with contextlib.suppress(Refused):
        endpoint.handler(call._replace(now_ns=call.venue.now_ns()))
