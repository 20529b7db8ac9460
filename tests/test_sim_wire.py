"""The simulator's messages equal captured ones, byte for byte, in the same situation."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from phx._core.enums import TradeOrigin
from phx.instruments import ONE_E8
from phx.sim.api import answers
from phx.sim.contracts import listed, padded, plain
from phx.sim.exchange import wire
from phx.sim.exchange.account import Account, Fill, Order
from phx.sim.streams import market_wire
from phx.sim.streams.streams import ORIGIN_TEXT
from phx.sim.streams.tape import Aggregate

FRAMES = Path(__file__).parent / "frames"
CONTRACTS = listed({})
ETHUSDC, BTCUSDT, DOGEUSDT, SOLUSDT = (CONTRACTS[s] for s in ("ETHUSDC", "BTCUSDT", "DOGEUSDT", "SOLUSDT"))


def captured(name: str) -> list[str]:
    return (FRAMES / name).read_text().split("\n")


def market_frames() -> dict[str, str]:
    """Return captured market payloads, without their stream's envelope, by stream name or event."""
    found = {}
    for line in filter(None, captured("market_streams_2026.jsonl")):
        head, _, payload = line.partition(',"data":')
        if payload:
            found[head.removeprefix('{"stream":"').removesuffix('"')] = payload.removesuffix("}")
        else:
            found["markPrice"] = line
    return found


def e8(text: str) -> int:
    return int(Decimal(text) * ONE_E8)


def test_book_ticker():
    c = BTCUSDT.instrument
    bid, ask = (c.ticks("84551.00"), c.lots("2.646")), (c.ticks("84551.10"), c.lots("5.302"))
    text = market_wire.book_ticker(BTCUSDT, 11671659685961, bid, ask, 1790526538939, 1790526538940)
    assert text == market_frames()["btcusdt@bookTicker"]


def test_depth_update():
    frame = market_frames()["btcusdt@depth@100ms"]
    told = msgspec.json.decode(frame)
    c = BTCUSDT.instrument
    bids, asks = ([(c.ticks(price), c.lots(qty)) for price, qty in told[side]] for side in "ba")
    text = market_wire.depth_update(BTCUSDT, told["U"], told["u"], told["pu"], bids, asks, told["T"], told["E"])
    assert text == frame


def test_agg_trade_and_trade():
    c, frames = BTCUSDT.instrument, market_frames()
    one = Aggregate(3466782974, c.ticks("84551.10"), 30, 30, 8123344783, 8123344783, 1790526538883, 1)
    aggregate = market_wire.agg_trade(BTCUSDT, one, 1790526539033)
    assert aggregate == frames["btcusdt@aggTrade"]
    trade = market_wire.trade(
        BTCUSDT, 8121136411, c.ticks("83680"), 1, True, ORIGIN_TEXT[TradeOrigin.ORIGIN_MARKET], 1790370834848,
        1790370834849,
    )  # fmt: skip
    assert trade == frames["btcusdt@trade"]


def test_a_trade_that_is_none_has_bare_zeros():
    text = market_wire.trade(
        DOGEUSDT, 3488255295, 0, 0, True, ORIGIN_TEXT[TradeOrigin.ORIGIN_NONE], 1790371725748, 1790371725749
    )
    assert text == market_frames()["dogeusdt@trade"]


def test_mark_price():
    text = market_wire.mark_price(
        BTCUSDT, e8("76888.1"), e8("76935.00826087"), e8("77018.8026775"), e8("0.000089"), 1789488000000, 1789478303000
    )
    assert text == market_frames()["markPrice"]


def account(wallet="0", maker_fee="0", taker_fee="0.0004", asset="USDC") -> Account:
    return Account(1, e8(wallet), [asset], Decimal(maker_fee), Decimal(taker_fee))


def order(contract, order_id, client_id, side, price, qty, tif="GTC", **more) -> Order:
    c = contract.instrument
    return Order(
        contract, order_id, client_id, side, more.pop("type", "LIMIT"), tif, c.ticks(price), c.lots(qty),
        more.pop("reduce_only", False), "EXPIRE_MAKER", 0, 0, 0, **more,
    )  # fmt: skip


def in_one_way_mode(frame: str) -> str:
    """Return a captured frame as one-way mode would have sent it; the simulator has no hedge mode."""
    return frame.replace('"ps":"SHORT"', '"ps":"BOTH"')


def test_a_resting_order_is_announced_as_captured():
    ours, owner = order(ETHUSDC, 81873278124, "xNzvN00fwGYcj0DLc9EThL", -1, "2463.26", "0.473", "GTX"), account()
    # The venue shows slightly more than price times quantity here (1166.82229); clients ignore it.
    owner.open_orders("ETHUSDC").add(ours)
    frame = in_one_way_mode(captured("user_ethusdc_gtx_maker_fill.jsonl")[0])
    text = wire.order_update(ours, "NEW", owner, 1788231596123, 1788231596123)
    assert text == frame.replace('"a":"1166.82229"', '"a":"1165.12198"')


def lifecycle(number: int) -> str:
    return captured("user_ethusdc_lifecycle.jsonl")[number]


def test_new_cancelled_and_amended_orders():
    owner = account()
    ours = order(ETHUSDC, 58846010837, "web_coin_4y4b8mofbf7dqhq61p3paub", 1, "2313", "0.02")
    owner.open_orders("ETHUSDC").add(ours)
    assert wire.order_update(ours, "NEW", owner, 1776788790649, 1776788790650) == lifecycle(3)
    gone = order(
        ETHUSDC, 58846421973, "web_coin_3k0uxdsggnid0ax7zf16fvs", 1, "2310", "0.02", status="CANCELED"
    )  # fmt: skip
    assert wire.order_update(gone, "CANCELED", account(), 1776789081389, 1776789081390) == lifecycle(4)
    owner = account()
    ours = order(ETHUSDC, 58846581664, "web_coin_px06wttcjgaebeca9w5ijo3", 1, "2315.9", "0.02")
    owner.open_orders("ETHUSDC").add(ours)
    assert wire.order_update(ours, "AMENDMENT", owner, 1776789150137, 1776789150138) == lifecycle(5)


def test_a_maker_fill_is_told_in_three_messages():
    owner = account(wallet="37.87866827")
    ours = order(ETHUSDC, 58846581664, "web_coin_px06wttcjgaebeca9w5ijo3", 1, "2317.3", "0.02")
    at, ticks, lots = 1776789210247, ours.price_ticks, ours.orig_lots
    assert wire.trade_lite(ours, 702423109, ticks, lots, True, at, at) == lifecycle(6)
    owner.position(ETHUSDC).realised_e8 = e8("-0.28351998")
    fill = owner.book_fill(ours, lots, ticks, True, 702423109, at)
    position = owner.position(ETHUSDC)
    mark_e8 = e8("2317.5930875")  # gives the captured unrealised profit
    assert wire.account_update(owner, "USDC", [position], {"ETHUSDC": mark_e8}, "ORDER", at, at) == lifecycle(7)
    assert wire.order_update(ours, "TRADE", owner, at, at, fill) == lifecycle(8)


def test_funding_moves_the_wallet_and_names_no_position():
    at = 1776787203246
    text = wire.account_update(account("38.17806885"), "USDC", [], {}, "FUNDING_FEE", at, at, e8("-0.00085067"))
    assert text == lifecycle(2)


def test_a_market_order_shows_no_price():
    frames = captured("user_solusdt_market_buy.jsonl")
    owner = account("1.73744723", asset="USDT")
    ours = order(SOLUSDT, 199033476993, "SOLUSDT_BOTH_1771856732181_1", 1, "0", "0.1", type="MARKET")
    at = 1771856732584
    ticks, lots = SOLUSDT.instrument.ticks("80.19"), SOLUSDT.instrument.lots("0.1")
    assert wire.trade_lite(ours, 3181138052, ticks, lots, False, at, at) == frames[0]
    assert wire.order_update(ours, "NEW", owner, at, at) == frames[1]


def test_break_even_includes_the_fee_as_captured():
    owner = account("1000", taker_fee="0.0005", asset="USDT")
    ours = order(BTCUSDT, 1, "x", 1, "91739.9", "0.002")
    fill = owner.book_fill(ours, 2, ours.price_ticks, False, 5612428004, 0)
    assert plain(fill.fee_e8, 8) == "0.0917399"
    text = wire.account_update(owner, "USDT", owner.held(), {"BTCUSDT": e8("91739.9")}, "ORDER", 0, 0)
    assert '"bep":"91785.76995"' in text
    assert '"bep":"91785.76995"' in captured("user_btcusdt_taker_roundtrip.jsonl")[2]


def test_an_acknowledgement_is_padded_and_carries_no_filled_amounts():
    ours = order(BTCUSDT, 685989929304, "93Mbegwes6NHYIiwcodq68", 1, "50000", "0.002")
    ours.update_ms = 1747568334548
    assert msgspec.json.encode(answers.order_ack(ours)) == (FRAMES / "rest_order_ack_btcusdt.json").read_bytes().strip()


def test_listed_contracts_equal_captured_ones():
    for symbol in ("BTCUSDT", "ETHUSDC"):
        entry = msgspec.json.decode((FRAMES / f"exchange_info_{symbol.lower()}.json").read_bytes())
        assert CONTRACTS[symbol].entry == entry


def test_a_user_trade_lists_padded_numbers():
    ours = order(ETHUSDC, 58846581664, "c", 1, "2317.3", "0.02")
    row = answers.user_trade(Fill(ours, 702423109, 1776789210247, ours.price_ticks, 20, True, 0, 0, transaction=1))
    text = msgspec.json.encode(row).decode()
    assert text.startswith(
        '{"symbol":"ETHUSDC","id":702423109,"orderId":58846581664,"side":"BUY","price":"2317.30","qty":"0.020",'
        '"realizedPnl":"0","quoteQty":"46.34600","commission":"0","commissionAsset":"USDC","time":1776789210247,'
        '"positionSide":"BOTH","buyer":true,"maker":true'
    )


@pytest.mark.parametrize(
    ("value", "decimals", "full", "short"),
    [
        (0, 2, "0.00", "0"),
        (5, 3, "0.005", "0.005"),
        (-50, 2, "-0.50", "-0.5"),
        (1200, 2, "12.00", "12"),
        (100, 0, "100", "100"),
    ],
)
def test_numbers_are_printed_padded_or_plain(value, decimals, full, short):
    assert padded(value, decimals) == full
    assert plain(value, decimals) == short
