"""A venue that is away while the gateway starts is waited for, at every step, without an end of the process."""

import asyncio
import contextlib
import time
from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
from conftest import isolated
from test_gateway_shell import FakeVenue

from phx import process as life
from phx.gateway import checks, patience, startup
from phx.gateway.account import e8
from phx.gateway.process import Gateway
from phx.sim.api import rest_api
from phx.sim.process import Servers, build
from phx.sim.refusals import Refused
from phx.venue.interface import VenueDown, VenueLimited, VenueReject


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only by waiting; `slept` holds every pause."""
    told = SimpleNamespace(now_s=0.0, slept=[])

    async def pause(seconds, stopping):
        told.slept.append(seconds)
        told.now_s += seconds

    monkeypatch.setattr(patience, "pause", pause)
    return told


class Away(FakeVenue):
    """A venue that does not answer before `back_s`; `probed_s`: when it was asked for its time."""

    def __init__(self, clock, back_s: float, error: Exception | None = None):
        super().__init__(server_time=self._time)
        self.waited, self.back_s, self.error, self.probed_s = clock, back_s, error or VenueDown("HTTP 503"), []

    def _time(self):
        self.probed_s.append(self.waited.now_s)
        return 1 if self.waited.now_s >= self.back_s else self.error


# ---- one question --------------------------------------------------------------------------------------------------


def test_an_outage_of_two_hours_is_waited_out_with_one_line_and_at_most_one_probe_a_second(clock, caplog):
    caplog.set_level("INFO")
    venue = Away(clock, 7200)
    asyncio.run(patience.reach(venue, lambda: False))
    gaps = [b - a for a, b in zip(venue.probed_s, venue.probed_s[1:], strict=False)]
    assert min(gaps) >= 1.0 and max(gaps) <= 3.0 and clock.now_s - 7200 <= 3.0
    assert len(set(gaps)) > len(gaps) // 2  # jittered
    assert [r.message for r in caplog.records] == [
        "gateway: waiting for the venue: its clock: HTTP 503",
        "gateway: the venue answers",
    ]


def test_a_venue_that_starts_beside_us_is_found_soon(clock):
    venue = Away(clock, 1.0)
    asyncio.run(patience.reach(venue, lambda: False, patience.FIRST_PAUSE_S))
    assert clock.now_s < 2.5


def test_a_question_without_an_answer_stands_back_until_the_venues_clock_answers(clock):
    venue, asked_s = Away(clock, 1500), []

    async def question():
        asked_s.append(clock.now_s)
        if clock.now_s < 1500:
            raise VenueDown("no answer")
        return "answer"

    assert asyncio.run(patience.patiently(venue, "books", question, lambda: False)) == "answer"
    assert len(asked_s) == 2 and asked_s[1] - 1500 <= 5.0


def test_an_answer_with_a_number_that_is_none_is_no_answer(clock):
    answers = ["NaN", "1e400", "1.5"]

    async def question():
        return e8(answers.pop(0))

    assert asyncio.run(patience.patiently(Away(clock, 0.0), "balances", question, lambda: False)) == 150_000_000


def test_a_question_that_alone_gets_no_answer_is_asked_at_most_once_a_second(clock, caplog):
    asked_s = []

    async def question():
        asked_s.append(clock.now_s)
        if clock.now_s < 60:
            raise VenueDown(f"no answer after {len(asked_s)} ms")

    asyncio.run(patience.patiently(Away(clock, 0), "fees", question, lambda: False))
    # Every question is three attempts of one request.
    assert 3 * len(asked_s) <= 60 * 1.5 and clock.now_s < 65
    assert sum("waiting for the venue: fees" in r.message for r in caplog.records) == 1


def test_a_rate_limit_is_kept_to(clock):
    answers = [VenueLimited("429", 17.0), None]

    async def question():
        if error := answers.pop(0):
            raise error

    asyncio.run(patience.patiently(Away(clock, 0), "fees", question, lambda: False))
    assert clock.slept == [17.0]


@pytest.mark.parametrize("code", [-2014, -2015, -1022])
def test_a_refused_key_is_not_waited_for(clock, code):
    async def question():
        raise VenueReject(code, "no", 401)

    with pytest.raises(life.StayDown, match=f"fees: venue code {code}"):
        asyncio.run(patience.patiently(Away(clock, 0), "fees", question, lambda: False))


@pytest.mark.parametrize("of", ["reach", "patiently", "prove", "stream"])
async def test_the_wish_to_stop_ends_every_wait(of, monkeypatch):
    monkeypatch.setattr(startup, "PROVE_S", 0.1)
    venue = FakeVenue(server_time=VenueDown("x"), open_orders=VenueDown("x"))
    since_s = time.monotonic()
    stopping = lambda: time.monotonic() - since_s > 0.2  # noqa: E731

    async def question():
        raise VenueDown("x")

    waits = {
        "reach": lambda: patience.reach(venue, stopping),
        "patiently": lambda: patience.patiently(venue, "books", question, stopping),
        "prove": lambda: startup.prove_empty(venue, ["SYM0"], "phxs-", 0, stopping),
        "stream": lambda: startup.wait_for_stream(lambda: False, stopping),
    }
    await asyncio.wait_for(waits[of](), 30)


# ---- the whole start-up path ---------------------------------------------------------------------------------------


async def test_a_venue_that_fails_at_every_step_delays_the_start_and_does_not_end_it(tmp_path, monkeypatch):
    asked = Counter()

    def failing(key, endpoint):
        def handler(call):
            asked[key] += 1
            if asked[key] <= 4:  # more often than one question is attempted
                raise Refused(-1001, message="Internal error", status=503)
            return endpoint.handler(call)

        return endpoint._replace(handler=handler)

    for key, endpoint in list(rest_api.ENDPOINTS.items()):
        if key != ("GET", "/fapi/v1/exchangeInfo"):
            monkeypatch.setitem(rest_api.ENDPOINTS, key, failing(key, endpoint))
    for module, name in ((patience, "PAUSE_S"), (patience, "AFTER_ANSWER_S"), (checks, "AGAIN_S")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(startup, "PROOF_S", 0.0)
    monkeypatch.setattr("phx.venue.binance.http.FIRST_RETRY_S", 0.001)
    monkeypatch.setattr("phx.sim.exchange.limits.Limits.use_weight", lambda self, now_ms, weight: None)
    with isolated(tmp_path) as config:
        config = msgspec.structs.replace(config, sim=msgspec.structs.replace(config.sim, latency_ms=0.0))
        async with Servers(build(config), config.sim.port):
            with life.Process("gateway", config) as process:
                gateway = Gateway(process, {})
                living = asyncio.create_task(gateway.live())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(40):
                        while not gateway.core.ready and not living.done():
                            await asyncio.sleep(0.01)
                ready, process.stopping = gateway.core.ready, True
                await asyncio.wait_for(living, 30)
    assert ready and min(asked.values()) > 4
    steps = ("time", "accountConfig", "commissionRate", "openOrders", "listenKey", "userTrades", "income", "balance")
    assert not [step for step in steps if not any(path.endswith(step) for _, path in asked)]
