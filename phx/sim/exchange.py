"""The exchange: requests of accounts in, orders in the books, events out to their owners, by the clock.

Everything happens in one thread. `turn` is the venue's clock: it plays the market, fires countdowns, ends orders whose
time is up, publishes marks and charges funding.
"""

from collections.abc import Callable

from phx._core.matching import Event, EventKind, Expiry, Refusal
from phx.instruments import ONE_E8
from phx.sim import answers, rules, wire
from phx.sim.account import Account, Amendment, Order
from phx.sim.all_markets import AllMarkets
from phx.sim.contracts import Contract, padded
from phx.sim.ledger import Ledger
from phx.sim.limits import Limits
from phx.sim.mark import Mark
from phx.sim.market import Market, Player
from phx.sim.position import Position
from phx.sim.refusals import Refused
from phx.sim.settings import Settings
from phx.sim.streams import Hub

TURN_BUDGET_NS = 5_000_000  # of playing the market, before other work of the loop gets its turn
MARK_INTERVAL_MS = 1000


class Exchange:
    """Accounts, markets and the rules between them. `emit` sends a user event to everybody on an account's stream."""

    def __init__(self, player: Player, contracts: dict[str, Contract], hub: Hub, now_ms: int):
        self.player = player
        self.contracts = {symbol: contracts[symbol] for symbol in player.markets}
        self.hub = hub
        self.limits = Limits()
        self.ledger = Ledger()
        self.accounts: dict[int, Account] = {}
        self.emit: Callable[[Account, str], None] = lambda account, text: None
        self.on_forced: Callable[[Order, int], None] = lambda order, ts_ms: None  # liquidation or ADL order done
        self.overloaded = False  # -1008 to orders that do not reduce
        self.settings = Settings(self.contracts, self.marks_e8, lambda account, text: self.emit(account, text))
        self.countdowns: dict[str, int] = {}  # symbol → deadline, ms
        self._countdown_owner: dict[str, int] = {}
        self._amendments = 0
        self._good_till: dict[tuple[str, int], Order] = {}
        self.now_ms = now_ms
        self.marks = {symbol: Mark(market, now_ms) for symbol, market in player.markets.items()}
        self.all_markets = AllMarkets(hub, [market.streams for market in player.markets.values()])
        self._mark_due_ms = 0
        self.funding_history: list[dict] = []  # rows of the fundingRate query
        for symbol in self.contracts:
            self.ledger.of(symbol)

    # ---- orders -------------------------------------------------------------------------------------------------

    def marks_e8(self) -> dict[str, int]:
        return {symbol: mark.mark_e8 for symbol, mark in self.marks.items()}

    def place(self, account: Account, params: dict, now_ns: int) -> dict:
        """Place an order; return its acknowledgement. Raises Refused; then nothing happened."""
        try:
            return self._place(account, params, now_ns)
        except Refused as refusal:
            symbol = str(params.get("symbol", ""))
            if symbol in self.contracts:
                client_id = str(params.get("newClientOrderId", ""))
                self.ledger.on_refused(now_ns // 1_000_000, symbol, client_id, refusal.code)
            raise

    def check(self, account: Account, params: dict, now_ns: int) -> rules.NewOrder:
        """Return a place request that passed every check but the book's."""
        new = rules.new_order(self.contracts, params, now_ns // 1_000_000)
        contract, mark_e8 = new.contract, self.marks[new.contract.symbol].mark_e8
        if new.type == "LIMIT":
            rules.check_band(contract, new.side, new.price_ticks, mark_e8)
        else:
            best = self.player.markets[contract.symbol].book.top(-new.side)
            rules.check_market_band(contract, new.side, best, mark_e8)
        if not new.reduce_only:
            at_mark_e8 = int(new.lots * contract.instrument.lot_size * mark_e8)
            value_e8 = contract.value_e8(new.price_ticks * new.lots) if new.type == "LIMIT" else at_mark_e8
            rules.check_notional(contract, value_e8)
        rules.check_account(account, new, self.marks_e8())
        return new

    def _place(self, account: Account, params: dict, now_ns: int) -> dict:
        new = self.check(account, params, now_ns)
        now_ms = now_ns // 1_000_000
        contract = new.contract
        lots = rules.reduce_only_lots(account, new) if new.reduce_only else new.lots
        market = self.player.markets[contract.symbol]
        price_ticks = new.price_ticks or self._market_bound(contract, new.side)
        order_id = market.book.place_order(
            account.owner, new.side, price_ticks, lots, new.tif_code, rules.SELF_TRADES[new.self_trade]
        )
        if order_id < 0:
            raise Refused(-5022 if order_id == Refusal.REFUSED_POST_ONLY else -5021)
        order = Order(
            contract=contract,
            order_id=order_id,
            client_id=new.client_id,
            side=new.side,
            type=new.type,
            tif=new.tif,
            price_ticks=new.price_ticks,
            orig_lots=lots,
            reduce_only=new.reduce_only,
            self_trade=new.self_trade,
            good_till_ms=new.good_till_ms,
            time_ms=now_ms,
            update_ms=now_ms,
        )
        account.keep(order)
        opened = account.open_orders(contract.symbol)
        if new.type == "LIMIT":
            opened.add(order)
        if new.good_till_ms:
            self._good_till[contract.symbol, order_id] = order
        self.ledger.on_placed(order, len(opened.by_id), contract.symbol in self.countdowns)
        # ACK shows the order as it was accepted; RESULT waits for the match of orders that cannot rest.
        ack = answers.order_ack(order)
        self.settle(market, now_ns)
        return answers.order_ack(order) if new.response == "RESULT" and not new.may_rest else ack

    def _market_bound(self, contract: Contract, side: int) -> int:
        """Return the outermost price a market order may reach."""
        bound_e8 = self.marks[contract.symbol].mark_e8 * (1 + side * contract.take_bound)
        return max(1, int(bound_e8 / (contract.instrument.tick_size * ONE_E8)))

    def amend(self, account: Account, params: dict, now_ns: int) -> dict:
        """Change price and quantity of an order; it loses its place in the queue."""
        contract = self._contract(params)
        if rules.text(params, "side") not in rules.SIDES:
            raise Refused(-1117)
        order = self._find(account, contract, params)
        if order is None or not order.is_open:
            raise Refused(-2013)
        if order.type != "LIMIT":
            raise Refused(-5025)
        lots = rules.qty_lots(contract, rules.decimal(params, "quantity"), market=False)
        ticks = rules.price_ticks(contract, rules.decimal(params, "price"))
        if (ticks, lots) == (order.price_ticks, order.orig_lots):
            raise Refused(-5027)
        if len(order.amendments) >= contract.max_amendments:
            raise Refused(-5026)
        rules.check_band(contract, order.side, ticks, self.marks[contract.symbol].mark_e8)
        if order.reduce_only:
            rules.check_reduce_only_amend(account, order, lots)
        else:
            rules.check_notional(contract, contract.value_e8(ticks * lots))
            rules.check_size(account, contract, order.side, lots - order.orig_lots, self.marks_e8())
        market = self.player.markets[contract.symbol]
        modify_id = rules.whole(params, "modifyId") if rules.text(params, "modifyId", "") else None
        self._amendments += 1
        order.amendments.append(
            Amendment(self._amendments, now_ns // 1_000_000, order.price_ticks, ticks, order.orig_lots, lots, modify_id)
        )
        market.book.amend_order(order.order_id, ticks, lots)
        self.settle(market, now_ns)
        return answers.order_ack(order, amended=True)

    def cancel(self, account: Account, params: dict, now_ns: int) -> dict:
        contract = self._contract(params)
        order = self._find(account, contract, params)
        if order is None or not order.is_open:
            raise Refused(-2011)
        market = self.player.markets[contract.symbol]
        market.book.cancel_order(order.order_id)
        self.settle(market, now_ns)
        return answers.order_ack(order)

    def place_batch(self, account: Account, requests: list[dict], now_ns: int) -> list[dict]:
        """Place up to five orders; return an acknowledgement or {"code", "msg"} for each, in their order."""
        return self._each(account, requests, now_ns, self.place, 5, -4082)

    def amend_batch(self, account: Account, requests: list[dict], now_ns: int) -> list[dict]:
        """Change up to five orders; return an acknowledgement or {"code", "msg"} for each, in their order."""
        return self._each(account, requests, now_ns, self.amend, 5, -4082)

    def cancel_batch(self, account: Account, requests: list[dict], now_ns: int) -> list[dict]:
        """Cancel up to ten orders; return an acknowledgement or {"code", "msg"} for each, in their order."""
        return self._each(account, requests, now_ns, self.cancel, 10, -4032)

    @staticmethod
    def _each(account: Account, requests: list[dict], now_ns: int, do: Callable, most: int, too_many: int) -> list:
        if not 1 <= len(requests) <= most or not all(isinstance(params, dict) for params in requests):
            raise Refused(too_many)
        answers_ = []
        for params in requests:
            try:
                answers_.append(do(account, params, now_ns))
            except Refused as refusal:
                answers_.append(refusal.body())
        return answers_

    def cancel_all(self, account: Account, symbol: str, now_ns: int) -> None:
        market = self.player.markets[symbol]
        for order_id in list(account.open_orders(symbol).by_id):
            market.book.cancel_order(order_id)
        self.settle(market, now_ns)

    def order(self, account: Account, params: dict, only_open: bool = False) -> Order:
        """Return the order a query asks for."""
        order = self._find(account, self._contract(params), params)
        if order is None or (only_open and not order.is_open):
            raise Refused(-2013)
        return order

    def _contract(self, params: dict) -> Contract:
        contract = self.contracts.get(rules.text(params, "symbol"))
        if contract is None:
            raise Refused(-1121)
        return contract

    def _find(self, account: Account, contract: Contract, params: dict) -> Order | None:
        order_id = rules.whole(params, "orderId", 0)
        client_id = rules.text(params, "origClientOrderId", "")
        if not order_id and not client_id:
            raise Refused(
                -1102, message="Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        return account.find(contract.symbol, order_id, client_id)

    # ---- what the books report ----------------------------------------------------------------------------------

    def settle(self, market: Market, now_ns: int) -> None:
        """Apply what happened in a book to the accounts and tell their owners, in the order of the wire."""
        events = market.drain(now_ns)
        if not events:
            return
        ts_ms = now_ns // 1_000_000
        for event in events:
            if event.kind == EventKind.EVENT_TRADE:
                for account, order, maker in self._parties(market.contract.symbol, event):
                    text = wire.trade_lite(
                        order, event.trade_id, event.price_ticks, event.qty_lots, maker, ts_ms, ts_ms
                    )
                    self.emit(account, text)
        for event in events:
            if event.kind == EventKind.EVENT_TRADE:
                for account, order, maker in self._parties(market.contract.symbol, event):
                    self._on_fill(account, order, event, maker, ts_ms)
            else:
                account = self.accounts[event.owner]
                self._on_order(account, account.orders[market.contract.symbol, event.order_id], event, ts_ms)
        self._knock_out_excess(market, events, now_ns)

    def _parties(self, symbol: str, event: Event):
        """Yield (account, order, is maker) of the accounts in a trade."""
        for owner, order_id, maker in (
            (event.owner, event.order_id, False),
            (event.maker_owner, event.maker_id, True),
        ):
            if owner:
                account = self.accounts[owner]
                yield account, account.orders[symbol, order_id], maker

    def _on_fill(self, account: Account, order: Order, event: Event, maker: bool, ts_ms: int) -> None:
        fill = account.book_fill(order, event.qty_lots, event.price_ticks, maker, event.trade_id, ts_ms)
        self.ledger.on_fill(fill)
        position, asset = account.position(order.contract, order.position_side), order.contract.margin_asset
        self.emit(account, wire.account_update(account, asset, [position], self.marks_e8(), "ORDER", ts_ms, ts_ms))
        self.emit(account, wire.order_update(order, "TRADE", account, ts_ms, ts_ms, fill))

    def _on_order(self, account: Account, order: Order, event: Event, ts_ms: int) -> None:
        opened = account.open_orders(order.symbol)
        execution = "NEW"
        if event.kind == EventKind.EVENT_CANCELED:
            execution = order.status = "CANCELED"
        elif event.kind == EventKind.EVENT_EXPIRED:
            execution = order.status = "EXPIRED"
            order.expiry = event.reason
            if event.reason in (Expiry.EXPIRY_SELF_TRADE, Expiry.EXPIRY_IOC_SELF_TRADE):
                order.status = "EXPIRED_IN_MATCH"
        elif event.kind == EventKind.EVENT_AMENDED:
            execution = "AMENDMENT"
            opened.remove(order)
            order.price_ticks, order.orig_lots = event.price_ticks, event.qty_lots
            opened.add(order)
            self.ledger.of(order.symbol).amended += 1
        if event.kind != EventKind.EVENT_ACCEPTED:
            order.update_ms = ts_ms
        if not order.is_open:
            opened.remove(order)
            self._good_till.pop((order.symbol, order.order_id), None)
            self.ledger.on_ended(order)
        self.emit(account, wire.order_update(order, execution, account, ts_ms, ts_ms))

    def _knock_out_excess(self, market: Market, events: list[Event], now_ns: int) -> None:
        """Expire reduce-only orders that a fill left without a position to reduce."""
        owners = {owner for e in events if e.kind == EventKind.EVENT_TRADE for owner in (e.owner, e.maker_owner)}
        excess = [o for owner in owners - {0} for o in rules.excess_reduce_only(self.accounts[owner], market.contract)]
        for order in excess:
            market.book.expire_order(order.order_id, Expiry.EXPIRY_REDUCE_ONLY)
        if excess:
            self.settle(market, now_ns)

    # ---- the clock ----------------------------------------------------------------------------------------------

    def countdown(self, account: Account, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Arm the dead man's switch of a symbol, or disarm it with 0."""
        if countdown_ms <= 0:
            self.countdowns.pop(symbol, None)
            return
        self.countdowns[symbol] = now_ms + countdown_ms
        self._countdown_owner[symbol] = account.owner

    def turn(self, now_ns: int) -> None:
        """Let time pass up to now_ns."""
        now_ms = self.now_ms = now_ns // 1_000_000
        self.player.advance(now_ns, now_ns + TURN_BUDGET_NS)
        for market in self.player.markets.values():
            self.settle(market, now_ns)
            market.streams.flush(now_ms)
        for symbol in [s for s, deadline in self.countdowns.items() if now_ms >= deadline]:
            del self.countdowns[symbol]
            self.ledger.of(symbol).countdowns_fired += 1
            self.cancel_all(self.accounts[self._countdown_owner[symbol]], symbol, now_ns)
        for (symbol, order_id), order in list(self._good_till.items()):
            if now_ms >= order.good_till_ms:
                self.player.markets[symbol].book.expire_order(order_id, Expiry.EXPIRY_NONE)
                self.settle(self.player.markets[symbol], now_ns)
        if now_ms >= self._mark_due_ms:
            self._mark_due_ms = now_ms - now_ms % MARK_INTERVAL_MS + MARK_INTERVAL_MS
            self._publish_marks(now_ms)
        self.all_markets.flush(now_ms)

    def _publish_marks(self, now_ms: int) -> None:
        second_ms = now_ms - now_ms % MARK_INTERVAL_MS
        for symbol, mark in self.marks.items():
            mark.update(now_ms)
            rate = mark.funding_due(now_ms)
            if rate is not None:
                self._charge_funding(self.contracts[symbol], rate, mark, now_ms)
            self.player.markets[symbol].streams.on_mark(
                mark.mark_e8, mark.index_e8, mark.rate_e8, mark.funding_ms, second_ms, second_ms % 3000 == 0
            )

    def _charge_funding(self, contract: Contract, rate: float, mark: Mark, now_ms: int) -> None:
        self.funding_history.append(
            {
                "symbol": contract.symbol,
                "fundingTime": now_ms,
                "fundingRate": padded(round(rate * ONE_E8), 8),
                "markPrice": padded(mark.mark_e8, 8),
                "rateType": "Regular",
            }
        )
        rate_e8 = round(rate * ONE_E8)
        for account in self.accounts.values():
            for position in account.held(contract.symbol):
                self._charge_position(account, position, rate_e8, mark, now_ms)

    def _charge_position(self, account: Account, position: Position, rate_e8: int, mark: Mark, now_ms: int) -> None:
        change_e8 = account.funding_e8(position, rate_e8, mark.mark_e8)
        if not change_e8:
            return
        asset = position.contract.margin_asset
        account.book_income("FUNDING_FEE", position.contract.symbol, asset, change_e8, now_ms, position)
        # Under cross margin the position is not shown.
        shown = [position] if position.isolated else []
        text = wire.account_update(account, asset, shown, self.marks_e8(), "FUNDING_FEE", now_ms, now_ms, change_e8)
        self.emit(account, text)
