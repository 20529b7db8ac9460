"""The account's private stream: what each event tells the core."""

import logging
from collections.abc import Callable

from phx._core import questions
from phx._core.amend_answers import on_amended
from phx._core.enums import ExecKind
from phx._core.gateway import GatewayCore
from phx.gateway.account import Orders, e8
from phx.instruments import Instrument
from phx.venue.binance.messages import AccountConfigUpdate, AccountUpdate, MarginCall, OrderTradeUpdate, TradeLite
from phx.venue.interface import LIVE

FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")  # orders of the venue itself

FOREIGN_KEPT = 10_000

log = logging.getLogger("phx.gateway")


class UserEvents:
    """on_zombie(symbol, coid): an order of a former life has appeared. on_forced(symbol, coid): the venue acts for us.

    venue_positions: symbol → (position as decimal text, entry price, when heard, monotonic ns), to compare with ours.
    """

    def __init__(self, core: GatewayCore, instruments: dict[str, Instrument], orders: Orders, on_zombie, on_forced):
        self.core = core
        self.instruments = instruments
        self.orders = orders
        self.on_zombie = on_zombie
        self.on_forced = on_forced
        # Told of a new order with a name of ours that this phx has not given yet: another one trades on the account.
        self.on_rival: Callable[[str, str], None] = lambda symbol, coid: None
        self.on_expired: Callable[[str, str], None] = lambda symbol, reason: None  # told each order that expired
        self.venue_positions: dict[str, tuple[str, str, int]] = {}
        self.foreign_fee_assets: set[str] = set()
        # Told each payment of funding: symbol ("" = the venue names none), amount in 1e-8, UTC ms.
        self.on_funding: Callable[[str, int, int], None] = lambda symbol, amount_e8, ts_ms: None
        self.foreign_orders: set[str] = set()  # client ids of orders that are not ours, told of already
        self.foreign_seen = 0

    def handle(self, event, recv_mono_ns: int) -> None:
        """Tell the core what an event says; events of other symbols and kinds say nothing to it."""
        if isinstance(event, OrderTradeUpdate):
            if event.order.symbol in self.instruments:
                self._order(event, recv_mono_ns)
        elif isinstance(event, TradeLite):
            if event.symbol in self.instruments:
                self._trade_lite(event, recv_mono_ns)
        elif isinstance(event, AccountUpdate):
            self._account(event, recv_mono_ns)
        elif isinstance(event, AccountConfigUpdate):
            self._leverage(event)
        elif isinstance(event, MarginCall):
            log.error("margin call by the venue: %s", ", ".join(p.symbol for p in event.positions))

    def _order(self, event: OrderTradeUpdate, now_ns: int) -> None:
        order = event.order
        instrument = self.instruments[order.symbol]
        epoch, intent_id = self.orders.intent(order.symbol, order.coid)
        if epoch == self.orders.epoch:
            self.core.note_venue_order_id(intent_id, order.venue_order_id, now_ns)
        if order.kind == ExecKind.EXEC_FILL and order.trade_id > 0:
            self.core.on_fill(
                instrument.symbol_id,
                epoch,
                intent_id,
                order.trade_id,
                order.side,
                instrument.ticks(order.last_price),
                instrument.lots(order.last_qty),
                self._fee_e8(instrument, order.commission, order.commission_asset),
                order.maker,
                event.ts_event_ns,
                now_ns,
            )
        if order.coid.startswith(FORCED):
            self.on_forced(order.symbol, order.coid)
        if epoch == 0:
            self.foreign(order.symbol, order.coid)
        if order.kind == ExecKind.EXEC_ACK and self._to_come(epoch, intent_id):
            self.on_rival(order.symbol, order.coid)
            return  # not ours to chase: two that cancel each other's orders only make more of them
        if epoch != self.orders.epoch:
            if epoch and order.status in LIVE:
                self.on_zombie(order.symbol, order.coid)
            return
        filled_lots = instrument.lots(order.filled_qty)
        self.core.on_reported(intent_id, filled_lots, now_ns)
        if order.kind in (ExecKind.EXEC_CANCEL, ExecKind.EXEC_EXPIRE):
            expired = order.kind == ExecKind.EXEC_EXPIRE
            if expired:
                self.on_expired(order.symbol, order.expiry_reason)
            self.core.on_end(intent_id, expired, filled_lots, event.ts_event_ns, now_ns)
        elif order.kind == ExecKind.EXEC_ACK:
            known = self.core.on_accept(intent_id, order.venue_order_id, event.ts_event_ns, now_ns)
            if not known and order.status in LIVE:
                self.on_zombie(order.symbol, order.coid)  # forgotten long ago as closed
        elif order.kind == ExecKind.EXEC_AMEND:
            to = instrument.ticks(order.price), instrument.lots(order.qty)
            if not on_amended(self.core, intent_id, *to, event.ts_event_ns, now_ns):
                log.error("%s: %s: amended to %s at %s, not by phx", order.symbol, order.coid, order.qty, order.price)
        elif order.kind != ExecKind.EXEC_FILL:
            # A word phx does not know: not trusted to be open or closed.
            log.warning("%s: %s: unknown execution %.20s", order.symbol, order.coid, order.execution)
            self.core.on_doubt(intent_id, now_ns)

    def _to_come(self, epoch: int, intent_id: int) -> bool:
        """Return whether an order has a name that only a later order of this life, or a later life, can have."""
        later = epoch == self.orders.epoch and questions.never_sent(self.core, intent_id)
        return later or epoch > self.orders.epoch

    def foreign(self, symbol: str, coid: str) -> None:
        """Note an order that is not ours: told once, counted, and left alone."""
        if coid not in self.foreign_orders:
            if len(self.foreign_orders) < FOREIGN_KEPT:
                self.foreign_orders.add(coid)
            self.foreign_seen += 1
            log.error("%s: order %.36s on the account is not ours; it is left alone", symbol, coid)

    def _trade_lite(self, event: TradeLite, now_ns: int) -> None:
        instrument = self.instruments[event.symbol]
        if event.coid.startswith(FORCED):
            self.on_forced(event.symbol, event.coid)
        epoch, intent_id = self.orders.intent(event.symbol, event.coid)
        if epoch == self.orders.epoch:
            self.core.note_venue_order_id(intent_id, event.venue_order_id, now_ns)
        self.core.on_fill(
            instrument.symbol_id,
            epoch,
            intent_id,
            event.trade_id,
            event.side,
            instrument.ticks(event.last_price),
            instrument.lots(event.last_qty),
            None,
            event.maker,
            event.ts_event_ns,
            now_ns,
        )

    def _fee_e8(self, instrument: Instrument, commission: str, asset: str) -> int:
        if asset in (instrument.quote_asset, "") or e8(commission) == 0:
            return e8(commission)
        if asset not in self.foreign_fee_assets:
            self.foreign_fee_assets.add(asset)
            log.warning("%s: fees are paid in %s and not counted; switch feeBurn off", instrument.symbol, asset)
        return 0

    def _account(self, event: AccountUpdate, now_ns: int) -> None:
        account = event.account
        for balance in account.balances:
            if any(balance.asset == i.quote_asset for i in self.instruments.values()):
                self.core.wallet_e8 = e8(balance.wallet)
                if account.reason == "FUNDING_FEE":
                    named = [account.symbol] if account.symbol else [p.symbol for p in account.positions]
                    symbol = named[0] if len(named) == 1 else ""  # of several the history tells each one's part
                    self.on_funding(symbol, e8(balance.change), event.ts_event_ns // 1_000_000)
        for position in account.positions:
            if position.symbol in self.instruments and position.side == "BOTH":
                self.venue_positions[position.symbol] = (position.qty, position.entry_price, now_ns)

    def _leverage(self, event: AccountConfigUpdate) -> None:
        setting = event.leverage
        if setting is not None and setting.symbol in self.instruments and setting.leverage > 0:
            log.info("%s: leverage %d", setting.symbol, setting.leverage)
            self.core.account.set_leverage(self.instruments[setting.symbol].symbol_id, setting.leverage)
