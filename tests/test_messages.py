"""Binance's messages, decoded from frames as they came off the wire."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx._core.enums import ExecKind, Side
from phx.venue.binance import messages
from phx.venue.binance.messages import (
    AccountConfigUpdate,
    AccountUpdate,
    FrameRefused,
    ListenKeyExpired,
    MarginCall,
    OrderTradeUpdate,
    TradeLite,
    UnknownEvent,
    user_event,
)

FRAMES = Path(__file__).parent / "frames"


def lines(name: str) -> list[bytes]:
    return (FRAMES / name).read_bytes().splitlines()


@pytest.fixture(scope="session")
def wire(recordings) -> Path:
    folder = recordings / "wire"
    if not folder.is_dir():
        pytest.skip("no captured wire messages here")
    return folder


def test_an_account_s_day_is_read_event_by_event():
    events = [user_event(line) for line in lines("user_ethusdc_lifecycle.jsonl")]
    kinds = [type(event) for event in events]
    assert kinds == [AccountUpdate] * 3 + [OrderTradeUpdate] * 3 + [TradeLite, AccountUpdate, OrderTradeUpdate]
    deposit, _, funding = (event.account for event in events[:3])
    assert (deposit.reason, deposit.balances[0].wallet, deposit.balances[0].change) == ("DEPOSIT", "48.84650063", "10")
    assert (funding.reason, funding.positions, funding.balances[0].change) == ("FUNDING_FEE", [], "-0.00085067")


def test_an_order_s_life_is_told_in_phx_s_words():
    placed, canceled, _, lite, account, filled = [user_event(line) for line in lines("user_ethusdc_lifecycle.jsonl")][
        3:
    ]
    assert (placed.order.kind, placed.order.status) == (ExecKind.EXEC_ACK, "NEW")
    assert (canceled.order.kind, canceled.order.status) == (ExecKind.EXEC_CANCEL, "CANCELED")
    order = filled.order
    assert (order.kind, order.side, order.maker) == (ExecKind.EXEC_FILL, Side.BUY, True)
    assert (order.last_price, order.last_qty, order.filled_qty, order.commission) == ("2317.3", "0.02", "0.02", "0")
    assert (order.trade_id, order.venue_order_id) == (702423109, 58846581664)
    # The fast notice of the same fill says the same, padded.
    assert (lite.trade_id, lite.venue_order_id, lite.side, lite.coid) == (702423109, 58846581664, 1, order.coid)
    assert lite.last_price == "2317.30"
    assert account.account.positions[0].qty == "0.02"
    assert filled.ts_event_ns == 1776789210247 * 1_000_000 == order.trade_ts_ns


def test_a_market_order_and_an_old_amendment_are_read():
    lite, placed, *_ = [user_event(line) for line in lines("user_solusdt_market_buy.jsonl")]
    assert (lite.price, placed.order.type, placed.order.price) == ("0.0000", "MARKET", "0")
    amended = user_event((FRAMES / "user_xrpusdt_amendment_2023.json").read_bytes()).order
    # Captured before `V` and `er` existed.
    assert (amended.kind, amended.side, amended.expiry_reason) == (ExecKind.EXEC_AMEND, Side.SELL, "0")


def test_the_other_events_are_read():
    expired = user_event(b'{"e":"listenKeyExpired","E":1736996475556,"listenKey":"k"}')
    assert isinstance(expired, ListenKeyExpired) and expired.ts_event_ns == 1736996475556 * 10**6
    leverage = user_event(b'{"e":"ACCOUNT_CONFIG_UPDATE","E":2,"T":1,"ac":{"s":"BTCUSDC","l":25}}')
    assert isinstance(leverage, AccountConfigUpdate) and leverage.leverage.leverage == 25 and leverage.mode is None
    mode = user_event(b'{"e":"ACCOUNT_CONFIG_UPDATE","E":2,"T":1,"ai":{"j":true}}')
    assert mode.mode.multi_assets is True
    call = user_event(b'{"e":"MARGIN_CALL","E":1,"cw":"3.1","p":[{"s":"ETHUSDT","ps":"LONG","pa":"1","mt":"CROSSED"}]}')
    assert isinstance(call, MarginCall) and call.positions[0].symbol == "ETHUSDT"


def test_an_unknown_event_is_survived_whole():
    frame = b'{"e":"STRATEGY_UPDATE","T":1,"E":2,"su":{"si":176054594}}'
    assert user_event(frame) == UnknownEvent("STRATEGY_UPDATE", frame)


def test_an_unknown_word_is_kept_and_marked():
    frame = json.loads(lines("user_ethusdc_lifecycle.jsonl")[3])
    frame["o"] |= {"x": "TELEPORTED", "X": "ELSEWHERE", "S": "BOTHWAYS", "new": [1, {"deep": None}]}
    order = user_event(json.dumps(frame).encode()).order
    assert (order.kind, order.execution, order.status, order.side) == (255, "TELEPORTED", "ELSEWHERE", 0)


@pytest.mark.parametrize("name", ["s", "c", "S", "q", "p", "x", "X", "i", "l", "z", "L", "T", "t", "m", "R"])
def test_an_order_event_without_a_field_we_rely_on_is_refused(name):
    frame = json.loads(lines("user_ethusdc_lifecycle.jsonl")[-1])
    del frame["o"][name]
    with pytest.raises(FrameRefused, match=rf"ORDER_TRADE_UPDATE.*`{name}`"):
        user_event(json.dumps(frame).encode())


@pytest.mark.parametrize(
    "frame",
    [b"", b"[]", b"{}", b'"e"', b"null", b'{"e":1}', b"\xff\xfe", b'{"e":"TRADE_LITE"', b"[" * 10**5, b'{"a":' * 10**5],
)
def test_what_is_no_event_is_refused(frame):
    with pytest.raises(FrameRefused):
        user_event(frame)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_refused(noise):
    line = lines("user_ethusdc_lifecycle.jsonl")[3]
    at = len(noise) % len(line)
    for frame in (noise, line[:at] + noise, line[:at] + noise + line[at:]):
        with contextlib.suppress(FrameRefused):
            user_event(frame)


def test_order_replies_tell_outcome_and_budget():
    placed, margin, gone, unreadable, revoked = [messages.api_reply(line) for line in lines("ws_api_replies.jsonl")]
    assert (placed.id, placed.status, placed.order_counts(), placed.weight_used()) == ("p1", 200, {10: 1, 60: 2}, None)
    order = placed.order().order()
    assert (order.venue_order_id, order.coid, order.side, order.live) == (851545009715, "x1", 1, True)
    assert (margin.error.code, margin.order_counts()) == (-2019, {10: 1, 60: 1})
    assert (gone.error.code, gone.weight_used()) == (-2011, 19)
    assert (unreadable.id, unreadable.error.code, revoked.error.code) == (None, -1000, -2015)
    with pytest.raises(FrameRefused):
        margin.order()


def test_an_id_beyond_two_to_the_53_stays_exact():
    row = msgspec.json.decode(
        b'{"symbol":"A","orderId":8886774439912345679,"status":"NEW","clientOrderId":"c","side":"SELL"}',
        type=messages.OrderRow,
    )
    assert row.order().venue_order_id == 8886774439912345679


def exchange_info(*entries: bytes) -> bytes:
    return b'{"timezone":"UTC","serverTime":1,"rateLimits":[],"symbols":[' + b",".join(entries) + b"]}"


def test_instruments_come_in_the_caller_s_order_with_its_ids():
    eth = (FRAMES / "exchange_info_ethusdc.json").read_bytes()
    btc = (FRAMES / "exchange_info_btcusdt.json").read_bytes()
    odd = '{"symbol":"币安人生USDT","filters":"none of your business"}'.encode()
    found = messages.instruments(exchange_info(odd, btc, eth), {"ETHUSDC": 0, "BTCUSDT": 32})
    assert list(found) == ["ETHUSDC", "BTCUSDT"]
    ethusdc, btcusdt = found.values()
    assert (ethusdc.symbol_id, str(ethusdc.tick_size), str(ethusdc.lot_size)) == (0, "0.01", "0.001")
    assert (ethusdc.min_notional, ethusdc.max_qty, ethusdc.max_orders) == (20, 8000, 200)
    assert (btcusdt.symbol_id, btcusdt.ticks("84551.10"), btcusdt.min_notional) == (32, 845511, 50)
    assert (btcusdt.price_precision, btcusdt.price_decimals, btcusdt.percent_up) == (2, 1, messages.Decimal("1.05"))


def test_a_symbol_that_is_not_listed_or_lacks_a_filter_is_refused():
    eth = (FRAMES / "exchange_info_ethusdc.json").read_bytes()
    with pytest.raises(FrameRefused, match="lists no BTCUSDC"):
        messages.instruments(exchange_info(eth), {"ETHUSDC": 0, "BTCUSDC": 1})
    with pytest.raises(FrameRefused, match="ETHUSDC: exchangeInfo has no filter MIN_NOTIONAL"):
        messages.instruments(exchange_info(eth.replace(b"MIN_NOTIONAL", b"MIN_NATIONAL")), {"ETHUSDC": 0})
    with pytest.raises(FrameRefused, match="ETHUSDC: exchangeInfo has a filter that is no number"):
        messages.instruments(exchange_info(eth.replace(b'"tickSize":"0.01', b'"tickSize":"x0.01')), {"ETHUSDC": 0})


def test_every_captured_user_frame_is_read_completely(wire):
    frames = [
        line for file in sorted((wire / "captures" / "ws_user").iterdir()) for line in file.read_bytes().splitlines()
    ]
    assert len(frames) >= 20
    for frame in frames:
        event = user_event(frame)
        assert not isinstance(event, UnknownEvent)
        if isinstance(event, OrderTradeUpdate):
            assert event.order.kind != messages.UNKNOWN and event.order.side in (1, -1)


def example(path: Path) -> list[bytes]:
    """Return the payloads of a documentation example file, whatever it wraps them in."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            found.append(json.dumps(node).encode())
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
        elif isinstance(node, str) and node.lstrip()[:1] in ("{", "["):
            with contextlib.suppress(ValueError):
                walk(json.loads(node))

    walk(json.loads(path.read_text()))
    return found


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("new_order", messages.OrderRow),
        ("modify_order", messages.OrderRow),
        ("query_order", messages.OrderRow),
        ("cancel_order", messages.OrderRow),
        ("current_all_open_orders", messages.OrderRow),
        ("account_trade_list", messages.TradeRow),
        ("position_information_v3", messages.PositionRow),
        ("futures_account_balance_v3", messages.BalanceRow),
        ("user_commission_rate", messages.CommissionRow),
        ("get_current_position_mode", messages.PositionMode),
        ("check_server_time", messages.ServerTime),
        ("auto_cancel_all_open_orders", messages.CountdownAnswer),
    ],
)
def test_the_documented_answers_are_read(wire, name, row):
    path = wire / "sdk-docs" / "rest_api" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no documented example {name}")
    read = 0
    for payload in example(path):
        try:
            msgspec.json.decode(payload, type=row)
            read += 1
        except msgspec.DecodeError:
            pass
    assert read >= 1


def test_the_documented_exchange_info_is_read(wire):
    payloads = example(wire / "sdk-docs" / "rest_api" / "exchange_information.json")
    body = next(p for p in payloads if b'"symbols"' in p and b'"rateLimits"' in p)
    limits = msgspec.json.decode(body, type=messages.ExchangeInfo).rate_limits
    assert {limit.window_s for limit in limits} == {60}


@pytest.mark.parametrize("name", ["id", "orderId", "time"])
def test_a_number_beyond_what_records_hold_is_refused_with_its_frame(name):
    row = {
        "symbol": "A", "id": 1, "orderId": 1, "side": "BUY", "price": "1", "qty": "1", "commission": "0",
        "commissionAsset": "USDC", "realizedPnl": "0", "maker": True, "time": 1,
    }  # fmt: skip
    decoder = msgspec.json.Decoder(messages.TradeRow)
    frame = msgspec.json.encode(row)
    read = lambda number: decoder.decode(frame.replace(f'"{name}":1'.encode(), f'"{name}":{number}'.encode()))  # noqa: E731
    assert read(9 * 10**12).trade().trade_id > 0
    for number in (10**13 if name == "time" else 2**63, 10**19, -(10**19), 10**30):
        with pytest.raises(msgspec.ValidationError):
            read(number)
