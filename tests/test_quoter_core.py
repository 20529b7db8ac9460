"""QuoterCore between rings of this process: when it decides, what it publishes, and that it replays."""

import sys

import numpy as np
import pytest
from quoting import SECOND_NS, Rig, bbo, mark, own, params, sides

from phx._core import records
from phx._core.enums import BookFlag, ExecKind, Mode, OperatorState, Reason
from phx._core.mark_outs import table
from phx._core.quoter import QuoterCore
from phx.segment import private_memory

T = 100 * SECOND_NS
MS = 1_000_000


@pytest.fixture
def plain(tmp_path):
    return params(tmp_path, min_requote_ns=50 * MS, republish_ns=500 * MS, book_max_age_ns=SECOND_NS)


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def quoting(rig, plain):
    """A rig whose quoter has published its first real ladder at T."""
    rig.begin(plain, T)
    assert rig.core.mode == Mode.MODE_NORMAL
    return rig


# ---- warming up


def test_it_says_at_once_that_it_warms_up(rig):
    assert rig.step(T)
    ladder = rig.newest_ladder()
    assert (ladder["mode"], ladder["reason"]) == (Mode.MODE_PAUSED, Reason.REASON_WARMING_UP)
    assert ladder["bid_layers"] == ladder["ask_layers"] == 0


@pytest.mark.parametrize("missing", ["params", "own", "book", "bbo"])
def test_it_does_not_quote_before_it_knows_everything(plain, missing):
    there = Rig()
    there.tick(T)
    rig = Rig()
    known = {"params": plain, "own": own(), "book": there.core_reads("book"), "bbo": there.core_reads("bbo")}
    for source, record in known.items():
        if source != missing:
            rig.write(source, record)
    rig.step(T)
    assert rig.core.reason == Reason.REASON_WARMING_UP
    assert rig.newest_ladder()["bid_layers"] == 0


def test_the_ladder_names_what_it_was_decided_on(quoting):
    ladder = quoting.newest_ladder()
    assert ladder["own_seq"] == 1
    assert ladder["params_version"] == 1
    assert ladder["quoter_epoch"] == 7
    assert ladder["decided_mono_ns"] == ladder["cause_recv_mono_ns"] == T
    assert ladder["cause_update_id"] == 1
    assert len(sides(ladder)[1]) == len(sides(ladder)[-1]) == 16


# ---- when it publishes


def test_an_unchanged_market_is_decided_on_but_not_published_again(quoting):
    quoting.tick(T + MS)
    assert not quoting.step(T + MS)
    assert quoting.counters["ladders_unchanged"][0] == 1
    assert quoting.counters["decisions"][0] == 2


def test_a_step_without_news_decides_nothing(quoting):
    assert not quoting.step(T + MS)
    assert quoting.counters["decisions"][0] == 1


def test_a_price_change_waits_for_the_shortest_time_between_ladders(quoting):
    quoting.tick(T + 10 * MS, 650_499, 650_501)
    assert not quoting.step(T + 10 * MS)
    assert not quoting.step(T + 49 * MS)
    assert quoting.step(T + 50 * MS)
    ladder = quoting.newest_ladder()
    assert ladder["bid_price_ticks"][0] > 650_000
    assert ladder["cause_recv_mono_ns"] == 0, "it waited on purpose, so no tick's latency is told by it"


def test_a_price_change_after_that_time_goes_out_with_its_tick(quoting):
    quoting.tick(T + 60 * MS, 650_499, 650_501)
    assert quoting.step(T + 60 * MS)
    assert quoting.newest_ladder()["cause_recv_mono_ns"] == T + 60 * MS


def test_a_price_that_came_back_while_waiting_is_not_published(quoting):
    quoting.tick(T + 10 * MS, 650_499, 650_501)
    quoting.step(T + 10 * MS)
    quoting.tick(T + 20 * MS)
    quoting.step(T + 20 * MS)
    assert not quoting.step(T + 60 * MS)


def test_an_unchanged_ladder_is_republished_with_the_newest_own_record(quoting):
    quoting.write("own", quoting.placed(quoting.newest_ladder()))
    assert not quoting.step(T + 100 * MS)
    quoting.tick(T + 499 * MS)
    assert not quoting.step(T + 499 * MS)
    quoting.tick(T + 500 * MS)
    assert quoting.step(T + 500 * MS)
    assert quoting.newest_ladder()["own_seq"] == 2


def test_a_fill_or_reject_is_answered_at_once_even_if_nothing_changes(quoting):
    quoting.write("own", own(must_see_seq=2))
    assert quoting.step(T + MS)
    assert quoting.newest_ladder()["own_seq"] == 2
    assert not quoting.step(T + 2 * MS)


def test_an_own_record_without_a_fill_is_no_reason_to_publish(quoting):
    quoting.write("own", own())
    assert not quoting.step(T + MS)


def test_a_fill_that_changes_what_may_be_wanted_changes_the_ladder_at_once(quoting):
    quoting.write("own", own(position=150, must_see_seq=2))
    assert quoting.step(T + MS)
    assert len(sides(quoting.newest_ladder())[1]) == 11


def test_new_parameters_are_adopted_at_once(quoting, plain):
    plain["params_version"], plain["near_layers"] = 2, 3
    quoting.write("params", plain)
    assert quoting.step(T + MS)
    assert quoting.newest_ladder()["params_version"] == 2
    assert len(sides(quoting.newest_ladder())[1]) == 11


# ---- a restarted gateway


def test_a_new_gateways_life_voids_the_old_own_record(quoting):
    quoting.attach("own", fresh=True)
    quoting.tick(T + MS)
    assert quoting.step(T + MS)
    assert quoting.core.reason == Reason.REASON_WARMING_UP
    assert quoting.newest_ladder()["own_seq"] == 0
    quoting.write("own", own(epoch=9))
    quoting.tick(T + 2 * SECOND_NS)
    assert quoting.step(T + 2 * SECOND_NS)
    ladder = quoting.newest_ladder()
    assert (ladder["own_seq"], ladder["own_epoch"], ladder["mode"]) == (1, 9, Mode.MODE_NORMAL)


def test_a_gateway_that_is_not_ready_pauses(quoting):
    quoting.write("own", own(ready=0))
    assert quoting.step(T + MS)
    assert quoting.newest_ladder()["reason"] == Reason.REASON_GATEWAY_NOT_READY


@pytest.mark.parametrize("first", ["bbo", "book"])
def test_a_restarted_feed_is_believed_only_when_both_its_views_are_new(quoting, first):
    second = {"bbo": "book", "book": "bbo"}[first]
    old_book, old_top = quoting.core_reads("book"), quoting.core_reads("bbo")
    quoting.attach(first, fresh=True)
    quoting.write(first, old_book if first == "book" else old_top)
    quoting.step(T + MS)
    assert quoting.core.reason == Reason.REASON_WARMING_UP
    quoting.attach(second, fresh=True)
    for i in (2, 1200):
        quoting.tick(T + i * MS)
        quoting.step(T + i * MS)
    assert quoting.core.mode == Mode.MODE_NORMAL


# ---- pulling the quotes


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (lambda b: b.tick(T + MS, flags=BookFlag.BOOK_UNSYNCED), Reason.REASON_BOOK_UNSYNCED),
        (lambda b: b.tick(T + MS, flags=BookFlag.BOOK_CROSSED), Reason.REASON_BOOK_CROSSED),
        (lambda b: b.tick(T + MS, flags=BookFlag.BOOK_ONE_SIDED), Reason.REASON_BOOK_ONE_SIDED),
        (lambda b: setattr(b.core, "latched", True), Reason.REASON_LATCH),
        (lambda b: b.core.note_freeze(), Reason.REASON_OWN_FREEZE),
        (lambda b: wish(b, OperatorState.OPERATOR_PAUSE), Reason.REASON_OPERATOR),
        (lambda b: wish(b, OperatorState.OPERATOR_KILL), Reason.REASON_OPERATOR),
    ],
)
def test_an_empty_ladder_goes_out_at_once_with_the_reason(quoting, cause, reason):
    cause(quoting)
    assert quoting.step(T + MS)
    ladder = quoting.newest_ladder()
    assert ladder["reason"] == reason
    assert ladder["bid_layers"] == ladder["ask_layers"] == 0
    assert not ladder["bid_price_ticks"].any()


@pytest.mark.parametrize(
    ("book_flags", "top_flags", "reason"),
    [
        (BookFlag.BOOK_UNSYNCED, 0, Reason.REASON_BOOK_UNSYNCED),
        (0, BookFlag.BOOK_UNSYNCED, Reason.REASON_BOOK_UNSYNCED),
        (0, BookFlag.BOOK_CROSSED, Reason.REASON_BOOK_CROSSED),
        (BookFlag.BOOK_CROSSED, 0, Reason.REASON_NONE),
        (0, 0, Reason.REASON_NONE),
    ],
)
def test_a_newer_top_says_whether_the_market_is_sound_and_the_book_whether_it_is_synced(
    quoting, book_flags, top_flags, reason
):
    quoting.tick(T + MS, flags=book_flags)
    top = bbo((649_999, 5), (650_001, 5), update_id=99, recv_mono_ns=T + MS, ts_event_ns=T + MS, flags=top_flags)
    quoting.write("bbo", top)
    quoting.step(T + MS)
    assert quoting.core.reason == reason


def wish(rig, state):
    record = np.zeros(1, records.OPERATOR)
    record["wanted"][0, 0] = state
    rig.write("operator", record)


def test_the_operators_wish_for_another_symbol_is_not_ours(quoting):
    record = np.zeros(1, records.OPERATOR)
    record["wanted"][0, 1] = OperatorState.OPERATOR_KILL
    quoting.write("operator", record)
    quoting.step(T + MS)
    assert quoting.core.mode == Mode.MODE_NORMAL


def test_silence_of_the_feed_process_pulls_the_quotes(quoting):
    assert quoting.step(T + MS, feed_alive=False)
    assert quoting.newest_ladder()["reason"] == Reason.REASON_FEED_LOST


def test_a_feed_heartbeat_counts_until_it_is_older_than_its_limit(quoting):
    quoting.core.feed_heartbeat_mono_ns = T
    quoting.core.step_at(T + 250 * MS)
    assert quoting.core.mode == Mode.MODE_NORMAL
    quoting.core.step_at(T + 250 * MS + 1)
    assert quoting.core.reason == Reason.REASON_FEED_LOST


def test_old_data_pulls_the_quotes_without_any_news(quoting):
    assert quoting.step(T + SECOND_NS)
    assert quoting.core.mode == Mode.MODE_NORMAL
    assert quoting.step(T + SECOND_NS + 1)
    assert quoting.newest_ladder()["reason"] == Reason.REASON_BOOK_STALE
    assert quoting.counters["stale_books"][0] == 1


def test_quotes_come_back_after_the_pause(quoting):
    quoting.tick(T + MS, flags=BookFlag.BOOK_UNSYNCED)
    quoting.step(T + MS)
    quoting.tick(T + 2 * MS)
    quoting.step(T + 2 * MS)
    assert quoting.core.mode == Mode.MODE_PAUSED
    quoting.tick(T + MS + SECOND_NS)
    assert quoting.step(T + MS + SECOND_NS)
    assert len(sides(quoting.newest_ladder())[1]) == 16


def test_every_change_of_mode_is_told_once_with_its_reason(quoting):
    quoting.core.take_transitions()
    quoting.core.note_freeze()
    quoting.step(T + MS)
    (change,) = quoting.core.take_transitions()
    assert (change["old"], change["new"], change["reason"]) == (
        Mode.MODE_NORMAL,
        Mode.MODE_PAUSED,
        Reason.REASON_OWN_FREEZE,
    )
    assert change["at_mono_ns"] == T + MS
    assert quoting.core.take_transitions() == []


# ---- state and counters


def test_state_is_published_at_most_ten_times_a_second(quoting):
    begin = quoting.states.next_seq
    for i in range(1, 1000):
        quoting.tick(T + i * MS)
        quoting.step(T + i * MS)
    assert quoting.states.read_newest()["seq"] - begin < 10


def test_state_tells_mode_signals_and_worst_case(quoting):
    quoting.core.utc_minus_mono_ns = 5
    quoting.write("own", quoting.placed(quoting.newest_ladder()))
    quoting.tick(T + 200 * MS)
    quoting.step(T + 200 * MS)
    state = quoting.states.read_newest()
    assert state["mid_ticks"] == state["reservation_ticks"] == 650_000
    assert state["mode"] == Mode.MODE_NORMAL
    assert state["ts_ns"] == T + 200 * MS + 5
    assert (state["worst_buy_lots"], state["worst_sell_lots"]) == (144, -144)
    assert state["quoted_both_ns"] == state["quotable_ns"] == 200 * MS


def test_state_tells_the_gap_between_our_own_nearest_orders(quoting):
    now = T
    for orders, gap in (([(1, 649_900, 6), (1, 649_950, 6), (-1, 650_070, 6)], 120), ([(1, 649_900, 6)], 0), ([], 0)):
        now += 200 * MS
        quoting.write("own", own(orders))
        quoting.tick(now)
        quoting.step(now)
        assert quoting.states.read_newest()["gap_ticks"] == gap


def test_time_and_entries_are_counted_by_mode(quoting):
    quoting.tick(T + 300 * MS)
    quoting.step(T + 300 * MS)
    quoting.step(T + 700 * MS, feed_alive=False)  # the time until now was still quoted in
    quoting.step(T + 900 * MS, feed_alive=False)
    counted = quoting.counters[0]
    assert counted["mode_ns"][Mode.MODE_NORMAL] == 700 * MS
    assert counted["mode_ns"][Mode.MODE_PAUSED] == 200 * MS
    assert counted["mode_entries"].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]


def fill_of_ours(now_ns, side, price, lots, **fields):
    record = np.zeros(1, records.EXEC)
    record["kind"], record["recv_mono_ns"] = ExecKind.EXEC_FILL, now_ns
    record["side"], record["price_ticks"], record["qty_lots"], record["mode"] = side, price, lots, Mode.MODE_NORMAL
    for name, value in fields.items():
        record[name] = value
    return record


def judged(rig, horizon=0):
    cells = {field: table(rig.counters[0], field)[Mode.MODE_NORMAL, 0, horizon] for field in ("fills", "half_ticklots")}
    return int(cells["fills"]), int(cells["half_ticklots"])


def test_a_fill_is_judged_at_the_mid_without_us_a_second_later(quoting):
    quoting.write("exec", fill_of_ours(T + 5 * MS, 1, 649_990, 6))
    quoting.step(T + 5 * MS)
    quoting.tick(T + 900 * MS, bid=649_989, ask=649_992)
    quoting.step(T + 900 * MS)
    quoting.step(T + 1004 * MS)
    assert judged(quoting) == (0, 0)
    quoting.step(T + 1005 * MS)
    assert judged(quoting) == (1, 2 * 3)  # bought at 649 990, the mid is 649 990.5


def test_no_fill_is_judged_by_a_market_that_cannot_be_trusted(quoting):
    quoting.write("exec", fill_of_ours(T, -1, 650_010, 6))
    quoting.write("exec", fill_of_ours(T, -1, 650_010, 6, kind=ExecKind.EXEC_ACK))
    quoting.step(T)
    for flags, trusted in ((BookFlag.BOOK_UNSYNCED, 0), (BookFlag.BOOK_CROSSED, 0), (0, 1)):
        now = T + (1100 + 300 * trusted) * MS
        quoting.tick(now, flags=flags)
        quoting.step(now)
        assert judged(quoting)[0] == trusted
    assert quoting.counters["mark_outs_dropped"] == 0
    quoting.step(T + 11 * SECOND_NS)  # the book is older than it may be: too late for the ten seconds soon
    quoting.step(T + 11 * SECOND_NS + 1)
    assert judged(quoting, horizon=1)[0] == 0 and quoting.counters["mark_outs_dropped"] == 1


def test_the_first_sample_of_each_second_enters_the_window(quoting):
    for i in range(1, 301):
        now = T + i * 10 * MS
        quoting.tick(now)
        quoting.step(now)
    assert quoting.core.signals.window.samples == 4


def test_an_unsynced_book_gives_no_sample(quoting):
    quoting.tick(T + SECOND_NS, flags=BookFlag.BOOK_UNSYNCED)
    quoting.step(T + SECOND_NS)
    assert quoting.core.signals.window.samples == 1


def test_funding_reaches_the_reservation_price(quoting):
    quoting.write("tape", mark(10_000, 7, T + 100 * MS))
    assert quoting.step(T + 100 * MS)
    quoting.step(T + 200 * MS)
    assert quoting.states.read_newest()["funding_bias_ticks"] == pytest.approx(-0.0001 * 0.5 * 650_000)


def test_a_life_that_begins_warm_takes_over_volatility_and_anchor(plain):
    left = np.zeros(1, records.QUOTER_STATE)
    left["sigma_30m"], left["sigma_1s_ticks"], left["skew_anchor"] = 0.004, 3.0, 0.10
    rig = Rig()
    rig.core.restore(left)
    rig.begin(plain, T, position=36)
    rig.step(T + 100 * MS)
    state = rig.states.read_newest()
    assert state["sigma_30m"] == 0.004
    assert state["sigma_1s_ticks"] == pytest.approx(3.0)
    assert state["skew_anchor"] == 0.10, "0.12 is within the dead band of the restored anchor"


def test_a_leader_moves_the_quotes_and_a_stale_one_is_counted(plain):
    plain["fair_source"], plain["leader_weight"] = 2, 0.5
    rig = Rig()
    rig.attach("leader")
    rig.write("leader", bbo((319_999, 5), (320_001, 5), recv_mono_ns=T))
    rig.begin(plain, T)
    before = rig.newest_ladder()["bid_price_ticks"][0]
    rig.write("leader", bbo((320_099, 5), (320_101, 5), recv_mono_ns=T + 100 * MS))
    assert rig.step(T + 100 * MS)
    assert rig.newest_ladder()["bid_price_ticks"][0] - before == pytest.approx(0.5 * 650_000 * 100 / 320_000, abs=1)
    assert rig.newest_ladder()["cause_recv_mono_ns"] == T + 100 * MS
    assert rig.counters["leader_stale"][0] == 0
    rig.tick(T + 1200 * MS)
    rig.step(T + 1200 * MS)
    assert rig.counters["leader_stale"][0] == 1


def test_latencies_are_counted_from_the_tick_and_from_the_step(quoting):
    quoting.tick(T + 60 * MS, 650_499, 650_501)
    quoting.core.feed_heartbeat_mono_ns = T + 61 * MS
    assert quoting.core.run_steps(T + 61 * MS, MS, 3) == 1
    assert quoting.counters["tick_to_ladder_ns"].sum() == 1
    assert quoting.counters["decide_ns"].sum() == 1


def test_steps_allocate_nothing(rig, plain):
    plain["republish_ns"] = 1 * MS
    rig.begin(plain, T)
    rig.core.feed_heartbeat_mono_ns = T + 10 * SECOND_NS
    rig.core.run_steps(T, MS, 1000)
    before = sys.getallocatedblocks()
    published = rig.core.run_steps(T + SECOND_NS, 10_000, 100_000)
    assert abs(sys.getallocatedblocks() - before) <= 2
    assert published >= 900


# ---- replay


def test_a_recorded_run_replays_to_the_same_ladders(plain):
    """One core lives through a random hour of events; another gets what `decisions` says the first consumed."""
    random = np.random.default_rng(5)
    live = Rig()
    log = {source: [] for source in ("bbo", "book", "tape", "own")}
    original = live.write

    def write(source, record):
        if source in log:
            log[source].append(record.copy())
        return original(source, record)

    live.write = write
    live.begin(plain, T)
    now, mid, position = T, 650_000, 0
    for i in range(3000):
        now += int(random.integers(1, 900)) * MS // 10
        mid += int(random.integers(-40, 41))
        event = random.random()
        if event < 0.9:
            live.tick(now, mid - 1, mid + 1, int(random.integers(1, 9000)))
        if event > 0.8:
            live.write("tape", mark(int(random.integers(-9000, 9000)), 7 + i // 1000, now))
        if event > 0.6:
            position = max(-140, min(140, position + int(random.integers(-9, 10))))
            held = {"position": position, "open_cost_ticklots": position * mid}
            live.write("own", live.placed(live.newest_ladder(), must_see_seq=i if event > 0.9 else 0, **held))
        live.step(now)
    decisions = live.all_decisions()
    assert len(decisions) > 2000
    assert len({int(d["ladder_hash"]) for d in decisions}) > 1000

    again = Rig()
    again.write("params", plain)
    fed = dict.fromkeys(log, 0)
    consumed = {"bbo": "bbo_seq", "book": "book_seq", "tape": "tape_seq", "own": "own_seq"}
    for decision in decisions:
        for source, field in consumed.items():
            for record in log[source][fed[source] : int(decision[field])]:
                again.write(source, record)
            fed[source] = int(decision[field])
        again.step(int(decision["now_mono_ns"]))
    replayed = again.all_decisions()
    assert [d.tobytes() for d in replayed] == [d.tobytes() for d in decisions]


def test_the_core_refuses_what_is_not_its_own():
    memory = {name: private_memory(dtype, 4) for name, dtype in records.RING_RECORDS.items()}
    rings = (memory["ladder"], memory["state"], memory["decisions"])
    with pytest.raises(ValueError, match="symbol_id 64"):
        QuoterCore(64, 1, *rings, np.zeros(1, records.QUOTER_COUNTERS))
    with pytest.raises(ValueError, match="2 counter blocks"):
        QuoterCore(0, 1, *rings, np.zeros(2, records.QUOTER_COUNTERS))
    core = QuoterCore(0, 1, *rings, np.zeros(1, records.QUOTER_COUNTERS))
    with pytest.raises(KeyError):
        core.attach("journal", memory["journal"])
    with pytest.raises(ValueError, match="records of"):
        core.attach("own", memory["bbo"])
