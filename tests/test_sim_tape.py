"""Public trades: what is kept for queries, and aggregates against a plain model."""

from hypothesis import given
from hypothesis import strategies as st

from phx._core.enums import TradeOrigin
from phx.sim.streams import tape as tapes
from phx.sim.streams.tape import AGGREGATE_MS, FIRST_AGGREGATE_ID, Tape

MARKET, RPI, NONE = TradeOrigin.ORIGIN_MARKET, TradeOrigin.ORIGIN_RPI, TradeOrigin.ORIGIN_NONE
LIQUIDATION, INSURANCE = TradeOrigin.ORIGIN_LIQUIDATION, TradeOrigin.ORIGIN_INSURANCE
START_MS = 1_795_000_000_000
LOTS = st.integers(1, 9)


def told(tape: Tape, now_ms: int) -> list:
    return list(tape.due(now_ms))


def test_trades_of_one_price_and_side_within_the_window_are_told_as_one():
    # As captured: 27 trades over 23 ms were told as one, with the time of the first, 154 ms after it.
    tape = Tape()
    for number, at_ms in enumerate((0, 10, 23)):
        tape.add(501 + number, 680_050, 7, -1, MARKET, START_MS + at_ms)
    assert told(tape, START_MS + AGGREGATE_MS - 1) == []
    (one,) = told(tape, START_MS + AGGREGATE_MS)
    assert (one.ticks, one.lots, one.first_id, one.last_id, one.ts_ms) == (680_050, 21, 501, 503, START_MS)
    assert told(tape, START_MS + 10 * AGGREGATE_MS) == []


def test_retail_flow_counts_to_all_and_not_to_the_normal_quantity():
    tape = Tape()
    tape.add(1, 100, 5, 1, MARKET, START_MS)
    tape.add(2, 100, 3, 1, RPI, START_MS)
    (one,) = told(tape, START_MS + AGGREGATE_MS)
    assert (one.lots, one.normal_lots) == (8, 5)
    assert [trade.rpi for trade in tape.recent(5)] == [False, True]


def test_trades_that_no_order_on_the_book_made_are_not_on_the_tape():
    tape = Tape()
    for origin in (NONE, LIQUIDATION, INSURANCE):
        tape.add(1, 100, 5, 1, origin, START_MS)
    assert tape.recent(10) == told(tape, START_MS + 10**6) == []
    assert tape.last is None
    assert tape.day(START_MS) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 60, 99, 100, 250]), st.integers(1, 2), LOTS, st.sampled_from([1, -1])),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 300),
)  # fmt: skip
def test_aggregates_are_groups_of_neighbours_told_in_order_and_not_before_their_time(steps, poll_ms):
    tape, at_ms, heard, trades = Tape(), START_MS, [], []
    for number, (wait_ms, ticks, lots, taker) in enumerate(steps, 1):
        for now_ms in range(at_ms, at_ms + wait_ms, poll_ms):
            heard += [(now_ms, one) for one in tape.due(now_ms)]
        at_ms += wait_ms
        tape.add(number, ticks, lots, taker, MARKET, at_ms)
        trades.append((at_ms, ticks, lots, taker, number))
    heard += [(at_ms + 10**6, one) for one in tape.due(at_ms + 10**6)]

    groups = []
    for trade in trades:
        group = groups[-1] if groups else None
        same = group and (group[0][1], group[0][3]) == (trade[1], trade[3]) and trade[0] < group[0][0] + AGGREGATE_MS
        groups[-1].append(trade) if same else groups.append([trade])
    assert [one.agg_id for _, one in heard] == list(range(heard[0][1].agg_id, heard[0][1].agg_id + len(heard)))
    assert heard[0][1].agg_id >= FIRST_AGGREGATE_ID
    assert [(one.first_id, one.last_id) for _, one in heard] == [(g[0][4], g[-1][4]) for g in groups]
    assert [one.lots for _, one in heard] == [sum(t[2] for t in g) for g in groups]
    assert all(now_ms >= one.ts_ms + AGGREGATE_MS for now_ms, one in heard)


def test_queries_find_trades_and_aggregates_by_id_and_time():
    tape = Tape()
    for number in range(10):
        tape.add(700 + 2 * number, 100 + number, 1, 1, MARKET, START_MS + 1000 * number)
    told(tape, START_MS + 10**6)
    first = tape.aggregates[0].agg_id
    assert [t.trade_id for t in tape.recent(2)] == [716, 718]
    assert tape.recent(0) == []
    assert [t.trade_id for t in tape.trades_from(705, 3)] == [706, 708, 710]
    assert [a.agg_id - first for a in tape.aggregates_from(first + 3, 2)] == [3, 4]

    def between(start_ms, end_ms, limit=500):
        shifted = [None if ms is None else START_MS + ms for ms in (start_ms, end_ms)]
        return [a.agg_id - first for a in tape.aggregates_between(*shifted, limit)]

    assert between(1000, 3000) == [1, 2, 3]
    assert between(1001, None, 2) == [2, 3]
    assert between(None, 3000, 2) == [2, 3]
    assert between(None, None, 2) == [8, 9]
    assert between(None, None, 0) == []


def test_only_so_many_trades_are_kept(monkeypatch):
    monkeypatch.setattr(tapes, "MAX_TRADES", 5)
    tape = Tape()
    for number in range(23):
        tape.add(number, 100 + number, 1, 1, MARKET, START_MS + 1000 * number)
        told(tape, START_MS + 10**6)
        assert len(tape.trades) < 10
        assert len(tape.aggregates) < 10
    assert tape.last.trade_id == 22
    assert tape.klines.query("1M", START_MS + 10**5)[-1].trades == 23
