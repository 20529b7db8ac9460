"""What becomes of one request: refused before it is carried out, answered with something else after, late, or never."""

import asyncio
import contextlib
from typing import NamedTuple

from phx.sim.faults.catalogue import CATALOGUE, TRADING, At
from phx.sim.faults.switchboard import Active, Switchboard
from phx.sim.refusals import Refused

NAMES = tuple(fault.name for fault in CATALOGUE.values() if fault.at is At.REQUEST)
UNKNOWN = "Unknown error, please check your request or try again later."
UNAVAILABLE = "Service Unavailable."
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Page(Refused):
    """An answer that is no JSON, from something between client and venue."""

    def __init__(self, status: int, text: str):
        super().__init__(-1001, message=text, status=status)
        self.content_type = "text/html" if text.startswith("<") else "text/plain"


class Fate(NamedTuple):
    """before: answered so, nothing is done, unless accept_in_s says when. after: done, answered so.

    wait_s: before it is done. reply_in_s: how much later the answer goes out, None for never. name: of the fault.
    """

    before: Refused | None = None
    after: Refused | None = None
    accept_in_s: float | None = None
    wait_s: float = 0.0
    reply_in_s: float | None = 0.0
    name: str = ""


UNHARMED = Fate()


def carried_out(endpoint, call, fate: Fate):
    """Return the answer to a request whose fate is known, or raise what it is answered with."""
    if fate.before is not None:
        if fate.accept_in_s is not None:
            asyncio.get_running_loop().call_later(fate.accept_in_s, carried_out_unheard, endpoint, call)
        raise fate.before
    answer = endpoint.handler(call._replace(fault=fate.name))
    if fate.after is not None:
        raise fate.after
    return answer


def carried_out_unheard(endpoint, call) -> None:
    """Carry out a request that was answered long ago."""
    with contextlib.suppress(Refused):
        endpoint.handler(call._replace(now_ns=call.venue.now_ns()))


def fits(active: Active, work: str, signed: bool, account: int) -> bool:
    """Whether a fault is meant for a request. work: place, amend, cancel, cancel_all, batch, query, or other."""
    of = active.settings["of"]
    if active["account"] not in (0, account):
        return False
    if of == "any":
        return True
    if of == "signed":
        return signed
    if of == TRADING:
        return work in ("place", "amend", "cancel", "cancel_all", "batch")
    return of == work


def fate_of(board: Switchboard, work: str, params: dict, signed: bool, account: int, now_ms: int) -> Fate:
    """Return what becomes of a request."""
    if not board.on:
        return UNHARMED
    post_only = str(params.get("timeInForce", "")) == "GTX"
    active = board.striking(
        NAMES, now_ms, lambda a: fits(a, work, signed, account) and (a.fault.name != "post_only" or post_only)
    )
    return UNHARMED if active is None else _fate(active)


def _fate(active: Active) -> Fate:
    name = active.fault.name
    unknown = Refused(-1000, message=UNKNOWN, status=503)
    if name == "unknown_placed":
        return Fate(after=unknown, name=name)
    if name == "unknown_dropped":
        return Fate(before=unknown, name=name)
    if name == "timeout_placed":
        return Fate(after=_timeout(active["code"]), name=name)
    if name == "timeout_dropped":
        return Fate(before=_timeout(active["code"]), name=name)
    if name == "overload_placed":
        return Fate(after=Refused(-1008), name=name)
    if name == "late_accept":
        return Fate(before=unknown, accept_in_s=active["delay_s"], name=name)
    if name == "lost_reply":
        return Fate(reply_in_s=None, name=name)
    if name == "lost_request":
        return Fate(before=unknown, reply_in_s=None, name=name)
    if name == "slow_request":
        return Fate(wait_s=active["delay_s"], name=name)
    if name == "slow_reply":
        return Fate(reply_in_s=active["delay_s"], name=name)
    if name == "bad_gateway":
        return Fate(before=Page(502, BAD_GATEWAY), name=name)
    if name in ("unavailable", "outage"):
        return Fate(before=Page(503, UNAVAILABLE), name=name)
    if name == "too_many":
        return Fate(before=Refused(-1003, 2400, retry_after_s=max(1, round(active["retry_after_s"]))), name=name)
    code = {"read_lag": -2013, "post_only": -5022, "key_revoked": -2015}.get(name) or active.settings.get("code")
    # partial_batch, survivor and swallowed_cancel are the handler's: the request itself is carried out.
    return Fate(before=refusal(code), name=name) if code else Fate(name=name)


def _timeout(code: int) -> Refused:
    message = {
        -1006: "An unexpected response was received from the message bus. Execution status unknown.",
        -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    }.get(code, UNKNOWN)
    return Refused(code, message=message, status=408 if code == -1007 else 503)


def refusal(code: int) -> Refused:
    """Return a refusal of any code."""
    try:
        return Refused(code)
    except (KeyError, IndexError):
        return Refused(code, message="Internal error; unable to process your request. Please try again.")
