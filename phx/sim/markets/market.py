"""What the exchange needs of a market: a book per symbol to trade in, and a player that moves all books with time."""

from typing import Protocol

from phx._core.matching import Event
from phx.sim.contracts import Contract
from phx.sim.streams.streams import SymbolStreams

NEVER_NS = 2**62

# Ids are of the size seen on the venue and begin later the later it starts, so a restarted venue repeats none.
# Orders and trades: unique per symbol only, as there. Of fills on a recording accounts are told ids from a
# range that recordings do not reach.
FIRST_ORDER_ID = 58_846_000_000
FIRST_TRADE_ID = 702_000_000
FIRST_OVERLAID_TRADE_ID = 10**12
FIRST_UPDATE_ID = 11_671_000_000_000
ID_EPOCH_MS = 1_767_225_600_000  # 2026-01-01


def first_id(base: int, now_ns: int) -> int:
    """Return where ids begin now: a thousand a second on, more than any market here uses."""
    return base + max(0, now_ns // 1_000_000 - ID_EPOCH_MS)


class MatchingBook(Protocol):
    """phx._core.engine.Engine or phx._core.overlay.Overlay. Answers are order ids, or a negative Refusal."""

    def place_order(
        self,
        owner: int,
        side: int,
        price_ticks: int,
        lots: int,
        tif: int,
        self_trade: int,
        position: int,
        reduces: bool,
    ) -> int: ...
    def amend_order(self, order_id: int, price_ticks: int, lots: int) -> int: ...
    def cancel_order(self, order_id: int) -> int: ...
    def expire_order(self, order_id: int, reason: int) -> int: ...
    def set_position(self, position: int, lots: int) -> None: ...
    def next_trade_id(self) -> int: ...
    def top(self, side: int, limit: int = 1) -> list[tuple[int, int]]:
        """Return a side without what accounts rest on a recording, best first: (ticks, lots)."""

    def standing(self, side: int, limit: int = 1) -> list[tuple[int, int]]:
        """Return what a taker would find, best first: on a recording the accounts' orders as well."""


class Market(Protocol):
    """The market of one symbol: a book and its public streams."""

    contract: Contract
    streams: SymbolStreams
    book: MatchingBook

    def drain(self, now_ns: int) -> list[Event]:
        """Publish what the last changes of the book show to everybody; return what concerns accounts."""


class Player(Protocol):
    """Moves the markets. Times are the venue's, UTC in ns."""

    markets: dict[str, Market]

    def start(self, now_ns: int) -> None:
        """Fill the books; the market's time begins."""

    def due_ns(self) -> int:
        """Return when something happens next, NEVER_NS if nothing does."""

    def postpone(self, by_ns: int) -> None:
        """Let everything that is to come happen that much later."""

    def advance(self, now_ns: int, until_ns: int) -> None:
        """Let happen what is due at now_ns; when the clock passes until_ns the rest waits for the next call."""
