"""The checks before trading, on a simulated venue in each bad state: the right one fails, and no other."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import pytest_asyncio
from conftest import isolated

from phx.findings import Verdict, exit_status
from phx.gateway import checks
from phx.process import StayDown
from phx.sim.api import rest_api
from phx.sim.api.request import Endpoint, Security
from phx.sim.process import Servers, build
from phx.sim.refusals import Refused
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESTRICTIONS = ("GET", "/sapi/v1/account/apiRestrictions")
ACCOUNT = ("GET", "/fapi/v1/accountConfig")
CONTRACT = ("GET", "/fapi/v1/symbolConfig")
TRY = ("POST", "/fapi/v1/order/test")
GOOD_RIGHTS = {
    "ipRestrict": True,
    "createTime": 1623840271000,
    "enableReading": True,
    "enableFutures": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "enableMargin": False,
    "enableSpotAndMarginTrading": False,
    "enableVanillaOptions": False,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def desk():
    """Configuration, client and instruments of a venue in this process."""
    with tempfile.TemporaryDirectory() as folder, isolated(Path(folder)) as config:
        config = msgspec.structs.replace(config, sim=msgspec.structs.replace(config.sim, latency_ms=0.0))
        where = endpoints(config)
        async with Servers(build(config), config.sim.port):
            rest = Rest(where, keys.load(config), share=1.0)
            instruments = await rest.exchange_info({s: config.instrument_ids()[s] for s in config.traded()})
            yield SimpleNamespace(config=config, where=where, rest=rest, instruments=instruments)
            await rest.close()


@pytest.fixture
def answers(monkeypatch, desk):
    """Let the venue answer something else: answers((method, path), handler)."""
    # All tests of this file are in one minute of the rate limits.
    monkeypatch.setattr(desk.rest.weights, "wait_ns", lambda weight, urgent, now_ns: 0)
    monkeypatch.setattr("phx.sim.exchange.limits.Limits.use_weight", lambda self, now_ms, weight: None)

    def let(endpoint, handler):
        usual = rest_api.ENDPOINTS.get(endpoint, Endpoint(None, 1, Security.SIGNED))
        monkeypatch.setitem(rest_api.ENDPOINTS, endpoint, usual._replace(handler=handler))

    return let


def changed(endpoint, **fields):
    """Return a handler with some fields of the usual answer changed, in an object or in each row of a list."""
    usual = rest_api.ENDPOINTS[endpoint].handler

    def handler(call):
        answer = usual(call)
        return [row | fields for row in answer] if isinstance(answer, list) else answer | fields

    return handler


def refusing(code: int):
    def handler(call):
        raise Refused(code, message="refused by the test")

    return handler


async def findings(desk, thorough=True, where=None, **changes) -> dict:
    config = msgspec.structs.replace(desk.config, **changes)
    found = await checks.examine(desk.rest, config, desk.instruments, where or desk.where, thorough)
    return {finding.name: finding for finding in found}


def unwell(found: dict) -> dict[str, Verdict]:
    return {name: finding.verdict for name, finding in found.items() if finding.verdict != Verdict.OK}


async def test_the_simulated_venue_is_fit_to_trade(desk, answers):
    found = await findings(desk)
    assert unwell(found) == {} and exit_status(list(found.values())) == 0
    assert len(found) > 20 and found["order BTCUSDC"].verdict == Verdict.OK


async def test_a_start_with_twenty_symbols_fits_into_a_minute_s_weight(desk, answers, monkeypatch):
    spent = []
    monkeypatch.setattr(desk.rest.weights, "spend", lambda weight, urgent, now_ns: spent.append(weight))
    used = []
    for symbols in (desk.instruments, dict(list(desk.instruments.items())[:1])):
        spent.clear()
        await checks.examine(desk.rest, desk.config, symbols, desk.where, thorough=False)
        used.append(sum(spent))
    each = (used[0] - used[1]) / (len(desk.instruments) - 1)
    rest = 5 + 2 * 1  # its fills, and its open orders twice: see startup
    books = 2 * 30 + 2 * 5 + 5 + 1 + 1  # funding, wallet and positions, leverages, order counts, clock
    limits = desk.config.limits
    share = (limits.weight_share_reconciliation + limits.weight_share_orders) * 2400
    assert used[1] - each + books + 20 * (each + rest) < share


async def test_nothing_is_left_at_the_venue_by_looking(desk, answers):
    await findings(desk)
    assert await desk.rest.open_orders("BTCUSDC") == []


@pytest.mark.parametrize(
    "endpoint, fields, name, verdict, says",
    [
        (ACCOUNT, {"dualSidePosition": True}, "position mode", "fail", "hedge mode, expected one-way"),
        (ACCOUNT, {"multiAssetsMargin": True}, "asset mode", "fail", "multi-assets, expected single-asset"),
        (ACCOUNT, {"canTrade": False}, "account", "fail", "may not trade"),
        (CONTRACT, {"marginType": "ISOLATED"}, "margin type", "fail", "ISOLATED, expected CROSSED"),
        (CONTRACT, {"leverage": 125, "maxNotionalValue": "19000"}, "leverage", "warn", "positions up to 19000"),
        (
            ("GET", "/fapi/v1/commissionRate"),
            {"makerCommissionRate": "0.000300"},
            "fees",
            "warn",
            "a round trip at the narrowest spread loses money",
        ),
        (
            ("GET", "/fapi/v1/commissionRate"),
            {"takerCommissionRate": "0.000600"},
            "fees",
            "warn",
            "dearer than venue.base_maker_fee",
        ),
        (("GET", "/fapi/v1/rateLimit/order"), {"limit": 100}, "order limits", "warn", "100 in 10 s"),
    ],
)
async def test_a_bad_state_is_named(desk, answers, endpoint, fields, name, verdict, says):
    answers(endpoint, changed(endpoint, **fields))
    found = await findings(desk)
    bad = unwell(found)
    assert bad and all(key.startswith(name) and value == verdict for key, value in bad.items()), bad
    assert any(says in found[key].line for key in bad)


@pytest.mark.parametrize(
    "right, value",
    [
        ("enableWithdrawals", True),
        ("enableInternalTransfer", True),
        ("permitsUniversalTransfer", True),
        ("enableMargin", True),
        ("enableSpotAndMarginTrading", True),
        ("enableVanillaOptions", True),
        ("enableFutures", False),
        ("enableReading", False),
        ("ipRestrict", False),
    ],
)
async def test_s04_a_key_that_may_too_much_or_too_little_is_refused(desk, answers, right, value):
    where = msgspec.structs.replace(desk.where, account_api=desk.where.rest)
    answers(RESTRICTIONS, lambda call: GOOD_RIGHTS)
    assert "key permissions" not in unwell(await findings(desk, False, where))
    answers(RESTRICTIONS, lambda call: GOOD_RIGHTS | {right: value})
    found = await findings(desk, False, where)
    assert unwell(found) == {"key permissions": "fail"} and not found["key permissions"].heals


async def test_s04_a_right_the_venue_does_not_mention_is_not_there(desk, answers):
    where = msgspec.structs.replace(desk.where, account_api=desk.where.rest)
    answers(RESTRICTIONS, lambda call: {"enableReading": True})
    line = (await findings(desk, False, where))["key permissions"].line
    assert "enable_futures off, ip_restrict off" in line


async def test_s04_permissions_that_cannot_be_read_in_production_are_asked_for_again(desk, answers):
    venue = msgspec.structs.replace(desk.config.venue, environment="production")
    where = msgspec.structs.replace(desk.where, account_api=desk.where.rest)
    answers(RESTRICTIONS, lambda call: [])
    found = (await findings(desk, False, where, venue=venue))["key permissions"]
    assert found.verdict == "fail" and found.heals


async def test_a_key_that_ends_soon_is_told(desk, answers):
    where = msgspec.structs.replace(desk.where, account_api=desk.where.rest)
    soon_ms = desk.rest.clock.timestamp_ms() + 10 * 86_400_000
    answers(RESTRICTIONS, lambda call: GOOD_RIGHTS | {"tradingAuthorityExpirationTime": soon_ms})
    assert unwell(await findings(desk, True, where)) == {"key expiry": "warn"}


async def test_a_refused_key_is_one_finding_that_does_not_heal(desk, answers):
    for endpoint, shown in list(rest_api.ENDPOINTS.items()):
        if shown.security >= Security.SIGNED:
            answers(endpoint, refusing(-2015))
    found = [f for f in (await findings(desk, False)).values() if f.verdict == "fail" and not f.heals]
    assert [f.name for f in found] == ["key"] and "code -2015" in found[0].line
    with pytest.raises(StayDown, match="code -2015"):
        await checks.admit(desk.rest, desk.config, desk.instruments, desk.where, lambda: False, {})


@pytest.mark.parametrize(
    "code, verdict",
    [
        *((code, "fail") for code in (-4164, -1111, -4061, -4088, -9999)),
        *((code, "warn") for code in (-4140, -4400, -2019, -5022, -4131)),
    ],
)
async def test_an_order_refused_on_trial_fails_unless_the_reason_passes(desk, answers, code, verdict):
    answers(TRY, refusing(code))
    found = await findings(desk, False)
    assert unwell(found) == {"order BTCUSDC": verdict, "order ETHUSDC": verdict}
    assert f"refused on trial, code {code}" in found["order BTCUSDC"].line


async def test_filters_that_changed_under_the_configuration_are_a_failure(desk, answers):
    coarser = msgspec.structs.replace(desk.instruments["BTCUSDC"], lot_size=Decimal("0.01"), min_qty=Decimal("0.01"))
    later = SimpleNamespace(**vars(desk) | {"instruments": desk.instruments | {"BTCUSDC": coarser}})
    found = await findings(later)
    assert found["filters BTCUSDC"].verdict == "fail" and "near.size" in found["filters BTCUSDC"].line


async def test_sizes_too_small_at_the_price_of_now_are_a_failure_for_people(desk, answers):
    endpoint = ("GET", "/fapi/v1/premiumIndex")
    answers(endpoint, changed(endpoint, markPrice="9000.0"))
    found = await findings(desk)
    assert found["sizes BTCUSDC"].verdict == "fail"
    assert "sizes BTCUSDC" not in await findings(desk, thorough=False)


async def test_orders_and_positions_of_others_are_told(desk, answers):
    price = desk.instruments["BTCUSDC"].price_text(400_000)
    order = await desk.rest.place("BTCUSDC", "web_1", 1, "0.01", price)
    answers(
        ("GET", "/fapi/v3/positionRisk"),
        lambda call: [{"symbol": "XRPUSDC", "positionAmt": "-7", "entryPrice": "2", "positionSide": "BOTH"}],
    )
    try:
        found = await findings(desk)
        assert unwell(found) == {"orders of others": "warn", "positions elsewhere": "warn"}
        assert "BTCUSDC web_1" in found["orders of others"].line and "XRPUSDC -7" in found["positions elsewhere"].line
    finally:
        await desk.rest.cancel("BTCUSDC", order.coid)


async def test_a_lock_of_the_venue_is_told(desk, answers):
    locks = {
        "indicators": {"BTCUSDC": [{"isLocked": True, "plannedRecoverTime": 1, "indicator": "UFR", "value": 0.05}]}
    }
    answers(("GET", "/fapi/v1/apiTradingStatus"), lambda call: locks)
    assert unwell(await findings(desk)) == {"trading rules": "warn"}


async def test_a_wall_clock_far_off_is_told_to_people_and_does_not_stop_the_gateway(desk, answers):
    for off_ms, verdict in ((-300, "warn"), (2000, "fail"), (-2000, "fail")):
        answers(("GET", "/fapi/v1/time"), lambda call, off=off_ms: {"serverTime": call.now_ms + off})
        found = await findings(desk)
        assert found["clock"].verdict == verdict, found["clock"]
        assert "clock" not in await findings(desk, thorough=False)
    answers(("GET", "/fapi/v1/time"), lambda call: {"serverTime": call.now_ms})
    await desk.rest.server_time()


async def test_what_is_not_known_is_asked_again_until_it_is(desk, answers, monkeypatch, caplog):
    monkeypatch.setattr(checks, "AGAIN_S", 0.01)
    usual, asked = rest_api.ENDPOINTS[ACCOUNT].handler, []

    def sometimes(call):
        asked.append(1)
        return {} if len(asked) < 6 else usual(call)

    answers(ACCOUNT, sometimes)
    rates = {}
    await checks.admit(desk.rest, desk.config, desk.instruments, desk.where, lambda: False, rates)
    assert len(asked) >= 6 and rates.keys() == desk.instruments.keys()
    assert sum("waiting: account: not known" in record.message for record in caplog.records) == 1


async def test_what_may_heal_is_waited_for_until_asked_to_stop(desk, answers, monkeypatch):
    monkeypatch.setattr(checks, "AGAIN_S", 0.001)
    answers(ACCOUNT, lambda call: {})
    looks = []
    monkeypatch.setattr(checks.patience, "reach", lambda *asked: looks.append(1) or asyncio.sleep(0))
    await asyncio.wait_for(admitted(desk, lambda: len(looks) > 3), 60)


# ---- fit to be left ------------------------------------------------------------------------------------------------

POSITIONS = ("GET", "/fapi/v3/positionRisk")


def admitted(desk, stopping=lambda: False, **changes):
    config = msgspec.structs.replace(desk.config, **changes)
    return checks.admit(desk.rest, config, desk.instruments, desk.where, stopping, {})


def holding(qty: str, symbol: str = "BTCUSDC"):
    row = {"symbol": symbol, "positionAmt": qty, "entryPrice": "64000", "positionSide": "BOTH"}
    return lambda call: [row]


def poor(call):
    return [{"asset": "USDC", "balance": "100.0", "availableBalance": "100.0"}]


LASTING = {
    "equity": (("GET", "/fapi/v3/balance"), poor),
    "margin type": (CONTRACT, {"marginType": "ISOLATED"}),
    "asset mode": (ACCOUNT, {"multiAssetsMargin": True}),
    "order BTCUSDC": (TRY, refusing(-4164)),
}


@pytest.mark.parametrize("name", LASTING)
async def test_with_a_position_open_an_unfit_account_may_be_left(desk, answers, name):
    endpoint, handler = LASTING[name]
    answers(endpoint, changed(endpoint, **handler) if isinstance(handler, dict) else handler)
    for flat in (holding("0"), holding("5", "XRPUSDC")):
        answers(POSITIONS, flat)
        with pytest.raises(StayDown):
            await admitted(desk)
    answers(POSITIONS, holding("-0.012"))
    why = await admitted(desk)
    assert "\n" not in why and why.endswith("Open: BTCUSDC -0.012")
    assert name.split()[0] in why or "a stop at full inventory" in why


@pytest.mark.parametrize(
    "endpoint, handler",
    [
        (ACCOUNT, {"dualSidePosition": True}),
        (ACCOUNT, {"canTrade": False}),
        (TRY, refusing(-4061)),
        (TRY, refusing(-4088)),
    ],
)
async def test_what_forbids_closing_keeps_it_down_and_names_what_is_open(desk, answers, endpoint, handler):
    answers(POSITIONS, holding("0.3"))
    answers(("GET", "/fapi/v3/balance"), poor)
    answers(endpoint, changed(endpoint, **handler) if isinstance(handler, dict) else handler)
    with pytest.raises(StayDown, match=r"Open, to be closed at the venue: BTCUSDC 0\.3"):
        await admitted(desk)


@pytest.mark.parametrize("right, left", [("enableWithdrawals", True), ("enableFutures", False)])
async def test_a_key_that_may_too_much_can_still_close_and_one_without_futures_cannot(desk, answers, right, left):
    where = msgspec.structs.replace(desk.where, account_api=desk.where.rest)
    answers(RESTRICTIONS, lambda call: GOOD_RIGHTS | {right: left})
    answers(POSITIONS, holding("0.3"))
    asked = checks.admit(desk.rest, desk.config, desk.instruments, where, lambda: False, {})
    if left:
        assert "Open: BTCUSDC 0.3" in await asked
    else:
        with pytest.raises(StayDown):
            await asked


async def test_nothing_is_decided_before_the_positions_are_known(desk, answers, monkeypatch):
    monkeypatch.setattr(checks, "AGAIN_S", 0.001)
    asked = []

    def sometimes(call):
        asked.append(1)
        return {} if len(asked) < 20 else holding("0.3")(call)

    answers(("GET", "/fapi/v3/balance"), poor)
    answers(CONTRACT, changed(CONTRACT, marginType="ISOLATED"))
    answers(POSITIONS, sometimes)
    assert "Open: BTCUSDC 0.3" in await admitted(desk)


async def test_the_gateway_stays_down_with_one_line_of_everything_that_is_wrong(desk, answers):
    answers(ACCOUNT, changed(ACCOUNT, dualSidePosition=True, multiAssetsMargin=True))
    with pytest.raises(StayDown) as refused:
        await checks.admit(desk.rest, desk.config, desk.instruments, desk.where, lambda: False, {})
    text = str(refused.value)
    assert "hedge mode" in text and "multi-assets" in text and "\n" not in text
