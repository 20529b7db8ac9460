"""The venue of a session: recorded books, our orders laid over them, and what the venue would say about them."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from phx._core.action import ActionKind, TimeInForce
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.gateway import GatewayCore
from phx._core.matching import EventKind, Refusal
from phx._core.matching import TimeInForce as Tif
from phx._core.overlay import Overlay
from phx._core.playback import Playback
from phx._core.records import ABSENT_PRICE_TICKS
from phx.config import Sim
from phx.instruments import ONE_E8, Instrument
from phx.recording import Frame
from phx.replay.check import KINDS, kind_of
from phx.replay.funding import Funding
from phx.replay.public import PublicFrames

TIF = {TimeInForce.GTX: Tif.TIF_GTX, TimeInForce.IOC: Tif.TIF_IOC, TimeInForce.MARKET: Tif.TIF_MARKET}
POST_ONLY_REFUSED, UNKNOWN_ORDER, NO_SUCH_ORDER, REDUCE_ONLY_REFUSED = -5022, -2011, -2013, -2022
SNAPSHOT_LEVELS = 1000
IDS_APART = 10**9  # order ids of one book begin so far above those of the book before


class Accepted(NamedTuple):
    intent_id: int
    order_id: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        gateway.on_accept(self.intent_id, self.order_id, ts_ns, now_ns)


class Refused(NamedTuple):
    intent_id: int
    code: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        gateway.on_reject(self.intent_id, self.code, now_ns)


class CancelRefused(NamedTuple):
    intent_id: int
    code: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        gateway.on_cancel_reject(self.intent_id, self.code, now_ns)


class Amended(NamedTuple):
    intent_id: int
    price_ticks: int
    qty_lots: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        on_amended(gateway, *self, ts_ns, now_ns)


class AmendRefused(NamedTuple):
    intent_id: int
    code: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        on_amend_reject(gateway, self.intent_id, self.code, now_ns)


class Ended(NamedTuple):
    intent_id: int
    expired: bool
    filled_lots: int

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        gateway.on_end(self.intent_id, self.expired, self.filled_lots, ts_ns, now_ns)


class FundingPaid(NamedTuple):
    symbol_id: int
    amount_e8: int  # received positive

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        gateway.on_funding(*self, ts_ns, now_ns)


class Fill(NamedTuple):
    symbol_id: int
    intent_id: int
    trade_id: int
    side: int
    price_ticks: int
    qty_lots: int
    fee_e8: int
    maker: bool

    def tell(self, gateway: GatewayCore, ts_ns: int, now_ns: int) -> None:
        symbol_id, intent_id, *fill = self
        gateway.on_fill(symbol_id, gateway.account.epoch, intent_id, *fill, ts_ns, now_ns)


@dataclass(slots=True)
class OpenOrder:
    intent_id: int
    symbol_id: int
    side: int
    price_ticks: int
    remaining_lots: int
    tif: int
    reduce_only: bool
    filled_lots: int = 0


class Venue:
    """instruments: recorded symbol → the instrument whose grid it has. traded: symbol_id → recorded symbol.

    Several traded symbols may share a recorded book; their orders stand in one queue, as different owners.
    """

    def __init__(self, instruments: dict[str, Instrument], traded: dict[int, str], settings: Sim):
        self.instruments = instruments
        self.traded = traded
        self.index = {}
        self.playback = Playback()
        for i, (symbol, instrument) in enumerate(instruments.items()):
            overlay = Overlay(settings.queue_model, settings.queue_power, 1 + i * IDS_APART)
            self.index[symbol] = self.playback.add(symbol, instrument.scale, overlay)
        self.fees_e8 = {found.symbol: settings.fees_e8(found.quote_asset) for found in instruments.values()}
        self.open: dict[int, OpenOrder] = {}  # by order id
        self.order_ids: dict[int, int] = {}  # by intent id
        self.fills: list[Fill] = []  # all, oldest first: the account's own history
        self.public = {
            symbol: PublicFrames(symbol, instruments[symbol], self.playback.instruments[self.index[symbol]])
            for symbol in traded.values()
        }
        self.marked: set[str] = set()  # symbols whose mark price is recorded
        self.funding = {symbol: Funding(instrument) for symbol, instrument in instruments.items()}
        self.positions = dict.fromkeys(traded, 0)  # lots by symbol_id

    def overlay(self, symbol: str) -> Overlay:
        return self.playback.instruments[self.index[symbol]].overlay

    def ts_ns(self, now_ns: int) -> int:
        """Return the venue's own time: recorders' clocks may run seconds apart from it, its stamps must not."""
        return now_ns + self.playback.ahead_ns

    # ---- the market ----

    def play(self, item, now_ns: int) -> list:
        """Let a recorded item move its book; return what the venue has to say about our orders."""
        if item.symbol not in self.index:
            return []
        if not isinstance(item, Frame):
            began = self.playback.snapshot(self.index[item.symbol], item.payload, now_ns)
            if began and item.symbol in self.public:
                self.public[item.symbol].begin()
        elif (kind := kind_of(item)) not in KINDS:
            return []
        elif kind == "markPrice":
            self.marked.add(item.symbol)
            return self._funded(item)
        else:
            self.playback.frame(item.raw, now_ns)
        return self._said(item.symbol)

    def _funded(self, item: Frame) -> list:
        due = self.funding[item.symbol].due(item.payload)
        if due is None:
            return []
        held = [(i, lots) for i, lots in self.positions.items() if lots and self.traded[i] == item.symbol]
        return [FundingPaid(symbol_id, due.amount_e8(lots)) for symbol_id, lots in held]

    def heard(self, item: Frame, now_ns: int) -> list[bytes]:
        """Return what the feed hears for a recorded frame that was played."""
        public = self.public.get(item.symbol)
        return [item.raw] if public is None else public.heard(item, kind_of(item), now_ns)

    def changed(self, symbol_id: int, now_ns: int) -> list[bytes]:
        """Return what the feed hears of our orders in a traded symbol."""
        return self.public[self.traded[symbol_id]].changed(now_ns)

    def depth(self, symbol: str, now_ns: int) -> bytes | None:
        """Return the answer to GET /depth, None while the recording has no book."""
        instrument, book = self.instruments[symbol], self.playback.book(self.index[symbol], SNAPSHOT_LEVELS)
        if book is None:
            return None
        update_id, *sides = self.public[symbol].depth(SNAPSHOT_LEVELS) if symbol in self.public else book
        bids, asks = ([(instrument.price_text(t), instrument.qty_text(q)) for t, q in side] for side in sides)
        now_ms = now_ns // 10**6
        answer = {"lastUpdateId": update_id, "E": now_ms, "T": now_ms, "bids": bids, "asks": asks}
        return msgspec.json.encode(answer)

    def mark(self, symbol: str, now_ns: int) -> bytes | None:
        """Return a mark price event made from the recorded mid, None where marks are recorded or there is no book."""
        overlay, instrument = self.overlay(symbol), self.instruments[symbol]
        bids, asks = overlay.top(1), overlay.top(-1)
        if symbol in self.marked or not bids or not asks:
            return None
        price = instrument.price_text((bids[0][0] + asks[0][0]) // 2)
        event = {"e": "markPriceUpdate", "E": now_ns // 10**6, "s": symbol, "p": price, "r": "0.00000000", "T": 0}
        return msgspec.json.encode(event)

    # ---- our orders ----

    def ask(self, action: dict) -> list:
        """Take a request of the gateway; return what the venue has to say."""
        if action["kind"] == ActionKind.ACTION_PLACE:
            return self._place(action)
        if action["kind"] == ActionKind.ACTION_CANCEL:
            return self._cancel(action["intent_id"], self.traded[action["symbol_id"]])
        return self._amend(action)

    def _place(self, action: dict) -> list:
        symbol, intent_id, side = self.traded[action["symbol_id"]], action["intent_id"], action["side"]
        price_ticks, tif = action["price_ticks"], TIF[action["time_in_force"]]
        if price_ticks == ABSENT_PRICE_TICKS:
            rules = self.instruments[symbol].order_rules()
            price_ticks = rules["max_price_ticks"] if side > 0 else rules["min_price_ticks"]
        owner, lots = action["symbol_id"] + 1, action["qty_lots"]
        if action["reduce_only"]:
            lots = min(lots, self._reducible_lots(action["symbol_id"], side, tif == Tif.TIF_GTX))
            if lots <= 0:
                return [Refused(intent_id, REDUCE_ONLY_REFUSED)]
        order_id = self.overlay(symbol).place_order(owner, side, price_ticks, lots, tif)
        if order_id == Refusal.REFUSED_POST_ONLY:
            return [Refused(intent_id, POST_ONLY_REFUSED)]
        self.open[order_id] = OpenOrder(
            intent_id, action["symbol_id"], side, price_ticks, lots, tif, bool(action["reduce_only"])
        )
        self.order_ids[intent_id] = order_id
        return self._said(symbol)

    def _reducible_lots(self, symbol_id: int, side: int, may_rest: bool) -> int:
        """Return what a reduce-only order may still close; one that takes at once goes before those that rest."""
        left = max(0, -side * self.positions[symbol_id])
        if may_rest:
            left -= sum(o.remaining_lots for o in self.open.values() if o.reduce_only and o.symbol_id == symbol_id)
        return left

    def _excess(self, symbol_id: int) -> list[int]:
        """Return the open reduce-only orders that the position no longer covers, worst-priced first."""
        held = self.positions[symbol_id]
        mine = [(i, o) for i, o in self.open.items() if o.reduce_only and o.symbol_id == symbol_id]
        covering = [(i, o) for i, o in mine if o.side * held < 0]
        excess = [order_id for order_id, order in mine if order.side * held >= 0]
        total = sum(order.remaining_lots for _, order in covering)
        for order_id, order in sorted(covering, key=lambda row: row[1].side * row[1].price_ticks):
            if total <= abs(held):
                break
            excess.append(order_id)
            total -= order.remaining_lots
        return excess

    def _cancel(self, intent_id: int, symbol: str) -> list:
        order_id = self.order_ids.get(intent_id)
        if order_id is None:
            return [CancelRefused(intent_id, UNKNOWN_ORDER)]
        self.overlay(symbol).cancel_order(order_id)
        return self._said(symbol)

    def _amend(self, action: dict) -> list:
        symbol, intent_id, symbol_id = self.traded[action["symbol_id"]], action["intent_id"], action["symbol_id"]
        order_id = self.order_ids.get(intent_id)
        if order_id is None:
            return [AmendRefused(intent_id, NO_SUCH_ORDER)]
        order = self.open[order_id]
        more_lots = action["qty_lots"] - order.filled_lots - order.remaining_lots
        if order.reduce_only and more_lots > max(0, self._reducible_lots(symbol_id, order.side, True)):
            return [AmendRefused(intent_id, REDUCE_ONLY_REFUSED)]
        self.overlay(symbol).amend_order(order_id, action["price_ticks"], action["qty_lots"])
        return self._said(symbol)

    def _said(self, symbol: str) -> list:
        """Return what the events since the last call mean to those whose orders they are about."""
        said = []
        for event in self.overlay(symbol).drain():
            order = self.open.get(event.order_id)
            if event.kind == EventKind.EVENT_ACCEPTED:
                said.append(Accepted(order.intent_id, event.order_id))
            elif event.kind == EventKind.EVENT_TRADE:
                for order_id, maker in ((event.order_id, False), (event.maker_id, True)):
                    if order_id:
                        said.append(self._fill(self.instruments[symbol], order_id, event, maker))
            elif event.kind == EventKind.EVENT_AMENDED:
                order.price_ticks, order.remaining_lots = event.price_ticks, event.remaining_lots
                said.append(Amended(order.intent_id, event.price_ticks, event.qty_lots))
            elif event.kind in (EventKind.EVENT_CANCELED, EventKind.EVENT_EXPIRED):
                self._forget(event.order_id)
                expired = event.kind == EventKind.EVENT_EXPIRED
                said.append(Ended(order.intent_id, expired, order.filled_lots))
        for symbol_id in [i for i, traded in self.traded.items() if traded == symbol]:
            if excess := self._excess(symbol_id):
                for order_id in excess:
                    self.overlay(symbol).cancel_order(order_id)
                said += self._said(symbol)
        return said

    def _fill(self, instrument: Instrument, order_id: int, event, maker: bool) -> Fill:
        order = self.open[order_id]
        order.filled_lots += event.qty_lots
        order.remaining_lots -= event.qty_lots
        self.positions[order.symbol_id] += order.side * event.qty_lots
        if order.remaining_lots == 0:
            self._forget(order_id)
        value_e8 = event.price_ticks * event.qty_lots * instrument.ticklot_e8
        maker_e8, taker_e8 = self.fees_e8[instrument.symbol]
        rate_e8 = maker_e8 if maker else taker_e8
        scaled = abs(value_e8 * rate_e8) // ONE_E8  # cut off, as the venue does; a negative fee is a rebate
        fee_e8 = scaled if rate_e8 >= 0 else -scaled
        traded = (event.trade_id, order.side, event.price_ticks, event.qty_lots, fee_e8, maker)
        self.fills.append(Fill(order.symbol_id, order.intent_id, *traded))
        return self.fills[-1]

    def _forget(self, order_id: int) -> None:
        order = self.open.pop(order_id)
        del self.order_ids[order.intent_id]
