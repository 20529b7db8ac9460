"""Every fault of the simulated venue, as an independent client sees it: real sockets, switched on by file and live."""

import asyncio
import re
from pathlib import Path

import aiohttp
import fault_proofs_acts  # noqa: F401
import fault_proofs_requests  # noqa: F401
import fault_proofs_streams  # noqa: F401
import msgspec
import pytest
import pytest_asyncio
from conftest import isolated
from fault_venue import PROOFS, FaultVenue, comes_to_nothing, is_answer, until
from sim_client import heard, next_json

from phx.process import StayDown
from phx.sim.api.rest import is_loopback
from phx.sim.faults import acts
from phx.sim.faults.catalogue import CATALOGUE, At
from phx.sim.process import build

pytestmark = pytest.mark.asyncio(loop_scope="module")
HAPPENED = (AssertionError, TimeoutError, LookupError, TypeError)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with isolated(folder) as config:
        async with FaultVenue(config, folder) as venue:
            yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def venue(shared):
    await shared.clean()
    return shared


async def test_every_fault_has_its_proof():
    assert set(PROOFS) == set(CATALOGUE)


@pytest.mark.parametrize("name", PROOFS)
async def test_a_fault_happens_switched_on_live(venue, name):
    venue.way = "live"
    await PROOFS[name](venue)


@pytest.mark.parametrize("name", PROOFS)
async def test_a_fault_happens_switched_on_by_a_file(venue, name):
    venue.way = "file"
    await PROOFS[name](venue)


@pytest.mark.parametrize("name", PROOFS)
async def test_nothing_happens_when_nothing_is_on(venue, name):
    venue.way = "none"
    with pytest.raises(HAPPENED):
        async with asyncio.timeout(0.25):
            await PROOFS[name](venue)


# ---- what is taken back ------------------------------------------------------------------------------------------


def attributes(venue) -> dict:
    """Return everything a lasting fault may change of a venue."""
    exchange, account = venue.exchange, venue.account
    return {
        "entries": [contract.entry for contract in exchange.contracts.values()],
        "filters": [(contract.order_filters, contract.filters) for contract in exchange.contracts.values()],
        "limits": [exchange.limits.weight.limit, exchange.limits.listed],
        "orders": [(w.in_10s.limit, w.in_1m.limit) for w in (exchange.limits.orders[1], exchange.limits.orders[2])],
        "exchange": (exchange.overloaded, exchange.countdown_lag_ms),
        "modes": (account.hedge, account.multi_assets),
        "settings": [(s.leverage, s.isolated) for s in map(account.settings_of, exchange.contracts)],
        "wallets": [position.isolated_e8 for position in account.positions.values()],
        "clock": round((venue.venue.clock_ms() - venue.venue.now_ms()) / 1000),
    }


LASTING = [
    fault.name for fault in CATALOGUE.values() if fault.at is At.ACT and fault.lasts and fault.name != "half_open"
]
TELLING = {"filters": {"tick": 2, "step": 2, "notional": 2}}


@pytest.mark.parametrize("name", LASTING)
async def test_what_an_act_changes_is_as_before_when_it_is_over(venue, name):
    venue.way = "live"
    await venue.buy("0.01")
    before = attributes(venue)
    await venue.on(name, **TELLING.get(name, {}))
    during = attributes(venue)
    assert during != before
    await venue.on(name, **TELLING.get(name, {}), seed=2)  # the same again, on top
    await venue.off()
    assert attributes(venue) == before
    await venue.on(name, **TELLING.get(name, {}), for_s=0.05)
    await venue.on(name, **TELLING.get(name, {}), after_s=0.03, for_s=0.05, seed=2)
    assert attributes(venue) == during
    await asyncio.sleep(0.15)
    assert venue.venue.trouble.board.on == []
    assert attributes(venue) == before


async def test_an_act_with_rate_0_never_happens(venue):
    venue.way = "live"
    before = attributes(venue)
    for name in LASTING:
        await venue.on(name, **TELLING.get(name, {}), rate=0)
    assert attributes(venue) == before
    assert [active.struck for active in venue.venue.trouble.board.on] == [0] * len(LASTING)


async def test_two_skews_add_up_and_a_ramp_grows(venue):
    venue.way = "live"
    await venue.on("clock_skew", skew_ms=60_000)
    await venue.on("clock_skew", skew_ms=-20_000, for_s=0.1)
    assert attributes(venue)["clock"] == 40
    await asyncio.sleep(0.15)
    assert attributes(venue)["clock"] == 60
    await venue.off()
    await venue.on("clock_skew", skew_ms=100_000, ramp_s=1)
    # Two looks at a clock of whole milliseconds.
    first = venue.venue.clock_ms() - venue.venue.now_ms()
    await asyncio.sleep(0.1)
    assert -1 <= first < venue.venue.clock_ms() - venue.venue.now_ms() < 100_000


# ---- several at once, and what must not break --------------------------------------------------------------------


async def test_correlated_faults_strike_together(venue):
    """An order whose answer is lost while the user stream is silent: only a query tells, and it lags behind."""
    venue.way = "live"
    stream = await venue.user()
    for name in ("lost_reply", "silent_user_stream"):
        await venue.on(name)
    await venue.on("read_lag", lag_s=0.3)
    assert await comes_to_nothing(venue.place("a"))
    assert await venue.query("a") == -2013
    assert await heard(stream, 0.05) == []
    assert await until(lambda: is_answer(venue.query("a"), "NEW"))


async def test_a_cancel_tells_of_fills_whose_events_were_dropped(venue):
    venue.way = "live"
    stream = await venue.user()
    await venue.on("drop_event", execution="TRADE")
    exchange, market, now_ns = venue.exchange, venue.exchange.player.markets["BTCUSDC"], venue.venue.now_ns()

    def place(account, side: str, lots: int, ticks: int, **more) -> None:
        order = {"symbol": "BTCUSDC", "side": side, "type": "LIMIT", "timeInForce": "IOC"} | more
        order |= {"quantity": market.contract.qty(lots), "price": market.contract.price(ticks)}
        exchange.place(account, order, now_ns)

    best = market.book.top(1)[0][0]
    place(venue.rival, "BUY", 900_000, best + 1000)  # makes room between the best prices
    place(venue.account, "BUY", 50, best + 100, timeInForce="GTX", newClientOrderId=venue.id("a"))
    place(venue.rival, "SELL", 20, best + 100)
    exchange.cancel_all(venue.account, "BTCUSDC", now_ns)
    orders = [e["o"] for e in await heard(stream, 0.1) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert [(order["x"], order["z"]) for order in orders] == [("NEW", "0"), ("CANCELED", "0.02")]


async def test_the_same_file_strikes_the_same_requests(venue):
    venue.way = "file"
    found = []
    for _ in range(2):
        await venue.on("reject", rate=0.5, seed=11, code=-2019)
        found.append([(await venue.place(f"{len(found)}-{i}"))[1] for i in range(12)])
        await venue.off()
    assert found[0] == found[1]
    assert set(found[0]) == {"NEW", -2019}


async def test_over_the_ws_api_requests_meet_the_same_faults(venue):
    venue.way = "live"
    api, price = await venue.api(), await venue.low()

    async def ask(method: str, **params):
        await api.send_json({"id": 1, "method": method, "params": venue.client.ws_params(**params)})
        return await next_json(api, 0.3)

    async def place(name: str):
        params = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01"}
        return await ask("order.place", **params, price=price, newClientOrderId=venue.id(name))

    for name, status, code, found in (
        ("unknown_placed", 503, -1000, "NEW"),
        ("timeout_dropped", 408, -1007, -2013),
        ("unavailable", 503, -1001, -2013),
        ("ban", 418, -1003, -2013),
    ):
        await venue.on(name)
        answer = await place(name)
        assert (answer["id"], answer["status"], answer["error"]["code"]) == (1, status, code)
        await venue.off()
        assert await venue.query(name) == found
    await venue.on("lost_reply")
    with pytest.raises(TimeoutError):
        await place("lost")
    await venue.off()
    assert await venue.query("lost") == "NEW"
    api = await venue.api()
    await venue.on("slow_request", delay_s=0.15)
    began = asyncio.get_running_loop().time()
    assert (await place("slow"))["status"] == 200
    assert asyncio.get_running_loop().time() - began >= 0.15
    await venue.off()
    await venue.on("torn_reply")
    await api.send_json({"id": 1, "method": "order.cancel", "params": venue.client.ws_params(
        symbol="BTCUSDC", origClientOrderId=venue.id("slow"))})  # fmt: skip
    assert (await api.receive(1)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert await venue.query("slow") == "CANCELED"


@pytest.mark.parametrize("code", [-2019, -2022, -2025, -2027, -4016, -4118, -4131, -5026, -9999])
async def test_any_refusal_can_be_asked_for(venue, code):
    venue.way = "live"
    await venue.on("reject", code=code)
    assert (await venue.place("a"))[:2] == (400, code)


async def test_a_fault_that_fails_is_switched_off_and_time_goes_on(venue, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("broken")

    monkeypatch.setitem(acts.BEGIN, "overload", fail)
    venue.venue.trouble.board.switch_on("overload", {}, venue.venue.now_ms())
    await asyncio.sleep(0.05)
    assert not venue.servers.clock.done()
    assert venue.venue.trouble.board.on == []
    assert (await venue.client.request("POST", "/sim/faults?name=overload"))[0] == 500
    assert venue.venue.trouble.board.on == []


async def test_faults_on_what_is_gone_do_nothing(venue):
    venue.way = "live"
    stream = await venue.market("btcusdc@bookTicker")
    await venue.on("late_frame", delay_s=0.1)
    await venue.on("half_open")
    stream._response.close()
    await asyncio.sleep(0.15)
    for name in ("disconnect", "end_of_life", "key_lost", "key_expired", "expire_orders"):
        await venue.on(name)
    await venue.off()
    assert not venue.servers.clock.done()
    assert venue.venue.trouble.pending == 0


# ---- what is refused, and what nobody sees -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "fault '': no such fault"),
        ("name=gap&rate=2", "fault gap: rate '2', expected a number of 0 to 1"),
        ("name=reject&account=9", "fault reject: account 9, expected 0 (all) or one of 1, 2"),
        ("name=halt&symbol=DOGEUSDC", "fault halt: symbol 'DOGEUSDC', expected one of BTCUSDC, ETHUSDC"),
        ("name=adl&account=1", "fault adl: no position in any symbol"),
        ("name=foreign_order&qty=x", "fault foreign_order: -1102"),
    ],
)
async def test_what_cannot_be_switched_on_is_said_in_one_line(venue, query, said):
    status, text, _ = await venue.client.request("POST", f"/sim/faults?{query}")
    assert (status, text.decode().startswith(said), text.count(b"\n")) == (400, True, 0)
    assert venue.venue.trouble.board.on == []
    assert (await venue.client.request("DELETE", "/sim/faults?name=gab"))[0] == 400


@pytest.mark.parametrize(
    "text", ["- {fault: gab}", "- {fault: reject, account: 3}", "- {fault: halt, symbol: DOGEUSDC}", "x: ["]
)
async def test_the_venue_does_not_start_on_a_bad_file(instance_config, tmp_path, text):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    sim = msgspec.structs.replace(instance_config.sim, faults=str(path))
    with pytest.raises(StayDown, match=r"sim\.faults: "):
        build(msgspec.structs.replace(instance_config, sim=sim))


async def test_the_venue_starts_with_the_faults_of_its_file(instance_config, tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("- {fault: unknown_placed, rate: 0.02, after_s: 60}\n- {fault: gap, rate: 0.001}\n")
    sim = msgspec.structs.replace(instance_config.sim, faults=str(path))
    venue = build(msgspec.structs.replace(instance_config, sim=sim))
    assert [active.name for active in venue.trouble.board.on] == ["unknown_placed", "gap"]


async def test_with_no_fault_on_nothing_betrays_that_there_are_any(venue):
    seen = []
    for path in ("/fapi/v1/exchangeInfo", "/fapi/v1/time", "/nothing", "/fapi/v1/order"):
        _, answer, headers = await venue.client.get(path)
        seen.append(f"{answer} {dict(headers)}".lower())
    assert not any(word in text for text in seen for word in ("fault", "/sim", "phx", "simul"))


@pytest.mark.parametrize(
    ("address", "is_own"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), (None, False)]
)
async def test_the_administration_is_for_the_host_itself(address, is_own):
    assert is_loopback(address) == is_own


async def test_the_page_about_faults_names_every_one():
    """docs/simulator.md: the table is what the catalogue says, the example file can be read."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "simulator.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \|$", page.partition("## Faults")[2], re.MULTILINE)
    expected = [
        (fault.name, fault.text, ", ".join(f"{k}={v}" if v != "" else k for k, v in fault.settings.items()))
        for fault in CATALOGUE.values()
    ]
    assert rows == expected
    described = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| [A-Z].*$", page.partition("### What stands")[2], re.M)))
    assert set(described) - set(CATALOGUE) <= {"er", "EXPIRED_IN_MATCH"}
