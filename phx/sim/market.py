"""What the exchange needs of a market: a book per symbol to trade in, and a player that moves all books with time."""

from typing import Protocol

from phx._core.matching import Event
from phx.sim.contracts import Contract
from phx.sim.streams import SymbolStreams

NEVER_NS = 2**62


class MatchingBook(Protocol):
    """phx._core.engine.Engine or phx._core.overlay.Overlay. Answers are order ids, or a negative Refusal."""

    def place_order(self, owner: int, side: int, price_ticks: int, lots: int, tif: int, self_trade: int) -> int: ...
    def amend_order(self, order_id: int, price_ticks: int, lots: int) -> int: ...
    def cancel_order(self, order_id: int) -> int: ...
    def expire_order(self, order_id: int, reason: int) -> int: ...
    def top(self, side: int, limit: int = 1) -> list[tuple[int, int]]: ...


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

    def advance(self, now_ns: int, until_ns: int) -> None:
        """Let happen what is due at now_ns; when the clock passes until_ns the rest waits for the next call."""
