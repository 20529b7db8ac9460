"""What phx needs of a venue: plain records, four kinds of failure, and the calls as Protocols.

Prices and quantities stay the venue's exact decimal text here; `Instrument.ticks` and `Instrument.lots` turn them into
integers where an instrument is known. So the guardian can cancel without any table, and positions in symbols that phx
does not trade survive too. Sides are ±1, times UTC nanoseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from phx.instruments import Instrument

LIVE = frozenset(("NEW", "PARTIALLY_FILLED"))  # an order that can still fill,
ENDED = frozenset(("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"))  # and one that cannot


class VenueError(Exception):
    """A request did not do what was asked."""


class VenueReject(VenueError):
    """The venue refused, for certain: nothing happened. `advice` says what to do about it."""

    def __init__(self, code: int, msg: str, status: int, advice: str = ""):
        super().__init__(f"venue code {code} (HTTP {status}): {msg}" + (f"; {advice}" if advice else ""))
        self.code = code
        self.msg = msg
        self.status = status
        self.advice = advice


class VenueUnknown(VenueError):
    """The request may or may not have been executed: never repeat it, ask for evidence.

    closed: the venue hung up without a word, as it does with a connection that was idle for long.
    """

    def __init__(self, why: str, code: int = 0, status: int = 0, closed: bool = False):
        super().__init__(f"outcome unknown: {why}")
        self.code = code
        self.status = status
        self.closed = closed


class VenueLimited(VenueError):
    """A rate limit, the venue's or our own share of it: nothing happened; try again after `retry_after_s`.

    banned: the venue answers nobody at this address until then.
    """

    def __init__(self, why: str, retry_after_s: float, banned: bool = False):
        super().__init__(f"{'banned' if banned else 'rate limited'} for {retry_after_s:.1f} s: {why}")
        self.retry_after_s = retry_after_s
        self.banned = banned


class VenueDown(VenueError):
    """No usable answer, and nothing happened: a question unanswered, or a change that could not even be sent."""


class Order(Struct, frozen=True):
    """An order as the venue states it, open or not."""

    symbol: str
    coid: str  # client order id
    venue_order_id: int
    side: int  # Side; 0 = a word phx does not know
    status: str  # the venue's word: NEW, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED, EXPIRED_IN_MATCH or a new one
    price: str
    qty: str  # original quantity
    filled_qty: str
    type: str  # LIMIT, MARKET, …
    time_in_force: str
    reduce_only: bool
    ts_update_ns: int  # the venue's last change of it

    @property
    def live(self) -> bool:
        return self.status in LIVE


class Placement(Struct, frozen=True):
    """An order to be placed: a limit order, or a market order when price is None."""

    coid: str
    side: int  # Side
    qty: str
    price: str | None
    time_in_force: str = "GTX"
    reduce_only: bool = False


class Position(Struct, frozen=True):
    symbol: str
    qty: str  # signed
    entry_price: str  # average, off the tick grid
    side: str  # BOTH in one-way mode, the only one phx trades in
    ts_update_ns: int


class Balance(Struct, frozen=True):
    asset: str
    wallet: str
    available: str


class UserTrade(Struct, frozen=True):
    """One of our fills as the venue's history states it."""

    symbol: str
    trade_id: int
    venue_order_id: int
    side: int  # Side
    price: str
    qty: str
    commission: str  # paid, positive
    commission_asset: str
    realised_pnl: str  # before fees
    maker: bool
    ts_event_ns: int


class Income(Struct, frozen=True):
    """One row of what moved the wallet. transaction: unique among those of its kind."""

    kind: str
    symbol: str
    amount: str  # received positive
    asset: str
    transaction: int
    ts_ms: int


class CommissionRate(Struct, frozen=True):
    symbol: str
    maker: str  # fraction of notional; negative = rebate
    taker: str


class PublicRest(Protocol):
    """The calls that need no key. Instruments are returned with the symbol ids the caller gives."""

    async def server_time(self) -> int:
        """Return the venue's clock, UTC ns, and remember how far ours is off."""

    async def exchange_info(self, symbol_ids: Mapping[str, int]) -> dict[str, Instrument]: ...

    async def depth(self, symbol: str, limit: int = 1000) -> bytes:
        """Return the raw snapshot; the compiled decoder reads it."""


class AccountRest(PublicRest, Protocol):
    """The calls of gateway and guardian. A call that changes something raises VenueUnknown when its outcome is open."""

    async def open_orders(self, symbol: str) -> list[Order]: ...

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every order on the symbol, ours or not."""

    async def cancel(self, symbol: str, coid: str) -> Order: ...

    async def cancel_batch(self, symbol: str, coids: Sequence[str]) -> list[Order | VenueError]:
        """Cancel a few orders in one request; return what became of each, in their order.

        An error about one is returned, an error about all is raised.
        """

    async def place(
        self,
        symbol: str,
        coid: str,
        side: int,
        qty: str,
        price: str | None,
        time_in_force: str = "GTX",
        reduce_only: bool = False,
    ) -> Order:
        """Place a limit order, or a market order when price is None."""

    async def place_batch(self, symbol: str, placements: Sequence[Placement]) -> list[Order | VenueError]:
        """Place a few orders in one request; return what became of each, in their order."""

    async def amend(
        self, symbol: str, coid: str, side: int, qty: str, price: str, reduce_only: bool = False
    ) -> Order: ...

    async def order_status(self, symbol: str, coid: str) -> Order: ...

    async def order_by_id(self, symbol: str, venue_order_id: int) -> Order: ...

    async def positions(self) -> list[Position]: ...

    async def balances(self) -> list[Balance]: ...

    async def user_trades(
        self, symbol: str, start_ms: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> list[UserTrade]: ...

    async def income(self, kind: str, start_ms: int, end_ms: int) -> list[Income]:
        """Return the first thousand rows of one kind between two times, at most seven days apart, oldest first."""

    async def commission_rate(self, symbol: str) -> CommissionRate: ...

    async def mark_price(self, symbol: str) -> str: ...

    async def position_mode(self) -> bool:
        """Return whether the account is in hedge mode (phx trades one-way only)."""

    async def countdown(self, symbol: str, countdown_ms: int) -> None:
        """Have the venue cancel all orders on the symbol after countdown_ms, unless called again; 0 disarms."""

    async def close(self) -> None: ...


class UserStream(Protocol):
    """The account's private stream: events arrive at `on_event(event, recv_mono_ns, recv_utc_ns)`."""

    up: bool

    async def run(self) -> None:
        """Connect, keep alive and reconnect until cancelled."""


OnEvent = Callable[[Struct, int, int], None]
