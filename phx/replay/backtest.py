"""`phx backtest FILE…`: quote on recordings as fast as the machine can, and say what came of it.

The figures hold for a market that our orders never move; makers fill by the configured queue model.
"""

import hashlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from phx import earnings
from phx._core import records
from phx._core.enums import JournalKind
from phx._core.ring import OK, RingReader
from phx.config import Config, Sim
from phx.instruments import ONE_E8, Instrument, InstrumentError
from phx.params import ParamsError
from phx.recording import RecordingError, sources, symbols
from phx.replay.session import Session, Trader
from phx.venue.binance import listed
from phx.venue.binance.messages import FrameRefused

MINUTE_NS = 60_000_000_000


class Result(NamedTuple):
    """What a run did on one symbol. Money in quote currency, valued at the last mark price."""

    symbol: str
    ladders: int
    orders: int
    cancels_per_minute: float
    fills: int
    near_fill_rate: float  # of the quantity placed at the nearest layer
    both_sides: float  # share of the quotable time with quotes on both sides
    position: float
    max_inventory: float
    over_pin: float  # share of the time with |inventory| at or above pin.enter of net_max
    over_grind: float  # likewise grind.enter
    mode_s: dict[str, float]
    mark_outs: list[earnings.MarkOut]
    profit: earnings.Profit
    funding: float


class Held:
    """One inventory over time: how far it went, and for how long it was at or above some thresholds."""

    def __init__(self, now_ns: int, thresholds: tuple[float, ...]):
        self.lots, self.max_lots, self.since_ns = 0, 0, now_ns
        self.thresholds = thresholds
        self.over_ns = [0] * len(thresholds)

    def becomes(self, lots: int, now_ns: int) -> None:
        """Take in the position that holds from now on."""
        for i, threshold in enumerate(self.thresholds):
            if abs(self.lots) >= threshold:
                self.over_ns[i] += now_ns - self.since_ns
        self.lots, self.since_ns = lots, now_ns
        self.max_lots = max(self.max_lots, abs(lots))


class Watch:
    """Follows a session: a fingerprint of every ladder and journal entry, and each inventory."""

    def __init__(self, session: Session):
        self.session = session
        self.fingerprint = hashlib.sha256()
        self.held = {symbol_id: Held(session.time.now_ns, thresholds(t)) for symbol_id, t in session.by_id.items()}
        self._journal, self._entries = session.journal.reader(), 0
        self._ladders = [(t.quoter_counters["ladders"], t.ladder.reader()) for t in session.traders.values()]
        self._published = [0] * len(self._ladders)

    def look(self) -> None:
        """Read what was published since the last look; to be called after every event."""
        for i, (published, ladders) in enumerate(self._ladders):
            if published[0] != self._published[i]:
                self._published[i] = int(published[0])
                self._read(ladders)
        if self.session.journal_writer.published != self._entries:
            self._entries = self.session.journal_writer.published
            for entry in self._read(self._journal):
                if entry["kind"] == JournalKind.JOURNAL_FILL:
                    self.held[int(entry["symbol_id"])].becomes(int(entry["position_lots"]), self.session.time.now_ns)

    def _read(self, ring: RingReader) -> list:
        found = []
        while (read := ring.read_record())[0] == OK:
            self.fingerprint.update(read[1].tobytes())
            found.append(read[1])
        return found


def run(session: Session) -> tuple[list[Result], str]:
    """Run a session to its end; return a result per traded symbol and the fingerprint of all it wanted and did."""
    watch = Watch(session)
    for _ in session.steps():
        watch.look()
    results = [result(session, trader, watch.held[symbol_id]) for symbol_id, trader in session.by_id.items()]
    return results, watch.fingerprint.hexdigest()


def thresholds(trader: Trader) -> tuple[float, ...]:
    """Return the inventories, in lots, at which pinning and grinding would be entered."""
    params = trader.params.reader().read_newest()
    return tuple(float(params[name] * params["net_max_lots"]) for name in ("pin_enter", "grind_enter"))


def result(session: Session, trader: Trader, held: Held) -> Result:
    """Return what one symbol's counters and totals say at the end."""
    now_ns, counted, instrument = session.time.now_ns, trader.gateway_counters[0], trader.instrument
    ran_ns = max(now_ns - session.began_ns, 1)
    held.becomes(held.lots, now_ns)
    totals, venue = trader.desk.totals(), session.config.venue
    no_fees = (session.gateway.profit_e8(instrument.symbol_id) + totals["fees_e8"]) / ONE_E8
    state = RingReader(trader.state.memory, records.QUOTER_STATE).read_newest()
    quotable_ns = int(state["quotable_ns"]) if state is not None else 0
    placed_lots = int(counted["placed_near_lots"])
    return Result(
        symbol=instrument.symbol,
        ladders=int(trader.quoter_counters["ladders"][0]),
        orders=int(counted["places"]),
        cancels_per_minute=int(counted["cancels"]) * MINUTE_NS / ran_ns,
        fills=int(counted["fills"]),
        near_fill_rate=int(counted["filled_near_lots"]) / placed_lots if placed_lots else 0.0,
        both_sides=int(state["quoted_both_ns"]) / quotable_ns if quotable_ns else 0.0,
        position=instrument.qty(trader.desk.position_lots),
        max_inventory=instrument.qty(held.max_lots),
        over_pin=held.over_ns[0] / ran_ns,
        over_grind=held.over_ns[1] / ran_ns,
        mode_s=earnings.mode_seconds(trader.quoter_counters[0]),
        mark_outs=earnings.mark_outs(trader.quoter_counters[0], instrument),
        profit=earnings.under_fees(no_fees, totals, instrument, venue.base_maker_fee, venue.base_taker_fee),
        funding=totals["funding_e8"] / ONE_E8,
    )


def recorded_instruments(config: Config, paths: Iterable[Path]) -> dict[str, Instrument]:
    """Return the configured instruments that the recordings hold: traded ones and what leads them."""
    recorded = [symbol for path in paths for symbol in symbols(path)]
    serving = sources(recorded, config.traded(), (config.sim or Sim()).relabel)
    traded = [symbol for symbol, found in serving.items() if found]
    if not traded:
        raise RecordingError(
            f"the recordings hold {', '.join(recorded) or 'nothing'}, the configuration trades {', '.join(serving)}"
        )
    ids = config.instrument_ids()
    wanted = dict.fromkeys([*traded, *filter(None, map(config.leader_of, traded))])
    known = [entry["symbol"] for entry in listed.entries()]
    if unlisted := [symbol for symbol in wanted if symbol not in known]:
        raise RecordingError(
            f"{', '.join(unlisted)}: a backtest knows only {', '.join(known)}; add the entry "
            f"of GET /fapi/v1/exchangeInfo to {listed.TABLE.name}"
        )
    return listed.instruments({symbol: ids[symbol] for symbol in wanted})


def main(config: Config, files: Iterable[str]) -> int:
    """Print what a run over the recordings did; return the exit status."""
    paths = [Path(file) for file in files]
    began_s = time.perf_counter()
    try:
        session = Session(
            config,
            recorded_instruments(config, paths),
            paths,
            lambda error: print(f"phx: {error}", file=sys.stderr),
        )
        results, fingerprint = run(session)
    except (RecordingError, ParamsError, InstrumentError, FrameRefused, OSError) as error:
        print(f"phx: {error}", file=sys.stderr)
        return 1
    seconds, virtual_s = time.perf_counter() - began_s, (session.time.now_ns - session.began_ns) / 1e9
    print("\n".join(table(results)))
    print(f"fingerprint of ladders, orders and fills: {fingerprint}")
    print(f"{virtual_s:.0f} s of market in {seconds:.1f} s: {virtual_s / seconds:.0f} x real time", file=sys.stderr)
    return 0


def table(results: list[Result]) -> list[str]:
    """Return the results as lines of text."""
    headings = "symbol", "ladders", "orders", "cancels/min", "fills", "near filled", "both sides", "position", "max |q|"
    lines = ["{:<10}{:>9}{:>9}{:>13}{:>8}{:>13}{:>12}{:>11}{:>11}".format(*headings)]
    for r in results:
        lines.append(
            f"{r.symbol:<10}{r.ladders:>9}{r.orders:>9}{r.cancels_per_minute:>13.1f}{r.fills:>8}"
            f"{r.near_fill_rate:>13.2%}{r.both_sides:>12.2%}{r.position:>11.4g}{r.max_inventory:>11.4g}"
        )
    for r in results:
        lines += [
            "",
            f"{r.symbol}: PnL {r.profit.own_fees:+.4f}, without fees {r.profit.no_fees:+.4f}, at the public lowest "
            f"tier's {r.profit.base_fees:+.4f}, funding {r.funding:+.4f}",
            f"time {earnings.mode_share_text(r.mode_s)}; inventory at pin.enter or more {r.over_pin:.1%}, "
            f"at grind.enter or more {r.over_grind:.1%}",
            *earnings.mark_out_lines(r.mark_outs),
        ]
    return lines
