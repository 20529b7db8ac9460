"""The exchange: requests of accounts in, orders in the books, events out to their owners, by the clock.

Everything happens in one thread. `turn` is the venue's clock: it plays the market, fires countdowns, ends orders whose
time is up, publishes marks and charges funding.
"""

from collections.abc import Callable

from phx._core.matching import Expiry, Refusal
from phx.instruments import ONE_E8
from phx.sim.api import answers
from phx.sim.contracts import Contract
from phx.sim.exchange import reduce_only, rules
from phx.sim.exchange.account import Account, Amendment, Order
from phx.sim.exchange.algo_order import AlgoOrder
from phx.sim.exchange.algo_service import AlgoService
from phx.sim.exchange.forced import ForcedOrders
from phx.sim.exchange.funding import Funding
from phx.sim.exchange.ledger import Ledger
from phx.sim.exchange.limits import Limits
from phx.sim.exchange.liquidation import Liquidator
from phx.sim.exchange.settings import Settings
from phx.sim.exchange.settlement import Settlement
from phx.sim.markets.mark import Mark
from phx.sim.markets.market import Player
from phx.sim.refusals import Refused
from phx.sim.streams.all_markets import AllMarkets
from phx.sim.streams.streams import Hub

TURN_BUDGET_NS = 5_000_000  # of playing the market, before other work of the loop gets its turn
MARK_INTERVAL_MS = 1000
FLUSH_INTERVAL_MS = 5  # of streams that gather for 100 ms and more


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
        self.overloaded = False  # -1008 to orders that do not reduce
        self.countdown_lag_ms = 0  # of dead man's switches behind their time
        self.forced = ForcedOrders(self)
        self.liquidator = Liquidator(self)
        self.funding = Funding(self)
        self.algos = AlgoService(self)
        self.settlement = Settlement(self)
        self.settings = Settings(self.contracts, self.marks_e8, lambda account, text: self.emit(account, text))
        self._deadlines: dict[tuple[int, str], int] = {}  # of countdowns: owner and symbol → ms
        self._amendments = 0
        self.good_till: dict[tuple[str, int], Order] = {}
        self.now_ms = now_ms
        self.marks = {symbol: Mark(market, now_ms) for symbol, market in player.markets.items()}
        self.all_markets = AllMarkets(hub, [market.streams for market in player.markets.values()])
        self._mark_due_ms = 0
        self._flush_due_ms = 0
        for symbol in self.contracts:
            self.ledger.of(symbol)

    # ---- orders -------------------------------------------------------------------------------------------------

    def marks_e8(self) -> dict[str, int]:
        return {symbol: mark.mark_e8 for symbol, mark in self.marks.items()}

    def place(self, account: Account, params: dict, now_ns: int, post_only_expires: bool = False) -> dict:
        """POST order: return the acknowledgement. Raises Refused; then nothing happened.

        post_only_expires: one that would take is accepted and ends at once, as the venue did it until 2023.
        """
        try:
            return self._place(account, self.check(account, params, now_ns), now_ns, None, post_only_expires)
        except Refused as refusal:
            symbol = str(params.get("symbol", ""))
            if symbol in self.contracts:
                client_id = str(params.get("newClientOrderId", ""))
                self.ledger.on_refused(now_ns // 1_000_000, symbol, client_id, refusal.code)
            raise

    def check(self, account: Account, params: dict, now_ns: int) -> rules.NewOrder:
        """Return a place request that passed every check but the book's, with the price and quantity it would get."""
        new = rules.new_order(self.contracts, params, now_ns // 1_000_000, account.hedge)
        if self.overloaded and not new.reduce_only:
            raise Refused(-1008)
        contract, mark_e8 = new.contract, self.marks[new.contract.symbol].mark_e8
        rules.check_state(contract, new.side, new.reduce_only)
        book = self.player.markets[contract.symbol].book
        if new.price_match != "NONE":
            new.price_ticks = rules.matched_ticks(book, new.side, new.price_match)
        if new.type == "LIMIT":
            rules.check_band(contract, new.side, new.price_ticks, mark_e8)
        else:
            rules.check_market_band(contract, new.side, book.standing(-new.side), mark_e8)
        if not new.reduce_only:
            at_mark_e8 = int(new.lots * contract.instrument.lot_size * mark_e8)
            value_e8 = contract.value_e8(new.price_ticks * new.lots) if new.type == "LIMIT" else at_mark_e8
            rules.check_notional(contract, value_e8)
        rules.check_account(account, new, self.marks_e8())
        if new.reduce_only:
            new.lots = reduce_only.entering_lots(account, new)
        return new

    def place_triggered(self, account: Account, algo: AlgoOrder, lots: int, now_ns: int) -> dict:
        """Place the order a conditional one becomes. Raises Refused."""
        params = algo.request(lots)
        if algo.close_position and not account.hedge:
            params["reduceOnly"] = "true"
        if algo.client_id in account.open_orders(algo.contract.symbol).by_client:
            del params["newClientOrderId"]
        return self._place(account, self.check(account, params, now_ns), now_ns, algo)

    def _place(
        self,
        account: Account,
        new: rules.NewOrder,
        now_ns: int,
        algo: AlgoOrder | None = None,
        post_only_expires: bool = False,
    ) -> dict:
        now_ms = now_ns // 1_000_000
        contract = new.contract
        market = self.player.markets[contract.symbol]
        order_id = market.book.place_order(
            account.owner,
            new.side,
            new.price_ticks or self._market_bound(contract, new.side),
            new.lots,
            new.tif_code,
            rules.SELF_TRADES[new.self_trade],
            account.book_number(new.position_side),
            new.reduce_only,
        )
        if order_id == Refusal.REFUSED_POST_ONLY and post_only_expires:
            order_id = self.forced.vain_order(account, contract, new.side, new.lots, new.position_side)
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
            orig_lots=new.lots,
            reduce_only=new.reduce_only,
            self_trade=new.self_trade,
            good_till_ms=new.good_till_ms,
            time_ms=now_ms,
            update_ms=now_ms,
            position_side=new.position_side,
            price_match=new.price_match,
            orig_type=algo.type if algo else new.type,
            close_position=algo.close_position if algo else False,
        )
        account.keep(order)
        if algo:
            self.algos.placed(account, algo, order, now_ns)
        opened = account.open_orders(contract.symbol)
        if new.type == "LIMIT":
            opened.add(order)
        if new.good_till_ms:
            self.good_till[contract.symbol, order_id] = order
        protected = (account.owner, contract.symbol) in self._deadlines
        self.ledger.on_placed(order, len(opened.by_id), protected)
        # ACK shows the order as it was accepted; RESULT waits for the match of orders that cannot rest.
        ack = answers.order_ack(order)
        self.settlement.settle(market, now_ns)
        return answers.order_ack(order) if new.response == "RESULT" and not new.may_rest else ack

    def _market_bound(self, contract: Contract, side: int) -> int:
        """Return the outermost price a market order may reach."""
        bound_e8 = self.marks[contract.symbol].mark_e8 * (1 + side * contract.take_bound)
        return max(1, int(bound_e8 / (contract.instrument.tick_size * ONE_E8)))

    def amend(self, account: Account, params: dict, now_ns: int) -> dict:
        """PUT order: change price and quantity of an order; it loses its place in the queue. Raises Refused.

        The order is cancelled, and the answer shows that, when it is filled to the new quantity already, or is post
        only and would take at the new price.
        """
        contract = self._contract(params)
        if rules.text(params, "side") not in rules.SIDES:
            raise Refused(-1117)
        order = self._find(account, contract, params)
        if order is None or not order.is_open:
            raise Refused(-2013)
        if order.type != "LIMIT":
            raise Refused(-5025)
        if contract.entry["status"] != "TRADING":
            raise Refused(-5024)
        asked_reduce_only = rules.flag(params, "reduceOnly")
        if asked_reduce_only and not order.reduce_only:
            raise Refused(-5047)
        market = self.player.markets[contract.symbol]
        lots = rules.qty_lots(contract, rules.decimal(params, "quantity"), market=False)
        price_match = rules.price_match_of(params, order.type)
        if price_match == "NONE":
            ticks = rules.price_ticks(contract, rules.decimal(params, "price"))
        elif params.get("price"):
            raise Refused(-1106, "price")
        else:
            ticks = rules.matched_ticks(market.book, order.side, price_match)
        if (ticks, lots) == (order.price_ticks, order.orig_lots):
            raise Refused(-5027)
        if len(order.amendments) >= contract.max_amendments:
            raise Refused(-5026)
        rules.check_band(contract, order.side, ticks, self.marks[contract.symbol].mark_e8)
        if not asked_reduce_only:
            rules.check_notional(contract, contract.value_e8(ticks * lots), -5029)
        if order.reduce_only:
            reduce_only.check_amend(account, order, lots)
        else:
            added = lots - order.orig_lots
            rules.check_size(account, contract, order.side, added, self.marks_e8(), order.position_side)
        modify_id = rules.whole(params, "modifyId", 0) if rules.text(params, "modifyId", "") else None
        self._amendments += 1
        order.amendments.append(
            Amendment(self._amendments, now_ns // 1_000_000, order.price_ticks, ticks, order.orig_lots, lots, modify_id)
        )
        order.price_match = price_match
        market.book.amend_order(order.order_id, ticks, lots)
        self.settlement.settle(market, now_ns)
        return answers.order_ack(order, amended=True)

    def cancel(self, account: Account, params: dict, now_ns: int) -> dict:
        """DELETE order: return the acknowledgement; -2011 when it is not open."""
        contract = self._contract(params)
        order = self._find(account, contract, params)
        if order is None or not order.is_open:
            raise Refused(-2011)
        market = self.player.markets[contract.symbol]
        market.book.cancel_order(order.order_id)
        self.settlement.settle(market, now_ns)
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

    def cancel_all(self, account: Account, symbol: str, now_ns: int, spared: int = 0) -> None:
        """Cancel every open order but the spared one."""
        market = self.player.markets[symbol]
        for order_id in list(account.open_orders(symbol).by_id):
            if order_id != spared:
                market.book.cancel_order(order_id)
        self.settlement.settle(market, now_ns)

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

    def expire_all(self, account: Account, symbol: str, reason: int, now_ns: int) -> None:
        """End all orders of an account in a symbol for a reason of the venue's."""
        market = self.player.markets[symbol]
        for order_id in list(account.open_orders(symbol).by_id):
            market.book.expire_order(order_id, reason)
        self.settlement.settle(market, now_ns)

    # ---- the clock ----------------------------------------------------------------------------------------------

    def countdown(self, account: Account, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Arm an account's dead man's switch of a symbol, or disarm it with 0."""
        if countdown_ms < 0:
            raise Refused(-1130, "countdownTime")
        if countdown_ms == 0:
            self._deadlines.pop((account.owner, symbol), None)
        else:
            self._deadlines[account.owner, symbol] = now_ms + countdown_ms

    @property
    def funding_history(self) -> list[dict]:
        return self.funding.history

    @property
    def countdowns(self) -> dict[str, int]:
        """Symbol → the earliest deadline any account has set, ms."""
        found = {}
        for (_, symbol), deadline in self._deadlines.items():
            found[symbol] = min(deadline, found.get(symbol, deadline))
        return found

    def turn(self, now_ns: int) -> None:
        """Let time pass up to now_ns."""
        now_ms = self.now_ms = now_ns // 1_000_000
        self.player.advance(now_ns, now_ns + TURN_BUDGET_NS)
        flushing = now_ms >= self._flush_due_ms
        if flushing:
            self._flush_due_ms = now_ms + FLUSH_INTERVAL_MS
        for market in self.player.markets.values():
            self.settlement.settle(market, now_ns)
            if flushing:
                market.streams.flush(now_ms)
        for (owner, symbol), deadline in list(self._deadlines.items()):
            if now_ms >= deadline + self.countdown_lag_ms:
                del self._deadlines[owner, symbol]
                self.ledger.of(symbol).countdowns_fired += 1
                self.cancel_all(self.accounts[owner], symbol, now_ns)
        for (symbol, order_id), order in list(self.good_till.items()):
            if now_ms >= order.good_till_ms:
                self.player.markets[symbol].book.expire_order(order_id, Expiry.EXPIRY_NONE)
                self.settlement.settle(self.player.markets[symbol], now_ns)
        self.algos.check(now_ns)
        self.funding.book_due(now_ms)
        if now_ms >= self._mark_due_ms:
            self._mark_due_ms = now_ms - now_ms % MARK_INTERVAL_MS + MARK_INTERVAL_MS
            self._publish_marks(now_ms)
            self.liquidator.check(now_ns)
        self.all_markets.flush(now_ms)

    def _publish_marks(self, now_ms: int) -> None:
        second_ms = now_ms - now_ms % MARK_INTERVAL_MS
        for symbol, mark in self.marks.items():
            mark.update(now_ms)
            rate = mark.funding_due(now_ms)
            if rate is not None:
                self.funding.settle(self.contracts[symbol], rate, mark.mark_e8, now_ms)
            self.player.markets[symbol].streams.on_mark(
                mark.mark_e8, mark.index_e8, mark.rate_e8, mark.funding_ms, second_ms, second_ms % 3000 == 0
            )
