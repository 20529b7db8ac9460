"""The venue's official SDK, unmodified but for its base URLs."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError, NotFoundError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from judging import Judge, LocalBook, arguments, expect, until

judge = Judge()


class Venue:
    """The client and what the steps share."""

    def __init__(self, said: dict):
        self.said = said
        self.symbol = said["symbol"]
        self.client = self.made(said["secret"])
        self.rest = self.client.rest_api
        self.events = []

    def made(self, secret: str):
        said = self.said
        return sdk.DerivativesTradingUsdsFutures(
            ConfigurationRestAPI(said["key"], secret, base_path=said["rest"], retries=0, timeout=5000),
            ConfigurationWebSocketAPI(said["key"], secret, stream_url=said["ws"] + "/ws-fapi/v1"),
            ConfigurationWebSocketStreams(stream_url=said["ws"]),
        )

    def touch(self) -> tuple[float, float]:
        ticker = self.rest.symbol_order_book_ticker(self.symbol).data().actual_instance
        return float(ticker.bid_price), float(ticker.ask_price)

    def far_bid(self, share: float = 0.98) -> float:
        return round(self.touch()[0] * share, 1)

    def place(self, **wanted):
        wanted = {"side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 0.01} | wanted
        return self.rest.new_order(self.symbol, **wanted).data()

    def of_kind(self, kind: str) -> list:
        return [event for found, event in self.events if found == kind]


def plain(message) -> dict:
    """Return a message of the SDK as the dictionary it was."""
    inner = getattr(message, "actual_instance", message)
    return inner.to_dict() if hasattr(inner, "to_dict") else dict(inner)


def event_of(message) -> tuple[str, dict]:
    """Return (kind, event): the SDK keeps an event's kind as the class of what it read."""
    return type(message.actual_instance).__name__, plain(message)


def refusal(call, kind) -> tuple:
    """Return (code, message) of the typed exception that a call must raise."""
    try:
        found = call()
    except kind as error:
        return error.status_code, error.error_message
    raise AssertionError(f"expected {kind.__name__}, found {found}")


@judge.step
def exchange_information(venue):
    found = venue.rest.exchange_information().data()
    expect(any(entry.symbol == venue.symbol for entry in found.symbols), found)
    return [limit.to_dict() for limit in found.rate_limits]


@judge.step
def time_and_connectivity(venue):
    venue.rest.test_connectivity()
    return venue.rest.check_server_time().data().server_time


@judge.step
def weights_in_the_headers(venue):
    answer = venue.rest.order_book(venue.symbol, limit=100)
    answer.data()
    expect(any(limit.count > 0 for limit in answer.rate_limits), answer.rate_limits)


@judge.step
def market_data_by_rest(venue):
    rest, symbol = venue.rest, venue.symbol
    expect(len(rest.order_book(symbol, limit=20).data().bids) == 20, "20 levels wanted")
    for call in (
        rest.recent_trades_list,
        rest.compressed_aggregate_trades_list,
        rest.mark_price,
        rest.symbol_price_ticker,
        rest.symbol_price_ticker_v2,
        rest.ticker24hr_price_change_statistics,
        rest.open_interest,
        rest.get_funding_rate_history,
    ):
        expect(call(symbol=symbol).data() is not None, call)
    rest.get_funding_rate_info().data()
    expect(len(rest.kline_candlestick_data(symbol, "1m").data()) >= 1, "klines")


@judge.step
async def a_local_book_from_stream_and_snapshot(venue):
    connection = await venue.client.websocket_streams.create_connection()
    book = LocalBook()
    stream = await connection.diff_book_depth_streams(symbol=venue.symbol.lower(), update_speed="100ms")
    stream.on("message", lambda message: book.add(plain(message)))
    await until(lambda: len(book.waiting) >= 3, "three diffs")
    snapshot = await asyncio.to_thread(lambda: venue.rest.order_book(venue.symbol, limit=1000).data())
    book.begin({"lastUpdateId": snapshot.last_update_id, "bids": snapshot.bids, "asks": snapshot.asks})
    await until(lambda: book.applied >= 20, "twenty diffs")
    await stream.unsubscribe()
    await connection.close_connection()
    expect(book.gaps == 0, book.gaps)
    bid, ask = book.top()
    expect(bid < ask, (bid, ask))
    return bid, ask


@judge.step
async def every_market_stream(venue):
    connection = await venue.client.websocket_streams.create_connection()
    symbol, heard = venue.symbol.lower(), {}
    wanted = {
        "bookTicker": connection.individual_symbol_book_ticker_streams(symbol=symbol),
        "depth5": connection.partial_book_depth_streams(symbol=symbol, levels=5, update_speed="100ms"),
        "aggTrade": connection.aggregate_trade_streams(symbol=symbol),
        "markPrice": connection.mark_price_stream(symbol=symbol, update_speed="1s"),
        "kline": connection.kline_candlestick_streams(symbol=symbol, interval="1m"),
        "miniTicker": connection.individual_symbol_mini_ticker_stream(symbol=symbol),
        "ticker": connection.individual_symbol_ticker_streams(symbol=symbol),
    }
    for name, subscribing in wanted.items():
        stream = await subscribing
        stream.on("message", lambda message, name=name: heard.setdefault(name, plain(message)))
    await until(lambda: len(heard) == len(wanted), f"all of {sorted(wanted)}, heard {sorted(heard)}", 20)
    await connection.close_connection()
    return {name: sorted(message) for name, message in heard.items()}


@judge.step
async def listen_to_the_account(venue):
    key = venue.rest.start_user_data_stream().data().listen_key
    venue.rest.keepalive_user_data_stream()
    venue.stream = await venue.client.websocket_streams.create_connection()
    heard = await venue.stream.user_data(key)
    heard.on("message", lambda message: venue.events.append(event_of(message)))
    return key


@judge.step
async def place_modify_cancel_by_rest(venue):
    price = venue.far_bid()
    placed = venue.place(price=price, new_client_order_id="judge-rest-1", new_order_resp_type="ACK")
    expect(placed.status == "NEW" and placed.client_order_id == "judge-rest-1", placed)
    changed = venue.rest.modify_order(
        venue.symbol, "BUY", quantity=0.02, price=round(price - 1, 1), order_id=placed.order_id
    ).data()
    expect(float(changed.orig_qty) == 0.02 and changed.order_id == placed.order_id, changed)
    history = venue.rest.get_order_modify_history(venue.symbol, order_id=placed.order_id).data()
    expect(len(history) == 1, history)
    asked = venue.rest.query_order(venue.symbol, order_id=placed.order_id).data()
    expect(float(asked.price) == round(price - 1, 1), asked)
    expect(len(venue.rest.current_all_open_orders(venue.symbol).data()) >= 1, "an open order")
    gone = venue.rest.cancel_order(venue.symbol, order_id=placed.order_id).data()
    expect(gone.status == "CANCELED", gone)
    await until(
        lambda: [event["o"]["X"] for event in venue.of_kind("OrderTradeUpdate")][-3:] == ["NEW", "NEW", "CANCELED"],
        "the order's three events",
    )


@judge.step
async def a_fill_on_the_user_stream(venue):
    before = len(venue.events)
    placed = venue.place(type="MARKET", time_in_force=None, new_order_resp_type="RESULT", quantity=0.01)
    expect(placed.status == "FILLED", placed)
    await until(lambda: venue.of_kind("AccountUpdate"), "AccountUpdate")
    fills = await until(
        lambda: [e for e in venue.of_kind("OrderTradeUpdate") if e["o"]["x"] == "TRADE"], "OrderTradeUpdate"
    )
    expect(sum(float(fill["o"]["l"]) for fill in fills) > 0, fills)
    expect(venue.of_kind("TradeLite"), [kind for kind, _ in venue.events[before:]])
    trades = venue.rest.account_trade_list(venue.symbol).data()
    expect(len(trades) >= 1, trades)
    return [kind for kind, _ in venue.events[before:]]


@judge.step
def position_and_balance(venue):
    rest = venue.rest
    rows = rest.position_information_v3(symbol=venue.symbol).data()
    expect(any(float(row.position_amt) > 0 for row in rows), rows)
    rest.position_information_v2(symbol=venue.symbol).data()
    expect(float(rest.account_information_v3().data().total_wallet_balance) > 0, "a wallet")
    rest.account_information_v2().data()
    expect(any(float(row.balance) > 0 for row in rest.futures_account_balance_v3().data()), "a balance")
    rest.futures_account_balance_v2().data()
    rest.futures_account_configuration().data()
    rest.symbol_configuration(symbol=venue.symbol).data()
    rest.user_commission_rate(venue.symbol).data()
    rest.notional_and_leverage_brackets(symbol=venue.symbol).data()
    rest.get_income_history().data()
    rest.query_user_rate_limit().data()
    rest.get_current_position_mode().data()
    rest.get_current_multi_assets_mode().data()
    rest.position_adl_quantile_estimation().data()
    rest.futures_trading_quantitative_rules_indicators(symbol=venue.symbol).data()
    rest.users_force_orders().data()


@judge.step
def leverage_and_margin_type(venue):
    found = venue.rest.change_initial_leverage(venue.symbol, 7).data()
    expect(found.leverage == 7, found)
    code, text = refusal(lambda: venue.rest.change_margin_type(venue.symbol, "CROSSED"), BadRequestError)
    expect(code == -4046, (code, text))


@judge.step
def batch_orders(venue):
    price = venue.far_bid()
    wanted = [
        {
            "symbol": venue.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": str(round(price - n, 1)),
            "newClientOrderId": f"judge-batch-{n}",
        }
        for n in range(3)
    ]
    wanted.append(wanted[0] | {"price": "0.00001", "newClientOrderId": "judge-batch-bad"})
    found = venue.rest.place_multiple_orders(wanted).data()
    ids = [row.order_id for row in found if row.order_id]
    expect(len(found) == 4 and len(ids) == 3 and found[3].code in (-1111, -4013, -4014), found)
    gone = venue.rest.cancel_multiple_orders(venue.symbol, order_id_list=ids).data()
    expect([row.status for row in gone] == ["CANCELED"] * 3, gone)


@judge.step
async def countdown_cancels_everything(venue):
    venue.place(price=venue.far_bid())
    armed = venue.rest.auto_cancel_all_open_orders(venue.symbol, 300).data()
    expect(armed.symbol == venue.symbol, armed)
    await until(lambda: not venue.rest.current_all_open_orders(venue.symbol).data(), "no open order", 5)
    venue.rest.auto_cancel_all_open_orders(venue.symbol, 0)


@judge.step
def errors_are_typed(venue):
    cases = {
        "post-only": (lambda: venue.place(time_in_force="GTX", price=round(venue.touch()[1] * 1.001, 1)), -5022),
        "precision": (lambda: venue.place(price=venue.far_bid(), quantity=0.0123456789), -1111),
        "absent order": (lambda: venue.rest.cancel_order(venue.symbol, order_id=1), -2011),
        "absent query": (lambda: venue.rest.query_order(venue.symbol, order_id=1), -2013),
        "unknown symbol": (lambda: venue.rest.order_book("NOSUCHUSDC"), -1121),
        "small": (lambda: venue.place(price=venue.far_bid(), quantity=0.0001), (-4003, -4164, -4005, -1111)),
    }
    found = {name: refusal(call, (BadRequestError, NotFoundError))[0] for name, (call, _) in cases.items()}
    wrong = {n: c for n, c in found.items() if c != cases[n][1] and c not in as_tuple(cases[n][1])}
    expect(not wrong, wrong)
    code, _ = refusal(
        lambda: venue.made("wrong").rest_api.account_information_v3(), (BadRequestError, UnauthorizedError)
    )
    expect(code == -1022, code)
    return found


def as_tuple(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


@judge.step
async def orders_by_the_websocket_api(venue):
    connection = await venue.client.websocket_api.create_connection()
    price = venue.far_bid()
    placed = await connection.new_order(
        symbol=venue.symbol,
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity=0.01,
        price=price,
        new_client_order_id="judge-ws-1",
    )
    order = placed.data().result
    expect(order.status == "NEW" and order.client_order_id == "judge-ws-1", order)
    expect(placed.rate_limits, placed.rate_limits)
    changed = (
        (
            await connection.modify_order(
                symbol=venue.symbol, side="BUY", quantity=0.02, price=round(price - 2, 1), order_id=order.order_id
            )
        )
        .data()
        .result
    )
    expect(float(changed.orig_qty) == 0.02, changed)
    asked = (await connection.query_order(symbol=venue.symbol, order_id=order.order_id)).data().result
    expect(asked.order_id == order.order_id, asked)
    gone = (await connection.cancel_order(symbol=venue.symbol, order_id=order.order_id)).data().result
    expect(gone.status == "CANCELED", gone)
    for call in (
        connection.account_information_v2,
        connection.futures_account_balance_v2,
        connection.account_information,
        connection.futures_account_balance,
        connection.position_information_v2,
        connection.position_information,
    ):
        expect((await call()).data().result is not None, call)
    book = (await connection.order_book(symbol=venue.symbol, limit=5)).data().result
    expect(len(plain(book)["bids"]) == 5, book)
    for call in (connection.symbol_order_book_ticker, connection.symbol_price_ticker):
        expect(plain((await call(symbol=venue.symbol)).data())["result"], call)
    key = (await connection.start_user_data_stream()).data().result.listen_key
    expect(key, key)
    await connection.keepalive_user_data_stream()
    await connection.close_connection()


@judge.step
def leave_nothing_behind(venue):
    rows = venue.rest.position_information_v3(symbol=venue.symbol).data()
    for row in rows:
        held = float(row.position_amt)
        if held:
            venue.place(
                side="SELL" if held > 0 else "BUY",
                type="MARKET",
                time_in_force=None,
                quantity=abs(held),
                reduce_only="true",
            )
    venue.rest.cancel_all_open_orders(venue.symbol)
    expect(not venue.rest.current_all_open_orders(venue.symbol).data(), "no open order")
    expect(
        not [r for r in venue.rest.position_information_v3(symbol=venue.symbol).data() if float(r.position_amt)], "flat"
    )
    venue.rest.close_user_data_stream()


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
