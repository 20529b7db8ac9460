"""One warm HTTP connection to Binance: sign, budget, send, and say exactly what an answer means.

The signature is built last and never leaves this module but on the wire; errors name method and path, never the query.
No redirects, no proxies from the environment, no cookies, bounded answers.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import aiohttp
import numpy as np
from yarl import URL

from phx._core.histogram import count_into
from phx._core.records import PROCESS_COUNTERS
from phx.venue.binance import errors
from phx.venue.binance.clock import VenueClock
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.silence import Silence
from phx.venue.binance.weights import FIREWALL_NS, Weights
from phx.venue.interface import VenueDown, VenueError, VenueLimited, VenueReject, VenueUnknown

LARGEST_ANSWER_BYTES = 16 * 1024 * 1024  # exchangeInfo has about 1.1 MB
KEEP_ALIVE_S = 60.0
CONNECTIONS = 16
QUESTION_ATTEMPTS = 3
FIRST_RETRY_S = 0.1
LONGEST_NAP_S = 5.0  # a silence may end early: an operator may remove the file, a human may stop the process
LATER_S = 0.5  # whoever waited for the same moment comes within this after it
KEY_REFUSALS = 3  # in a row, so that a hiccup of the venue's gateway is no lost key
USED_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
ORDER_COUNT_HEADERS = ("X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1M")  # of the account; answers to orders carry them
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

log = logging.getLogger("phx.venue")


class Http:
    """Sends requests one endpoint at a time; what they are called is rest.py's business."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        *,
        share: float,
        counters=None,
        timeout_s: float = 3.0,
        recv_window_ms: int = 2000,
        silence: Silence | None = None,
    ):
        self.base = endpoints.rest
        self.credentials = credentials
        self.counters = np.zeros(1, PROCESS_COUNTERS) if counters is None else counters
        self.timeout_s = timeout_s
        self.recv_window_ms = recv_window_ms
        self.weights = Weights(share)
        self.silence = silence or Silence(None)
        self.key_refusals = 0  # in a row: the venue no longer knows our key, or not from this address
        self.clock = VenueClock()
        self.on_order_counts: Callable[[int, int], None] = lambda in_10s, in_60s: None
        self.on_limits: Callable[[list], None] = lambda limits: None  # what a refusal says of the limit it met
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self) -> aiohttp.ClientSession:
        # Made on first use: aiohttp wants the running loop.
        if self._session is None:
            context = ssl.create_default_context() if self.base.startswith("https:") else False
            if context:
                context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ssl=context or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            # aiohttp sends PUT and DELETE again by itself when a kept-alive connection turns out closed; an amend
            # must not go out twice, and what may is repeated by rest.py, which also does it for POST.
            self._session._retry_connection = False
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self, path: str, params=(), *, weight: int, signed: bool = False, timeout_s: float = 0.0, base: str = ""
    ) -> bytes:
        """GET something that changes nothing; repeated with jittered back-off while the venue does not answer."""
        for attempt in range(1, QUESTION_ATTEMPTS + 1):
            try:
                return await self.send(
                    "GET", path, params, weight=weight, signed=signed, timeout_s=timeout_s, base=base
                )
            except VenueDown:
                if attempt == QUESTION_ATTEMPTS:
                    raise
            await asyncio.sleep(FIRST_RETRY_S * 2**attempt * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")

    async def send(
        self,
        method: str,
        path: str,
        params=(),
        *,
        weight: int,
        signed: bool = False,
        keyed: bool = False,
        urgent: bool = False,
        timeout_s: float = 0.0,
        base: str = "",
    ) -> bytes:
        """Send one request once and return its body; raises one of the VenueErrors.

        params: pairs in wire order. signed: add recvWindow, timestamp and signature. keyed: the API key alone.
        urgent: a cancel or a dead man's refresh, which keeps a reserve of the weight budget. base: of `endpoints`, "" =
        the futures API.
        """
        changes = method != "GET"
        self._spend(path, weight, urgent)
        headers = {}
        if signed or keyed:
            if self.credentials is None:
                raise ValueError(f"{method} {path} needs credentials; this client was made without")
            headers["X-MBX-APIKEY"] = self.credentials.api_key.reveal().decode()
        in_body = method in ("POST", "PUT")
        if in_body:
            headers |= FORM
        text = self._signed(params) if signed else urlencode(params, quote_via=quote)
        url = f"{base or self.base}{path}"
        url += "" if in_body or not text else f"?{text}"
        self.counters["rest_requests"] += 1
        started_ns = time.monotonic_ns()
        try:
            status, body, reply_headers = await asyncio.wait_for(
                self._exchange(method, url, text if in_body else None, headers), timeout_s or self.timeout_s
            )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Neither the text nor the cause of an aiohttp error is passed on: it may hold the signed URL.
            self.counters["rest_errors"] += 1
            why = f"{method} {path}: {type(error).__name__} after {(time.monotonic_ns() - started_ns) // 1_000_000} ms"
            if not changes or isinstance(error, aiohttp.ClientConnectorError):  # the latter: no byte was sent
                raise VenueDown(why) from None
            raise VenueUnknown(why, closed=isinstance(error, aiohttp.ServerDisconnectedError)) from None
        count_into(self.counters["rest_ns"][0], time.monotonic_ns() - started_ns)
        if not base:  # another API counts another weight
            self._note_used(reply_headers)
        if status == 200:
            if signed:
                self.key_refusals = 0
            return body
        self.counters["rest_errors"] += 1
        raise self._failure(method, path, changes, status, body, reply_headers)

    @property
    def key_lost(self) -> bool:
        """Return whether the venue has refused the key often enough to believe it."""
        return self.key_refusals >= KEY_REFUSALS

    def mind_others(self, now_ns: int) -> None:
        """Take over the limits that other processes at this address ran into. now_ns: the venue's."""
        heard = self.silence.heard(now_ns)
        self.weights.limited_until_ns = max(self.weights.limited_until_ns, heard.limited_until_ns)
        self.weights.banned_until_ns = max(self.weights.banned_until_ns, heard.banned_until_ns)
        self.weights.limit = heard.weight or self.weights.limit

    def tell_weight_limit(self, limit: int) -> None:
        """Take the venue's weight of a minute, for this process and the others."""
        self.weights.limit = limit
        self.silence.tell(0, 0, limit)

    def limited(self, banned: bool, retry_after_ns: int, until_ns: int) -> int:
        """Take note of a 429 or 418, for this process and the others; return how long to be silent, ns."""
        wait_ns = self.weights.refused(banned, retry_after_ns, until_ns, self.clock.venue_ns(time.monotonic_ns()))
        self.silence.tell(self.weights.limited_until_ns, self.weights.banned_until_ns)
        return wait_ns

    def handshake_failed(self, error: Exception) -> None:
        """Take note of what a refused WebSocket handshake says of a limit: it counts for the address, as any other."""
        answer = getattr(error, "response", None)
        if answer is not None:
            self._limit_told("handshake", int(answer.status), getattr(error, "raw_body", None) or b"", answer.headers)

    async def wait_out(self) -> None:
        """Wait until no limit keeps this address from connecting; then a moment, not to come with all others."""
        while wait_s := self._silent_s():
            await asyncio.sleep(min(wait_s, LONGEST_NAP_S) + random.uniform(0.0, LATER_S))

    def _silent_s(self) -> float:
        now_ns = self.clock.venue_ns(time.monotonic_ns())
        self.mind_others(now_ns)
        return self.weights.silence_ns(now_ns) / 1e9

    def _limit_told(self, what: str, status: int, body: bytes, headers) -> float:
        """Take note of a limit if an answer tells one; return how long to be silent, s."""
        if status not in (errors.LIMITED_STATUS, errors.BANNED_STATUS, errors.FIREWALL_STATUS):
            return 0.0
        self.counters["rate_limited"] += 1
        retry_after = headers.get("Retry-After", "")
        retry_after_ns = int(retry_after) * 1_000_000_000 if retry_after.isdecimal() else 0
        text = body[:1000].decode(errors="replace")
        until_ns = errors.banned_until_ms(text) * 1_000_000
        self.on_limits(errors.limits_told(text))
        if status == errors.FIREWALL_STATUS:
            # Not the venue but the wall before it: it hears nothing, so nothing is worth sending.
            retry_after_ns = max(retry_after_ns, FIREWALL_NS)
        wait_s = self.limited(status != errors.LIMITED_STATUS, retry_after_ns, until_ns) / 1e9
        log.warning("%s: HTTP %d, silent for %.1f s", what, status, wait_s)
        return wait_s

    def _spend(self, path: str, weight: int, urgent: bool) -> None:
        now_ns = self.clock.venue_ns(time.monotonic_ns())
        self.mind_others(now_ns)
        wait_ns = self.weights.wait_ns(weight, urgent, now_ns)
        if wait_ns:
            banned = now_ns < self.weights.banned_until_ns
            raise VenueLimited(f"{path}: not sent, {weight} weight is beyond the budget", wait_ns / 1e9, banned)
        self.weights.spend(weight, urgent, now_ns)

    def _signed(self, params) -> str:
        timed = [*params, ("recvWindow", self.recv_window_ms), ("timestamp", self.clock.timestamp_ms())]
        text = urlencode(timed, quote_via=quote)  # encode, then sign: what is signed is what is sent
        return f"{text}&signature={quote(self.credentials.sign(text.encode()), safe='')}"

    async def _exchange(self, method: str, url: str, body: str | None, headers: dict):
        request = self._open_session().request(
            method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        )
        async with request as reply:
            chunks, size = [], 0
            async for chunk in reply.content.iter_any():
                size += len(chunk)
                if size > LARGEST_ANSWER_BYTES:
                    raise ValueError("answer too large")
                chunks.append(chunk)
            return reply.status, b"".join(chunks), reply.headers

    def _note_used(self, headers) -> None:
        text = headers.get(USED_WEIGHT_HEADER, "")
        if text.isdecimal():
            self.weights.used(int(text), self.clock.venue_ns(time.monotonic_ns()))
            self.counters["weight_60s"] = int(text)
        counts = [headers.get(name, "") for name in ORDER_COUNT_HEADERS]
        if all(text.isdecimal() for text in counts):
            self.on_order_counts(*map(int, counts))

    def _failure(self, method: str, path: str, changes: bool, status: int, body: bytes, headers) -> VenueError:
        wait_s = self._limit_told(f"{method} {path}", status, body, headers)
        failure = errors.failure(changes, status, body, wait_s)
        if isinstance(failure, VenueReject) and failure.code in errors.KEY_REFUSED:
            self.key_refusals += 1
        return failure
