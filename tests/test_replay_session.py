"""The whole of phx in one process and virtual time, held against the venue's own truth after every event.

The venue's orders and fills are what its overlay says; positions, profit and fees are added up again here by other,
few-line rules.
"""

import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hard_recordings import InventedMarket
from invented_market import write

from phx import config as configuration
from phx._core.enums import BookFlag, ExecKind, Mode, TapeKind
from phx._core.matching import TimeInForce as Tif
from phx._core.ring import OK
from phx.recording import RecordingError
from phx.replay import backtest
from phx.replay.backtest import recorded_instruments
from phx.replay.session import Session
from phx.replay.venue import Fill
from phx.venue.binance import listed

ROOT = Path(__file__).resolve().parents[1]
MS_NS = 1_000_000
SECOND_NS = 1_000_000_000
WARM_UP_NS = 5 * SECOND_NS
RECORDED = {"BTCUSDC": "btcusdt-2024-07-18T2357.jsonl.gz", "ETHUSDC": "ethusdt-2024-07-18T2357.jsonl.gz"}
VIOLENT = {
    "jumping": {"symbol": "BTCUSDT", "price_ticks": 1_180_001, "tick": "0.1", "jump": 0.06, "spacing_ticks": 40},
    "one_sided": {"symbol": "ETHUSDT", "price_ticks": 442_498, "tick": "0.01", "jump": 0.01, "one_sided": True},
}
CONFIG = """
symbols:
  BTCUSDC: {{net_max: {net_max}, ladder: {{near: {{size: 0.006}}, far: {{size: 0.012}}}}}}
  ETHUSDC: {{net_max: 6, ladder: {{near: {{size: 0.12}}, far: {{size: 0.24}}}}}}
limits: {{max_gross_notional: 60000, max_daily_loss: {max_daily_loss}}}
sim: {{maker_fee: "{maker_fee}", latency_ms: {latency_ms}}}
"""
SMALL = "net_max: 0.30, ladder: {near: {size: 0.006}, far: {size: 0.012}}"  # for a price like BTC's


def configured(tmp_path, net_max="0.30", maker_fee="0.00013", latency_ms=1, max_daily_loss=5000) -> Path:
    path = tmp_path / "config.yaml"
    settings = {"net_max": net_max, "maker_fee": maker_fee, "latency_ms": latency_ms, "max_daily_loss": max_daily_loss}
    path.write_text(CONFIG.format(**settings))
    return path


def session_of(config_file: Path, *recordings: Path, kind=Session) -> Session:
    config = configuration.load(config_file, {})
    return kind(config, recorded_instruments(config, recordings), recordings)


class Twice(Session):
    """Everything the venue says arrives twice, as it may by two channels."""

    def _hear(self, said):
        super()._hear([word for word in said for _ in range(2)])


class Witness:
    """Looks at one symbol of a session after every event, and writes down what must not be."""

    def __init__(self, session: Session, symbol: str):
        self.session, self.trader = session, session.traders[symbol]
        self.net_max_lots = int(self.trader.params.reader().read_newest()["net_max_lots"])
        self.ladders, self.execs = self.trader.ladder.reader(), self.trader.exec.reader()
        self.bbos, self.journal = self.trader.market.bbo.reader(), session.journal.reader()
        self.tapes, self.mark_ticks = self.trader.market.tape.reader(), 0
        self.fingerprint = hashlib.sha256()
        self.faults: list[str] = []
        self.fills: list = []  # what the gateway told
        self.ladder = self.bbo = None
        self.quoting_since_ns = self.last_ns = 0
        self.both_ns = self.total_ns = 0
        self.unsynced = self.pulled = 0
        self.most_lots = 0

    def look(self, now_ns: int) -> None:
        if self.quoting_since_ns and now_ns > self.quoting_since_ns + WARM_UP_NS:
            self.total_ns += now_ns - self.last_ns
            self.both_ns += (now_ns - self.last_ns) * bool(self.ladder["bid_layers"] and self.ladder["ask_layers"])
        self.last_ns = now_ns
        was = self.ladder
        for ladder in self.read(self.ladders):
            self.ladder = ladder
        if not self.quoting_since_ns and self.ladder is not None and self.ladder["bid_layers"]:
            self.quoting_since_ns = now_ns
        self.bbo = next(iter(self.read(self.bbos)[-1:]), self.bbo)
        self.fills += [event for event in self.read(self.execs) if event["kind"] == ExecKind.EXEC_FILL]
        self.read(self.journal)
        marks = [int(event["price_ticks"]) for event in self.read(self.tapes) if event["kind"] == TapeKind.TAPE_MARK]
        self.mark_ticks = [self.mark_ticks, *marks][-1]
        self.judge_book(was, now_ns)
        self.judge_orders(now_ns)

    def judge_book(self, was, now_ns: int) -> None:
        if self.bbo is None or self.ladder is None or not self.bbo["flags"] & BookFlag.BOOK_UNSYNCED:
            return
        self.unsynced += 1
        self.pulled += was is not None and was["bid_layers"] > 0
        if self.ladder["bid_layers"] or self.ladder["ask_layers"]:
            self.faults.append(f"{now_ns}: a ladder stands on a void book")

    def judge_orders(self, now_ns: int) -> None:
        """The venue's truth: worst case within the limit, nothing that could trade with itself, all post-only."""
        symbol_id = self.trader.instrument.symbol_id
        position = sum(f.side * f.qty_lots for f in self.session.venue.fills if f.symbol_id == symbol_id)
        mine = [order for order in self.session.venue.open.values() if order.symbol_id == symbol_id]
        buys, sells = (sum(o.remaining_lots for o in mine if o.side == side) for side in (1, -1))
        self.most_lots = max(self.most_lots, abs(position + buys), abs(position - sells))
        if max(position + buys, sells - position) > self.net_max_lots:
            self.faults.append(f"{now_ns}: worst case {position} +{buys} -{sells}")
        best = [max((o.side * o.price_ticks for o in mine if o.side == side), default=None) for side in (1, -1)]
        if None not in best and best[0] + best[1] >= 0:
            self.faults.append(f"{now_ns}: own bid {best[0]} meets own ask {-best[1]}")
        if any(order.tif != Tif.TIF_GTX for order in mine):
            self.faults.append(f"{now_ns}: an order that is not post-only")

    def read(self, ring) -> list:
        found = []
        while (got := ring.read_record())[0] == OK:
            self.fingerprint.update(got[1].tobytes())
            found.append(got[1])
        return found

    @property
    def venue_fills(self) -> list[Fill]:
        return [f for f in self.session.venue.fills if f.symbol_id == self.trader.instrument.symbol_id]


def witnessed(session: Session, symbol: str) -> Witness:
    """Run a session to its end under the eyes of a witness."""
    witness = Witness(session, symbol)
    counted = (
        witness.trader.quoter_counters["ladders"],
        witness.trader.gateway_counters["fills"],
        witness.trader.market.counters["bbo_records"],
    )
    seen = None
    for now_ns in session.steps():
        state = (
            *(int(count[0]) for count in counted),
            session.journal_writer.published,
            len(session.venue.fills),
            len(session.venue.open),
        )
        if state != seen:
            seen = state
            witness.look(now_ns)
    return witness


TAKER_RATE = Fraction("0.0004")  # what a take costs here: the simulated venue's default


def account_of(fills: list[Fill], ticklot_e8: int, rate: Fraction):
    """Return (position, cash, realised at average cost, fees): cash and realised in tick·lot, fees in 1e-8."""
    position, cash, realised, cost, fees = 0, 0, Fraction(0), Fraction(0), 0
    for fill in fills:
        cash -= fill.side * fill.price_ticks * fill.qty_lots
        fees += int(fill.price_ticks * fill.qty_lots * ticklot_e8 * (rate if fill.maker else TAKER_RATE))
        closed = min(abs(position), fill.qty_lots) if position * fill.side < 0 else 0
        if closed:
            average = cost / abs(position)
            realised += -fill.side * (fill.price_ticks - average) * closed
            cost -= average * closed
        cost += (fill.qty_lots - closed) * fill.price_ticks
        position += fill.side * fill.qty_lots
    return position, cash, realised, fees


def agrees_with_the_venue(witness: Witness, rate: str) -> None:
    trader = witness.trader
    ticklot_e8, totals = trader.instrument.ticklot_e8, trader.desk.totals()
    position, cash, realised, fees = account_of(witness.venue_fills, ticklot_e8, Fraction(rate))
    assert totals["position_lots"] == position
    assert totals["realised_ticklots"] - totals["open_cost_ticklots"] == cash
    assert abs(totals["realised_ticklots"] - realised) <= len(witness.venue_fills)
    assert totals["fees_e8"] == fees
    profit_e8 = (cash + position * witness.mark_ticks) * ticklot_e8 - fees
    assert witness.session.gateway.profit_e8(trader.instrument.symbol_id) == profit_e8


# ---- on a recording of our own making ----


@pytest.mark.parametrize("net_max", ["0.30", "0.04"], ids=["wide", "narrow"])
@pytest.mark.parametrize("maker_fee", ["0.00013", "-0.00005"], ids=["fee", "rebate"])
def test_at_no_event_more_is_at_risk_than_allowed_and_the_books_agree_with_the_venue(tmp_path, net_max, maker_fee):
    session = session_of(configured(tmp_path, net_max, maker_fee), write(tmp_path / "a.jsonl.gz", jump_s=0.6))
    witness = witnessed(session, "BTCUSDC")
    assert witness.faults == []
    assert len(witness.venue_fills) >= 8 and len({f.side for f in witness.venue_fills}) == 2
    assert witness.most_lots > witness.net_max_lots * 0.5  # the limit was within reach
    agrees_with_the_venue(witness, maker_fee)


@pytest.mark.parametrize("market", VIOLENT)
def test_a_violent_market_breaks_no_limit(tmp_path, market):
    recording = InventedMarket(seed=7, **VIOLENT[market]).run(5000, 12).write(tmp_path / "a.jsonl.gz")
    symbol = VIOLENT[market]["symbol"].replace("USDT", "USDC")
    witness = witnessed(session_of(configured(tmp_path), recording), symbol)
    assert witness.faults == [] and len(witness.venue_fills) > 10
    agrees_with_the_venue(witness, "0.00013")


def test_both_sides_are_quoted_on_a_living_book(tmp_path):
    session = session_of(configured(tmp_path), write(tmp_path / "a.jsonl.gz", seconds=15))
    witness = witnessed(session, "BTCUSDC")
    assert witness.total_ns > 8 * SECOND_NS
    assert witness.both_ns / witness.total_ns >= 0.95


@pytest.mark.parametrize("latency_ms", [0, 1, 60])
def test_the_same_run_twice_is_the_same_to_the_byte(tmp_path, latency_ms):
    recording, config = write(tmp_path / "a.jsonl.gz", seconds=8), configured(tmp_path, latency_ms=latency_ms)
    runs = [witnessed(session_of(config, recording), "BTCUSDC") for _ in range(2)]
    assert runs[0].fingerprint.digest() == runs[1].fingerprint.digest()
    assert runs[0].venue_fills == runs[1].venue_fills != []


def test_latency_and_the_market_change_what_happens(tmp_path):
    other, recording = write(tmp_path / "b.jsonl.gz", seconds=8, seed=2), write(tmp_path / "a.jsonl.gz", seconds=8)
    runs = [(1, recording), (60, recording), (1, other)]
    found = {
        witnessed(session_of(configured(tmp_path, latency_ms=ms), path), "BTCUSDC").fingerprint.digest()
        for ms, path in runs
    }
    assert len(found) == 3


def test_a_fill_that_is_told_twice_is_booked_once(tmp_path):
    recording = write(tmp_path / "a.jsonl.gz", seconds=8)
    session = session_of(configured(tmp_path), recording, kind=Twice)
    witness = witnessed(session, "BTCUSDC")
    counted = session.traders["BTCUSDC"].gateway_counters[0]
    assert witness.venue_fills and witness.faults == []
    assert counted["fills"] == counted["fills_duplicate"] == len(witness.fills) == len(witness.venue_fills)
    assert len({int(fill["trade_id"]) for fill in witness.fills}) == len(witness.fills)
    agrees_with_the_venue(witness, "0.00013")


def test_a_hole_in_the_recording_pulls_the_ladder_until_a_snapshot_joins_it(tmp_path):
    recording = write(tmp_path / "a.jsonl.gz", seconds=12, lose_at=5.0, snapshots_at=(0.1, 7.0))
    session = session_of(configured(tmp_path), recording)
    witness = witnessed(session, "BTCUSDC")
    assert witness.unsynced and witness.pulled and witness.faults == []
    counted = witness.trader.market.counters[0]
    assert (counted["gaps"], counted["resyncs"]) == (1, 2)
    assert witness.ladder["bid_layers"] and witness.ladder["ask_layers"] and session.venue.open


def test_no_order_stands_at_the_venue_a_round_trip_after_the_book_was_lost(tmp_path):
    latency_ns = 20 * MS_NS
    recording = write(tmp_path / "a.jsonl.gz", seconds=8, lose_at=5.0)
    session = session_of(configured(tmp_path, latency_ms=20), recording)
    lost_ns = 0
    for now_ns in session.steps():
        lost_ns = lost_ns or (now_ns if session.traders["BTCUSDC"].market.counters["gaps"][0] else 0)
        if lost_ns and now_ns > lost_ns + 2 * latency_ns:
            assert session.venue.open == {}
    assert lost_ns and session.traders["BTCUSDC"].quoter.mode != Mode.MODE_NORMAL


def test_past_the_daily_loss_nothing_is_quoted_any_more(tmp_path):
    recording = write(tmp_path / "a.jsonl.gz", seconds=12)
    session = session_of(configured(tmp_path, max_daily_loss=1, maker_fee="0.002"), recording)
    session.run()
    assert session.gateway.profit_e8() < -(10**8)
    assert session.gateway.desks[0].loss_stop and session.venue.open == {}


def test_funding_is_paid_on_what_is_held_when_its_time_has_passed(tmp_path):
    marks = (
        (1.0, "64000.0", "0.00010000", 6),
        (5.5, "64100.0", "0.00120000", 6),
        (6.5, "64200.0", "0.00990000", 28800),
    )
    recording = write(tmp_path / "a.jsonl.gz", seconds=12, marks=marks)
    session = session_of(configured(tmp_path, latency_ms=0), recording)
    totals, held, paid = session.traders["BTCUSDC"].desk.totals, 0, []
    for _ in session.steps():
        if totals()["funding_e8"] != sum(paid):
            # The rate and the mark that were said last before the time; a long pays at a positive rate.
            paid.append(-int(Fraction(held, 1000) * 64100 * Fraction("0.0012") * 10**8))
            assert totals()["funding_e8"] == paid[0] != 0
        held = totals()["position_lots"]
    assert len(paid) == 1


def test_the_report_adds_up(tmp_path):
    session = session_of(configured(tmp_path), write(tmp_path / "a.jsonl.gz", seconds=12))
    (found,), _ = backtest.run(session)
    trader = session.traders["BTCUSDC"]
    totals = trader.desk.totals()
    made = [f for f in session.venue.fills if f.maker]
    taken = [f for f in session.venue.fills if not f.maker]
    worth = [sum(f.price_ticks * f.qty_lots for f in fills) / 10_000 for fills in (made, taken)]
    assert found.fills == len(session.venue.fills) > 0
    assert found.profit.own_fees == pytest.approx(session.gateway.profit_e8(0) / 1e8)
    assert found.profit.no_fees - found.profit.own_fees == pytest.approx(totals["fees_e8"] / 1e8)
    assert found.profit.no_fees - found.profit.base_fees == pytest.approx(worth[0] * 0.0002 + worth[1] * 0.0005)
    judged = [m for m in found.mark_outs if m.horizon_s == 1]
    assert 0 < sum(m.fills for m in judged) <= len(session.venue.fills)
    seconds = (session.time.now_ns - session.began_ns) / 1e9
    assert sum(found.mode_s.values()) == pytest.approx(seconds, abs=0.1)


def test_time_over_a_threshold_is_counted_while_the_inventory_is_there():
    held = backtest.Held(0, (180.0, 225.0))
    for now_s, lots in ((10, 179), (20, 180), (30, -225), (35, 0), (50, 300)):
        held.becomes(lots, now_s * SECOND_NS)
    held.becomes(held.lots, 60 * SECOND_NS)
    assert held.over_ns == [25 * SECOND_NS, 15 * SECOND_NS] and held.max_lots == 300


def test_two_symbols_share_the_account_and_their_books_agree_with_the_venue(tmp_path):
    paths = [
        write(tmp_path / f"{s}.jsonl.gz", seconds=8, symbol=f"{s}USDT", seed=i) for i, s in enumerate(("BTC", "ETH"))
    ]
    config = configured(tmp_path)
    config.write_text(config.read_text().replace("net_max: 6, ladder: {near: {size: 0.12}, far: {size: 0.24}}", SMALL))
    session = session_of(config, *paths)
    session.run()
    for trader in session.traders.values():
        fills = [f for f in session.venue.fills if f.symbol_id == trader.instrument.symbol_id]
        position, cash, _, fees = account_of(fills, trader.instrument.ticklot_e8, Fraction("0.00013"))
        totals = trader.desk.totals()
        assert totals["fills"] == len(fills) > 0
        assert (totals["position_lots"], totals["fees_e8"]) == (position, fees)
        assert totals["realised_ticklots"] - totals["open_cost_ticklots"] == cash


@pytest.mark.parametrize("leader", ["BTCUSDT", "ETHUSDT"], ids=["of its own recording", "of another"])
def test_a_leader_is_followed(tmp_path, leader):
    paths = [write(tmp_path / f"{s}.jsonl.gz", seconds=5, symbol=f"{s}USDT") for s in ("BTC", "ETH")]
    config = configured(tmp_path)
    led = f"BTCUSDC: {{quoting: {{fair: leader}}, leader: {{symbol: {leader}, weight: 0.5}},"
    config.write_text(config.read_text().replace("BTCUSDC: {", led) + f"watch: [{leader}]\n")
    session = session_of(config, *[path for path in paths if leader[:3] in path.name or "BTC" in path.name])
    session.run()
    counted = session.traders["BTCUSDC"].quoter_counters[0]
    assert counted["decisions"] > 100 and counted["leader_stale"] < counted["decisions"] * 0.1
    assert session.traders["BTCUSDC"].gateway_counters["acks"][0] > 0


def test_a_symbol_without_a_recording_is_refused(tmp_path):
    config = configuration.load(configured(tmp_path), {})
    instruments = listed.instruments({"BTCUSDC": 0, "ETHUSDC": 1})
    with pytest.raises(RecordingError, match="ETHUSDC is in none of the recordings, which hold BTCUSDT"):
        Session(config, instruments, [write(tmp_path / "a.jsonl.gz", seconds=1)])


def test_the_command_prints_the_same_whatever_the_hash_seed(tmp_path):
    recording, config = write(tmp_path / "a.jsonl.gz", seconds=6), configured(tmp_path)
    printed = set()
    for seed in ("1", "2"):
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PHX")} | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "phx", "--config", str(config), "backtest", str(recording)]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    (text,) = printed
    assert "BTCUSDC" in text and "ETHUSDC" not in text and "fingerprint" in text


def test_the_command_says_in_a_line_why_it_cannot_run(tmp_path, capsys):
    config = configuration.load(configured(tmp_path), {})
    strange = write(tmp_path / "a.jsonl.gz", seconds=1, symbol="XRPUSDT")
    for file, why in ((strange, "hold XRPUSDT, the configuration trades BTCUSDC"), (tmp_path / "none", "none")):
        assert backtest.main(config, [file]) == 1
        error = capsys.readouterr().err
        assert why in error and error.count("\n") == 1


def test_a_contract_that_no_backtest_knows_is_refused_in_a_line_that_helps(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(
        CONFIG.split("  ETHUSDC")[0].format(net_max=30).replace("BTC", "AVAX").replace("0.006", "6")
        + """
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""
    )
    recording = write(tmp_path / "a.jsonl.gz", seconds=1, symbol="AVAXUSDT")
    assert backtest.main(configuration.load(path, {}), [recording]) == 1
    error = capsys.readouterr().err
    assert "AVAXUSDC: a backtest knows only BTCUSDC, " in error and "contracts.json" in error and error.count("\n") == 1


def test_a_recording_that_is_cut_off_is_traded_up_to_there(tmp_path, capsys):
    whole = write(tmp_path / "a.jsonl.gz", seconds=8)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole.read_bytes()[:-5000])
    assert backtest.main(configuration.load(configured(tmp_path), {}), [cut]) == 0
    told = capsys.readouterr()
    assert "cut.jsonl.gz" in told.err and "truncated" in told.err and "BTCUSDC" in told.out


# ---- on what really happened ----


@pytest.mark.parametrize("symbol", RECORDED)
def test_recorded_minutes_are_traded_within_every_limit(tmp_path, recordings, symbol):
    session = session_of(configured(tmp_path), recordings / RECORDED[symbol])
    witness = witnessed(session, symbol)
    assert witness.faults == []
    assert len(witness.venue_fills) == len(witness.fills) > 0
    agrees_with_the_venue(witness, "0.00013")
    assert witness.both_ns / witness.total_ns >= 0.95
    counted = witness.trader.market.counters[0]
    assert counted["top_checked"] > 8000 and counted["top_different"] == counted["gaps"] == 0
