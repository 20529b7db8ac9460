"""Answers to order requests, from the WebSocket API and from REST: what each tells the core."""

import logging
from collections.abc import Callable

from phx._core.action import ActionKind
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.gateway import GatewayCore
from phx.gateway.account import Orders
from phx.instruments import Instrument
from phx.venue.binance.errors import BANNED_STATUS, LIMITED_STATUS, Advice, advice, banned_until_ms
from phx.venue.binance.messages import ApiReply
from phx.venue.interface import ENDED, Order, VenueLimited, VenueReject

ID_KINDS = 4  # a request's id is intent_id * ID_KINDS + ActionKind (encode.pxd)
RATE_LIMITED = -1003

log = logging.getLogger("phx.gateway")


class Replies:
    """on_clock(): the venue refused a timestamp, synchronise. on_limited(banned, until_ms): a rate limit of the venue.

    `done_mono_ns`: when something was last done as asked.
    """

    def __init__(self, core: GatewayCore, instruments: dict[str, Instrument], orders: Orders, on_clock, on_limited):
        self.core = core
        self.by_name = instruments
        self.orders = orders
        self.on_clock = on_clock
        self.on_limited = on_limited
        # Told what each certain refusal means, and of which symbol, as far as that is known.
        self.on_refusal: Callable[[Advice, int | None], None] = lambda advice, symbol_id: None
        self.done_mono_ns = 0
        self.not_allowed = ""  # the newest refusal for key, permission or account: what a human has to look at

    def handle(self, reply: ApiReply, now_ns: int) -> None:
        """Tell the core what a reply of the WebSocket API says."""
        if reply.status in (LIMITED_STATUS, BANNED_STATUS):
            self.on_limited(reply.status == BANNED_STATUS, banned_until_ms(reply.error.msg) if reply.error else 0)
        if not isinstance(reply.id, int) or reply.id <= 0:
            log.error("order session: reply to no request of ours, status %d: %s", reply.status, reply.error)
            return
        intent_id, kind = divmod(reply.id, ID_KINDS)
        if reply.status == 200:
            row = reply.order()
            order = row.order()
            self.done(kind, intent_id, order, now_ns)
            return
        code = reply.error.code if reply.error else 0
        if reply.status >= 500 or reply.status == 408 or code == 0 or advice(code) is Advice.UNKNOWN:
            log.warning("order session: outcome of request %d unknown: %s", reply.id, reply.error)
            self.core.on_unknown(intent_id, now_ns)
        else:
            self.refused(kind, intent_id, code, now_ns)

    def done(self, kind: int, intent_id: int, order: Order, now_ns: int) -> None:
        """The venue did what was asked; the order is now as it says."""
        self.done_mono_ns = now_ns
        if kind == ActionKind.ACTION_PLACE:
            self.core.on_accept(intent_id, order.venue_order_id, order.ts_update_ns, now_ns)
        if not order.live:
            self._ended(intent_id, order, now_ns)
        elif kind == ActionKind.ACTION_AMEND:
            self._amended(intent_id, order, now_ns)

    def _amended(self, intent_id: int, order: Order, now_ns: int) -> None:
        instrument = self.by_name.get(order.symbol)
        if instrument is None:
            self.core.on_doubt(intent_id, now_ns)
            return
        to = instrument.ticks(order.price), instrument.lots(order.qty)
        if not on_amended(self.core, intent_id, *to, order.ts_update_ns, now_ns):
            log.error("%s: %s: amended to %s at %s, not by phx", order.symbol, order.coid, order.qty, order.price)

    def refused(self, kind: int, intent_id: int, code: int, now_ns: int) -> None:
        """The venue refused for certain."""
        if advice(code) is Advice.CLOCK:
            self.on_clock()
        if advice(code) is Advice.DUPLICATE:
            log.error("order of intent %d: its client id is in use already, which no order of ours may be", intent_id)
        if advice(code) in (Advice.NOT_ALLOWED, Advice.MODE):
            self.not_allowed = f"venue code {code}: {advice(code)}"
        order = self.core.account.table.order(intent_id)
        if kind == ActionKind.ACTION_PLACE:
            self.core.on_reject(intent_id, code, now_ns)
        elif kind == ActionKind.ACTION_AMEND:
            on_amend_reject(self.core, intent_id, code, now_ns)
        else:
            self.core.on_cancel_reject(intent_id, code, now_ns)
        self.on_refusal(advice(code), None if order is None else order["symbol_id"])

    def failed(self, kind: int, intent_id: int, error: Exception, now_ns: int) -> None:
        """A REST request raised one of the venue's errors."""
        if isinstance(error, VenueReject):
            self.refused(kind, intent_id, error.code, now_ns)
        elif isinstance(error, VenueLimited):
            self.refused(kind, intent_id, RATE_LIMITED, now_ns)
        else:
            self.core.on_unknown(intent_id, now_ns)

    def stated(self, order: Order, now_ns: int) -> None:
        """The venue states an order of ours, asked by REST: open or not."""
        epoch, intent_id = self.orders.intent(order.symbol, order.coid)
        if epoch != self.orders.epoch:
            return
        if order.live:
            self.core.on_accept(intent_id, order.venue_order_id, order.ts_update_ns, now_ns)
            self._amended(intent_id, order, now_ns)
        else:
            self._ended(intent_id, order, now_ns)

    def _ended(self, intent_id: int, order: Order, now_ns: int) -> None:
        if order.status not in ENDED or order.symbol not in self.by_name:
            # A word phx does not know: not trusted to be open or closed.
            log.warning("%s: %s: unknown status %.20s", order.symbol, order.coid, order.status)
            self.core.on_doubt(intent_id, now_ns)
            return
        filled_lots = self.by_name[order.symbol].lots(order.filled_qty)
        self.core.note_venue_order_id(intent_id, order.venue_order_id, now_ns)
        self.core.on_end(intent_id, order.status != "CANCELED", filled_lots, order.ts_update_ns, now_ns)
