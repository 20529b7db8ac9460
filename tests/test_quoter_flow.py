"""What trades, models and an earlier life do to a quoter between its rings."""

import numpy as np
import pytest
from quoting import SECOND_NS, Rig, bbo, mark, own, params, sides

from phx._core import records
from phx._core.enums import FairSource, Mode, QuotingModel, Reason, TapeKind, TradeOrigin

T = 100 * SECOND_NS
MS = 1_000_000
MID = 650_000


@pytest.fixture
def plain(tmp_path):
    return params(
        tmp_path, min_requote_ns=50 * MS, republish_ns=500 * MS, book_max_age_ns=SECOND_NS, vpin_enabled=1,
        vpin_bucket_lots=100, vpin_buckets=5, vpin_multiplier=0.2, vpin_widen=0.7, vpin_narrow=0.65, vpin_pause=0.9,
        vpin_resume=0.8, vpin_pause_ns=5 * SECOND_NS, mode_dwell_ns=0,
    )  # fmt: skip


def trade(now_ns, side, lots, price_ticks=MID, ts_event_ns=0):
    record = np.zeros(1, records.TAPE)
    record["kind"], record["origin"], record["aggressor"] = TapeKind.TAPE_TRADE, TradeOrigin.ORIGIN_MARKET, side
    record["recv_mono_ns"], record["ts_event_ns"] = now_ns, ts_event_ns or now_ns
    record["price_ticks"], record["qty_lots"] = price_ticks, lots
    return record


def step(rig, now_ns):
    rig.tick(now_ns)
    return rig.step(now_ns)


def flow(rig, now_ns, *shares_e2):
    """One bucket of 100 lots for each |buys - sells|."""
    for share in shares_e2:
        rig.write("tape", trade(now_ns, 1, (100 + share) // 2))
        if share < 100:
            rig.write("tape", trade(now_ns, -1, (100 - share) // 2))


def nearest(rig):
    found = sides(rig.newest_ladder())
    return found[1][0][0], found[-1][0][0]


def test_a_one_sided_flow_widens_the_ladder_and_a_calm_one_narrows_it(plain):
    rig = Rig()
    rig.begin(plain, T)
    bid, ask = nearest(rig)
    flow(rig, T + 100 * MS, 80, 80, 80, 80, 80)
    step(rig, T + 100 * MS)
    step(rig, T + 201 * MS)
    state = rig.states.read_newest()
    assert (state["vpin"], state["tox_scale"], state["widening"]) == (pytest.approx(0.8), pytest.approx(1.16), 1)
    wide_bid, wide_ask = nearest(rig)
    assert MID - wide_bid == pytest.approx(1.16 * (MID - bid), abs=1)
    assert wide_ask - MID == pytest.approx(1.16 * (ask - MID), abs=1)
    flow(rig, T + 300 * MS, 0, 0, 0)
    step(rig, T + 300 * MS)
    assert nearest(rig) == (bid, ask)


def test_a_toxic_flow_pulls_the_quotes_for_its_time_and_not_again_at_once(plain):
    rig = Rig()
    rig.begin(plain, T)
    flow(rig, T + 100 * MS, 100, 100, 100, 100, 100)
    step(rig, T + 100 * MS)
    assert (rig.core.mode, rig.core.reason) == (Mode.MODE_PAUSED, Reason.REASON_TOXIC)
    assert sides(rig.newest_ladder()) == {1: [], -1: []}
    flow(rig, T + 4 * SECOND_NS, 100)
    for at_ns in (T + 4 * SECOND_NS, T + 100 * MS + 5 * SECOND_NS - 1):
        step(rig, at_ns)
        assert rig.core.reason == Reason.REASON_TOXIC
    step(rig, T + 100 * MS + 5 * SECOND_NS)
    assert rig.core.mode == Mode.MODE_NORMAL and len(sides(rig.newest_ladder())[1]) > 0
    flow(rig, T + 6 * SECOND_NS, 100, 100)
    step(rig, T + 6 * SECOND_NS)
    assert rig.core.mode == Mode.MODE_NORMAL, "the same excursion pauses once"


def test_a_pause_of_the_flow_ends_without_a_trade_or_tick_of_its_own(plain):
    plain["book_max_age_ns"] = 60 * SECOND_NS
    rig = Rig()
    rig.begin(plain, T)
    flow(rig, T + 100 * MS, 100, 100, 100, 100, 100)
    step(rig, T + 100 * MS)
    for i in range(12):
        rig.step(T + 100 * MS + i * 500 * MS)
    assert rig.core.mode == Mode.MODE_NORMAL


@pytest.mark.parametrize("model", [QuotingModel.MODEL_AVELLANEDA_STOIKOV, QuotingModel.MODEL_GLFT])
def test_a_model_is_adopted_while_running_and_leans_by_near_sizes(plain, model):
    rig = Rig()
    rig.begin(plain, T)
    asmm = nearest(rig)
    changed = plain.copy()
    changed["model"], changed["params_version"], changed["intensity_fitted"] = model, 2, 0
    changed["as_gamma"], changed["intensity_k_per_tick"], changed["sigma_1s_half_life_s"] = 0.001, 0.01, 1.0
    rig.write("params", changed)
    for i in range(1, 40):  # the mid moves two ticks a second to and fro
        now = T + i * SECOND_NS
        rig.tick(now, bid=MID - 1 + 2 * (i % 2), ask=MID + 1 + 2 * (i % 2))
        rig.step(now)
    flat = nearest(rig)
    assert flat != asmm and rig.newest_ladder()["params_version"] == 2
    state = rig.states.read_newest()
    assert state["sigma_1s_ticks"] == pytest.approx(2.0, rel=1e-6) and state["skew_ticks"] == 0
    rig.write("own", own(position=12))
    now += 500 * MS
    rig.tick(now, bid=MID + 1, ask=MID + 3)
    rig.step(now)
    rig.step(now + 100 * MS)
    state = rig.states.read_newest()
    sizes = 12 / plain["near_size_lots"][0]
    if model == QuotingModel.MODEL_AVELLANEDA_STOIKOV:
        assert state["skew_ticks"] == pytest.approx(-sizes * 0.001 * 4 * changed["as_horizon_s"][0], rel=1e-6)
    else:
        assert state["skew_ticks"] < 0
    assert state["reservation_ticks"] == pytest.approx(state["fair_ticks"] + state["skew_ticks"])


def test_the_state_in_the_ring_is_what_the_next_life_begins_with(plain):
    plain["intensity_min_trades"] = 10
    first = Rig()
    first.begin(plain, T)
    random = np.random.default_rng(2)
    for i in range(1, 200):
        now = T + i * 100 * MS
        side, behind = (1, -1)[i % 2], int(random.exponential(8))
        for ticks in {0, behind}:
            first.write("tape", trade(now, side, 7, MID + side * (1 + ticks)))
        if i % 10 == 0:
            first.write("tape", mark(10_000, 7, now))
        step(first, now)
    left = first.states.read_newest()
    assert left["intensity_trades"] > 100 and left["vpin_full"] == 5
    assert left["intensity_k_per_tick"] == pytest.approx(1 / 8, rel=0.4)
    second = Rig(epoch=8)
    second.core.restore(np.array([left]))
    second.begin(plain, T + 30 * SECOND_NS)
    state = second.states.read_newest()
    for field in ("intensity_a_per_s", "intensity_k_per_tick", "vpin", "vpin_filled_lots", "vpin_imbalance_lots"):
        assert state[field] == pytest.approx(left[field]), field


def test_the_state_says_whether_a_leader_leads(plain):
    plain["fair_source"], plain["leader_weight"] = FairSource.FAIR_LEADER, 0.5
    rig = Rig()
    rig.attach("leader")
    rig.write("leader", bbo((319_999, 5), (320_001, 5), recv_mono_ns=T))
    rig.begin(plain, T)
    step(rig, T + 200 * MS)
    assert rig.states.read_newest()["leader_led"] == 1
    step(rig, T + 1500 * MS)
    step(rig, T + 1700 * MS)
    assert rig.states.read_newest()["leader_led"] == 0 and rig.counters["leader_stale"][0] == 2


def test_a_flow_of_trades_replays_bit_for_bit(plain):
    plain["model"], plain["intensity_min_trades"] = QuotingModel.MODEL_GLFT, 20
    log = {"bbo": [], "book": [], "tape": []}
    live = Rig()
    live.begin(plain, T)
    for source in ("bbo", "book"):
        log[source].append(live.core_reads(source))
    random = np.random.default_rng(4)
    now = T
    for _ in range(600):
        now += int(random.integers(1, 300)) * MS
        bid = MID + int(random.integers(-20, 20))
        if random.random() < 0.6:
            record = trade(now, int(random.choice([1, -1])), int(random.integers(1, 90)), bid)
            live.write("tape", record)
            log["tape"].append(record)
        live.tick(now, bid=bid, ask=bid + int(random.integers(1, 4)))
        for source in ("bbo", "book"):
            log[source].append(live.core_reads(source))
        live.step(now)
    decisions = live.all_decisions()
    assert live.states.read_newest()["intensity_trades"] > 100
    assert len({int(d["ladder_hash"]) for d in decisions}) > 100

    again = Rig()
    again.write("params", plain)
    again.write("own", own())
    fed = dict.fromkeys(log, 0)
    for decision in decisions:
        for source in log:
            for record in log[source][fed[source] : int(decision[f"{source}_seq"])]:
                again.write(source, record)
            fed[source] = int(decision[f"{source}_seq"])
        again.step(int(decision["now_mono_ns"]))
    assert [d.tobytes() for d in again.all_decisions()] == [d.tobytes() for d in decisions]
