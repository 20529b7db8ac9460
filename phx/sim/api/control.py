"""The requests a client sends on a stream connection, answered as the venue does. Pure: the session does the work.

Ids are echoed as they came: integers, strings and null. Streams that do not exist are acknowledged like others.
"""

import re
from typing import NamedTuple, Protocol

import msgspec

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
MAX_STREAMS = 1024  # of one connection
AT_BYTE = re.compile(r"\(byte (\d+)\)")


class Session(Protocol):
    """What requests change."""

    combined: bool
    streams: dict[str, None]

    def subscribe(self, streams: list[str]) -> None: ...
    def unsubscribe(self, streams: list[str]) -> None: ...


class Answer(NamedTuple):
    """What to answer, and whether the venue ends the connection then."""

    payload: bytes
    is_last: bool = False


class ControlError(Exception):
    """A refused request. code and text as the venue's table of errors has them; is_last: the connection ends."""

    def __init__(self, code: int, message: str, is_last: bool = False):
        super().__init__(message)
        self.code = code
        self.is_last = is_last


def answer(session: Session, payload: bytes) -> Answer:
    """Execute one request."""
    try:
        request = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Answer(msgspec.json.encode({"error": {"code": 3, "msg": _unreadable(payload, error)}}), True)
    given = request.get("id") if isinstance(request, dict) else None
    number = {"id": given if _is_id(given) else None}
    try:
        return Answer(msgspec.json.encode({"result": _execute(session, request)} | number))
    except ControlError as error:
        refusal = {"error": {"code": error.code, "msg": str(error)}}
        return Answer(msgspec.json.encode(refusal | number), error.is_last)


def begin(session: Session, streams: list[str]) -> Answer:
    """Subscribe to what an address names; nothing is answered to that but a refusal."""
    try:
        _change(session, "SUBSCRIBE", streams)
    except ControlError as error:
        return Answer(
            msgspec.json.encode({"error": {"code": error.code, "msg": str(error)}, "id": None}), error.is_last
        )
    return Answer(b"")


def _unreadable(payload: bytes, error: Exception) -> str:
    """Return what is wrong with a message that is not JSON, and where, line and column counted from 1."""
    found = AT_BYTE.search(str(error))
    at = int(found[1]) if found else len(payload)
    before = payload[:at]
    line, column = before.count(b"\n") + 1, at - (before.rfind(b"\n") + 1) + bool(found)
    what = "expected value" if found else "EOF while parsing a value"
    return f"Invalid JSON: {what} at line {line} column {column}"


def _is_id(value) -> bool:
    return value is None or isinstance(value, str) or (type(value) is int and value >= 0)


def _execute(session: Session, request):
    if not isinstance(request, dict) or "method" not in request:
        raise ControlError(2, "Invalid request: missing field `method`")
    method = request["method"]
    if not isinstance(method, str) or method not in METHODS:
        names = ", ".join(f"`{name}`" for name in METHODS)
        raise ControlError(2, f"Invalid request: unknown variant `{method}`, expected one of {names}")
    if "id" not in request or not _is_id(request["id"]):
        raise ControlError(2, "Invalid request: request ID must be an unsigned integer")
    params = request.get("params")
    params = [] if params is None else params
    if not isinstance(params, list):
        raise ControlError(2, "Invalid request: params must be a list")
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return _change(session, method, params)
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise ControlError(2, "Invalid request: too many parameters")
        return list(session.streams)
    return _property(session, method, params)


def _change(session: Session, method: str, params: list) -> None:
    if not all(isinstance(stream, str) for stream in params):
        raise ControlError(2, "Invalid request: invalid stream")
    if method == "UNSUBSCRIBE":
        session.unsubscribe(params)
        return
    if len(session.streams.keys() | set(params)) > MAX_STREAMS:
        raise ControlError(4, "Too many subscriptions", is_last=True)
    session.subscribe(params)


def _property(session: Session, method: str, params: list) -> bool | None:
    if not params or not isinstance(params[0], str):
        raise ControlError(2, "Invalid request: property name must be a string")
    if len(params) > (1 if method == "GET_PROPERTY" else 2):
        raise ControlError(2, "Invalid request: too many parameters")
    if params[0] != "combined":
        raise ControlError(0, "Unknown property")
    if method == "GET_PROPERTY":
        return session.combined
    if len(params) < 2 or not isinstance(params[1], bool):
        raise ControlError(1, "Invalid value type: expected Boolean")
    session.combined = params[1]
    return None
