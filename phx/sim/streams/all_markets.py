"""The streams of all contracts at once, and those tickers of single ones that share their messages."""

from phx.sim.contracts import Contract
from phx.sim.streams import market_wire
from phx.sim.streams.hub import Hub

SECOND_MS = 1000
TICKER_MS = 2 * SECOND_MS  # of one contract; arrays come every second
BEST_PRICES_MS = 5 * SECOND_MS


class AllMarkets:
    """Flushed after the streams of every contract. Arrays hold the contracts that changed since the last one."""

    def __init__(self, hub: Hub, streams: list):
        self.hub = hub
        self.streams = streams  # SymbolStreams of every contract
        self._due_ms = 0
        self._mark_ms = 0  # of the newest marks told
        self._told: dict[str, object] = {}  # stream and contract → what it last told

    def flush(self, now_ms: int) -> None:
        """Publish what is due."""
        self._publish_marks()
        if now_ms < self._due_ms:
            return
        second_ms = now_ms - now_ms % SECOND_MS
        self._due_ms = second_ms + SECOND_MS
        for kind, array, text_of in (
            ("ticker", "!ticker@arr", market_wire.day_ticker),
            ("miniTicker", "!miniTicker@arr", market_wire.mini_ticker),
        ):
            self._publish_tickers(kind, array, text_of, now_ms, second_ms % TICKER_MS == 0)
        if second_ms % BEST_PRICES_MS == 0 and self.hub.wanted("!bookTicker"):
            for streams in self.streams:
                best = streams.best
                if best and self._is_news(f"!bookTicker {streams.contract.symbol}", best):
                    self.hub.send("!bookTicker", market_wire.book_ticker(streams.contract, *best, now_ms))

    def _is_news(self, key: str, value) -> bool:
        if self._told.get(key) == value:
            return False
        self._told[key] = value
        return True

    def _publish_tickers(self, kind: str, array: str, text_of, now_ms: int, singles_due: bool) -> None:
        array_wanted = self.hub.wanted(array)
        texts = []
        for streams in self.streams:
            name = streams.names[kind]
            single_wanted = singles_due and self.hub.wanted(name)
            day = streams.tape.day(now_ms) if array_wanted or single_wanted else None
            if day is None:
                continue
            text = text_of(streams.contract, day, now_ms)
            if array_wanted and self._is_news(f"{array} {name}", day):
                texts.append(text)
            if single_wanted and self._is_news(name, day):
                self.hub.send(name, text)
        if texts:
            self.hub.send(array, f"[{','.join(texts)}]")

    def _publish_marks(self) -> None:
        """Publish the marks of a second once every contract has its own."""
        if not self.streams or self.streams[-1].mark_ms == self._mark_ms:
            return
        self._mark_ms = self.streams[-1].mark_ms
        for array, due in (("!markPrice@arr@1s", True), ("!markPrice@arr", self._mark_ms % (3 * SECOND_MS) == 0)):
            if due and self.hub.wanted(array):
                texts = [streams.mark_text() for streams in self.streams if streams.mark_ms == self._mark_ms]
                self.hub.send(array, f"[{','.join(texts)}]")

    def publish_contract(self, contract: Contract, now_ms: int, with_brackets: bool = False) -> None:
        """Tell that a contract was listed or changed its status, or its leverage brackets."""
        self.hub.send("!contractInfo", market_wire.contract_info(contract, now_ms, with_brackets))
