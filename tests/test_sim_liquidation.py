"""Positions that run out of margin, deleveraging, and what it does to wallets; integers throughout."""

import pytest
from still_market import BTC, KINDS, NOW_NS, StillVenue

from phx.instruments import ONE_E8
from phx.sim.exchange.liquidation import bankruptcy_ticks
from phx.sim.exchange.liquidation_price import liquidation_price_e8

MS = 1_000_000


@pytest.fixture(params=KINDS)
def venue(request):
    return StillVenue(request.param)


def wallet_of(venue) -> int:
    return venue.account.wallets_e8["USDC"]


def explained(venue, start=10_000) -> int:
    """Return what the wallet must be: the start, fills, and income that no fill made."""
    account = venue.account
    fills = [fill for rows in account.fills.values() for fill in rows]
    return (
        start * ONE_E8
        + sum(fill.realised_e8 - fill.fee_e8 for fill in fills)
        + sum(i.change_e8 for i in account.incomes)
    )


def drop_to(venue, price: str, symbol="BTCUSDC") -> list[str]:
    venue.heard()
    venue.set_mark(symbol, price)
    venue.exchange.liquidator.check(NOW_NS)
    short = [event["e"] for event in venue.told]
    return short


def liquidation_price(venue) -> int:
    (position,) = venue.account.held()
    return liquidation_price_e8(venue.account, position, venue.exchange.marks_e8())


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize("isolated", [False, True])
def test_a_position_is_closed_at_its_liquidation_price_and_not_before(venue, side, isolated):
    venue.account.settings_of("BTCUSDC").isolated = isolated
    venue.account.settings_of("BTCUSDC").leverage = 50
    for _ in range(4):
        venue.market(side, "0.500")
    (position,) = venue.account.held()
    away = 1 if side == "BUY" else -1
    near_e8 = liquidation_price(venue)
    assert drop_to(venue, str((near_e8 + away * 10**8) / 1e8)) in ([], ["MARGIN_CALL"])
    assert position.lots
    told = drop_to(venue, str((near_e8 - away * 10**8) / 1e8))
    assert position.lots == 0
    assert told[0] in ("TRADE_LITE", "ORDER_TRADE_UPDATE")
    order = next(o for o in venue.account.orders.values() if o.forced)
    assert order.client_id.startswith("autoclose-")
    assert (order.tif, order.type, order.status) == ("IOC", "LIMIT", "FILLED")
    assert wallet_of(venue) == explained(venue) >= 0
    assert position.isolated_e8 == 0


def test_a_liquidation_ends_orders_first_then_closes_then_pays_the_fund(venue):
    venue.account.settings_of("BTCUSDC").leverage = 50
    for _ in range(4):
        venue.market("BUY", "1.500")
    venue.place(price="60900.0", quantity="0.010")
    venue.place(side="SELL", price="65000.0", quantity="0.010", reduceOnly="true")
    price_e8 = liquidation_price(venue)
    venue.heard()
    venue.set_mark("BTCUSDC", str((price_e8 - 10**8) / 1e8))
    venue.exchange.liquidator.check(NOW_NS)
    told = venue.heard()
    assert told[:2] == ["OTU EXPIRED EXPIRED 5"] * 2
    news = [line for line in told[2:] if line != "TRADE_LITE"]
    assert news[0] == "OTU NEW NEW"
    assert "OTU CALCULATED FILLED" in news or "OTU TRADE FILLED" in news
    assert news[-1] == "AU INSURANCE_CLEAR"
    assert wallet_of(venue) == explained(venue) >= 0


def test_the_clock_liquidates_once_a_second_after_the_marks():
    venue = StillVenue(bids=[(640_000, 5000), (600_000, 5000)], asks=[(640_010, 5000)])
    venue.account.settings_of("BTCUSDC").leverage = 100
    venue.market("BUY", "4.000")
    mark = venue.exchange.marks["BTCUSDC"]
    mark.update = lambda now_ms: setattr(mark, "mark_e8", 61_500 * ONE_E8)
    venue.exchange.turn(NOW_NS)
    assert venue.account.held() == []
    assert [o.client_id[:10] for o in venue.account.orders.values() if o.forced] == ["autoclose-"]


def test_what_the_book_does_not_take_the_fund_takes_over_at_the_bankruptcy_price():
    venue = StillVenue(bids=[(640_000, 500), (630_000, 100)], asks=[(640_010, 5000)], wallet=2000)
    venue.account.settings_of("BTCUSDC").leverage = 50
    venue.market("BUY", "1.000")
    venue.heard()
    venue.set_mark("BTCUSDC", "62050")
    venue.exchange.liquidator.check(NOW_NS)
    last = [t["o"] for t in venue.told if t["e"] == "ORDER_TRADE_UPDATE"][-1]
    taken = [t["o"] for t in venue.told if t.get("o", {}).get("x") == "TRADE"]
    assert sum(int(float(o["l"]) * 1000 + 0.5) for o in taken) == 600
    assert (last["x"], last["X"], last["l"], last["S"]) == ("CALCULATED", "FILLED", "0.4", "SELL")
    order = next(o for o in venue.account.orders.values() if o.forced)
    assert BTC.plain_price(order.price_ticks) == last["L"]
    assert venue.book.position_lots(venue.account.book_number("BOTH")) == 0
    assert wallet_of(venue) == explained(venue, 2000) >= 0


def test_the_bankruptcy_price_leaves_nothing():
    venue = StillVenue()
    venue.market("BUY", "0.100")
    (position,) = venue.account.held()
    mark_e8 = venue.exchange.marks["BTCUSDC"].mark_e8
    margin_e8 = 200 * ONE_E8 + position.unrealised_e8(mark_e8)
    ticks = bankruptcy_ticks(position, margin_e8, mark_e8)
    assert ticks == 640_010 - 20_000
    assert position.cost_e8 - BTC.value_e8(ticks * position.lots) == 200 * ONE_E8


def test_only_the_isolated_margin_is_lost(venue):
    venue.account.settings_of("BTCUSDC").isolated = True
    for _ in range(2):
        venue.market("BUY", "0.100")
    (position,) = venue.account.held()
    margin = position.isolated_e8
    assert margin == position.cost_e8 // 20
    before = wallet_of(venue)
    venue.set_mark("BTCUSDC", "50000")  # far beyond: the book still pays more than the bankruptcy price
    venue.exchange.liquidator.check(NOW_NS)
    assert position.lots == position.isolated_e8 == 0
    assert before - wallet_of(venue) <= margin
    assert wallet_of(venue) == explained(venue)


@pytest.mark.parametrize(
    ("leverage", "bids", "pays"),
    [
        (20, [(640_000, 500)], "fee"),  # closed far above bankruptcy: margin is left for the whole fee
        (100, [(640_000, 500)], "rest"),  # less is left than the fee
        (100, [(640_000, 50), (100_000, 10)], "fund"),  # taken over at bankruptcy: commission is what is missing
    ],
)
def test_the_clearance_fee_is_paid_from_what_is_left_and_what_is_missing_by_the_fund(leverage, bids, pays):
    venue = StillVenue(bids=bids, asks=[(640_010, 500)])
    venue.account.settings_of("BTCUSDC").isolated = True
    venue.account.settings_of("BTCUSDC").leverage = leverage
    venue.market("BUY", "0.100")
    (position,) = venue.account.held()
    margin, before = position.isolated_e8, wallet_of(venue)
    if pays == "fund":
        venue.book.cancel_order(1001 - 3)  # the bid at 64000 is gone
    venue.set_mark("BTCUSDC", "60000")
    venue.heard()
    venue.exchange.liquidator.check(NOW_NS)
    cleared = [i.change_e8 for i in venue.account.incomes if i.kind == "INSURANCE_CLEAR"]
    order = next(o for o in venue.account.orders.values() if o.forced)
    value = BTC.value_e8(order.executed_ticklots)
    if pays == "fee":
        assert cleared == [-value * 125 // 10_000]
        assert before - wallet_of(venue) < margin
    else:
        assert before - wallet_of(venue) == margin
        assert (cleared[0] > 0) == (pays == "fund")
    assert venue.heard()[-1] == "AU INSURANCE_CLEAR"
    assert wallet_of(venue) == explained(venue)


def test_a_margin_call_comes_once_a_minute_while_it_is_close(venue):
    venue.account.settings_of("BTCUSDC").leverage = 50
    for _ in range(4):
        venue.market("BUY", "0.500")
    close = str((liquidation_price(venue) + 30 * 10**8) / 1e8)
    assert drop_to(venue, close) == ["MARGIN_CALL"]
    row = venue.told[0]
    assert list(row) == ["e", "E", "cw", "p"]
    assert list(row["p"][0]) == ["s", "ps", "pa", "mt", "iw", "mp", "up", "mm"]
    assert (row["p"][0]["mt"], row["p"][0]["pa"]) == ("CROSSED", "2")
    assert drop_to(venue, close) == []
    assert drop_to(venue, "64000") == []
    assert drop_to(venue, close) == ["MARGIN_CALL"]


def test_the_margin_call_of_an_isolated_position_says_nothing_of_the_cross_wallet():
    venue = StillVenue()
    venue.account.settings_of("BTCUSDC").isolated = True
    venue.market("BUY", "0.100")
    assert drop_to(venue, str((liquidation_price(venue) + 30 * 10**8) / 1e8)) == ["MARGIN_CALL"]
    assert list(venue.told[0]) == ["e", "E", "p"]
    assert venue.told[0]["p"][0]["iw"] == "320.005"


@pytest.mark.parametrize(("other", "paid"), [(0, True), (5000, False)])
def test_in_multi_assets_mode_the_fund_pays_only_what_no_wallet_can(other, paid):
    venue = StillVenue(bids=[(640_000, 50), (100_000, 10)], asks=[(640_010, 500)], wallet=100)
    venue.account.wallets_e8["USDT"] = other * ONE_E8
    venue.account.multi_assets = True
    venue.market("BUY", "0.020")
    venue.book.cancel_order(1001 - 3)  # the bid at 64000 is gone
    venue.set_mark("BTCUSDC", "64000")
    (position,) = venue.account.held()
    venue.account.wallets_e8["USDC"] -= 95 * ONE_E8 + other * ONE_E8
    venue.exchange.liquidator.check(NOW_NS)
    assert position.lots == 0
    cleared = sum(i.change_e8 for i in venue.account.incomes if i.kind == "INSURANCE_CLEAR")
    total = sum(venue.account.wallets_e8.values())
    assert total == 0
    assert (cleared > 0, venue.account.wallets_e8["USDC"] < 0) == (True, not paid)


def test_deleveraging_closes_at_the_given_price_whatever_the_book_says(venue):
    venue.market("SELL", "0.100")
    venue.heard()
    venue.exchange.forced.deleverage(venue.account, "BTCUSDC", "BOTH", 650_000, NOW_NS)
    assert venue.heard() == ["OTU NEW NEW", "AU ORDER", "OTU CALCULATED FILLED"]
    order = next(o for o in venue.account.orders.values() if o.forced)
    assert (order.client_id, order.side, order.executed_ticklots) == ("adl_autoclose", 1, 65_000_000)
    assert venue.account.held() == []
    with pytest.raises(ValueError, match="no position"):
        venue.exchange.forced.deleverage(venue.account, "BTCUSDC", "BOTH", 650_000, NOW_NS)


def test_isolated_funding_comes_out_of_the_isolated_wallet_and_shows_the_position(venue):
    venue.account.settings_of("BTCUSDC").isolated = True
    venue.market("BUY", "0.100")
    (position,) = venue.account.held()
    isolated, wallet = position.isolated_e8, wallet_of(venue)
    venue.heard()
    venue.exchange.funding.settle(BTC, 0.0001, 64_000 * ONE_E8, NOW_NS // MS)
    venue.exchange.funding.book_due(NOW_NS // MS + 2999)
    assert venue.told == []
    venue.exchange.funding.book_due(NOW_NS // MS + 3000)
    (update,) = venue.told
    assert update["a"]["B"][0]["bc"] == "-0.64"
    assert (update["a"]["P"][0]["mt"], update["a"]["m"]) == ("isolated", "FUNDING_FEE")
    assert position.isolated_e8 == isolated - 64 * 10**6
    assert wallet_of(venue) == wallet - 64 * 10**6 == explained(venue)


@pytest.mark.parametrize("seed", range(6))
def test_the_wallet_is_always_start_plus_profit_less_fees_plus_income(seed):
    """Random orders, marks, funding and margins of two hedged or one-way accounts; money is never made or lost."""
    import contextlib
    import random

    from phx.sim.refusals import Refused

    rng = random.Random(seed)
    venue = StillVenue(KINDS[seed % 2], wallet=300 if seed > 3 else 10_000)
    start = 300 if seed > 3 else 10_000
    account = venue.account
    account.hedge = seed in (1, 4)
    account.settings_of("BTCUSDC").isolated = seed in (2, 5)
    for _ in range(250):
        with contextlib.suppress(Refused):
            side = rng.choice(["BUY", "SELL"])
            change = {
                "side": side,
                "quantity": f"0.{rng.randint(1, 60):03}",
                "price": f"{rng.randint(63_990, 64_011)}.0",
            }
            change["timeInForce"] = rng.choice(["GTC", "IOC", "FOK", "GTX"])
            change["selfTradePreventionMode"] = rng.choice(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
            if account.hedge:
                change["positionSide"] = rng.choice(["LONG", "SHORT"])
            elif rng.random() < 0.3:
                change["reduceOnly"] = "true"
            what = rng.random()
            if what < 0.7:
                venue.place(**change)
            elif what < 0.8:
                venue.place(venue.rival, **{**change, "positionSide": "BOTH", "reduceOnly": "false"})
            elif what < 0.9:
                venue.set_mark("BTCUSDC", rng.randint(62_500, 65_500))
                venue.exchange.liquidator.check(NOW_NS)
            else:
                venue.exchange.funding.settle(BTC, rng.uniform(-0.001, 0.001), 64_000 * ONE_E8, 0)
                venue.exchange.funding.book_due(10**15)
        assert wallet_of(venue) == explained(venue, start)
        for (_, side_), position in account.positions.items():
            fills = [f for f in account.fills.get("BTCUSDC", ()) if f.order.position_side == side_]
            if position.contract is BTC:
                assert position.lots == sum(f.order.side * f.lots for f in fills)
                assert position.lots == venue.book.position_lots(account.book_number(side_))
                assert (position.lots == 0) <= (position.isolated_e8 == 0)
            assert (side_ != "LONG" or position.lots >= 0) and (side_ != "SHORT" or position.lots <= 0)
        reducing = [o for o in account.all_open() if o.reduce_only]
        for order in reducing:
            held = account.position(BTC, order.position_side).lots
            mine = sum(o.remaining_lots for o in reducing if o.position_side == order.position_side)
            assert order.side * held < 0 and mine <= abs(held)
