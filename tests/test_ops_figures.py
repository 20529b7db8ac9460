"""Figures, screen, book and summary of an instance whose segments are written by hand."""

import json
import math
import time

import msgspec
import pytest
from written_instance import Written

from phx._core.enums import Mode, Reason, RejectReason
from phx.ops import summary as report
from phx.ops.figures import Latency, duration, figures
from phx.ops.view import View, book_lines, book_tree, price, why_not_quoting
from phx.ops.watch import Watched


@pytest.fixture
def written(instance_config):
    return Written(instance_config)


def test_an_instance_without_anything_has_figures_that_say_so(instance_config):
    from phx.ops.instance import Instance

    found = figures(Instance(instance_config), "BTCUSDC")
    assert (found.mode, found.ready, found.fills) == ("NONE", False, 0)
    assert found.mid != found.mid
    assert why_not_quoting(found) == "gateway not ready"


def test_profit_is_counted_in_quote_currency(written):
    written.quoting()
    found = figures(written.instance, "BTCUSDC")
    assert found.mid == pytest.approx(60010.05)
    assert found.position == pytest.approx(0.030)
    assert found.notional == pytest.approx(0.030 * 60010.05)
    assert found.realised == pytest.approx(0.5)  # 5000 ticks x lots of 0.1 x 0.001
    assert found.unrealised == pytest.approx(0.030 * (60010.05 - 60000.0))
    assert found.pnl == pytest.approx(0.5 + 0.3015 - 2 + 1)


def test_profit_is_told_at_three_fees_and_by_the_mark_price(written):
    written.quoting()
    found = figures(written.instance, "BTCUSDC")
    assert found.pnl_no_fees == pytest.approx(0.5 + 0.3015 + 1)
    # 600 quote currency were filled, 240 of them as taker
    assert found.taker_volume == pytest.approx(240)
    assert found.pnl_base_fees == pytest.approx(found.pnl_no_fees - 360 * 0.0002 - 240 * 0.0005)
    assert found.mark == pytest.approx(60009.0)
    assert found.unrealised_mark == pytest.approx(0.030 * 9.0)
    assert found.gap == pytest.approx(20.0)


def test_without_a_mark_price_nothing_is_said_about_it(written):
    written.quoting()
    written.segment("tape.BTCUSDC", anew=True)
    found = figures(written.instance, "BTCUSDC")
    assert math.isnan(found.mark) and math.isnan(found.unrealised_mark)
    assert "by the mark price -" in "\n".join(View(written.instance).screen())


def test_the_screen_tells_mode_reason_and_three_profits(written):
    written.quoting()
    written.publish("state.BTCUSDC", mode=Mode.MODE_PINNING, reason=Reason.REASON_RATIO_ROSE, ratio=0.62)
    assert View(written.instance).screen()[3:5] == [
        "BTCUSDC   pinning    60,010.05   60,000.00    60,020.00    +0.03       -0.20     3      2+1     "
        "1.0       10.1 us/1.01 ms      -",
        "          ratio rose; inventory +62.0% of net_max, gap 20; PnL without fees +1.80, at base fees +1.61, "
        "by the mark price -0.23",
    ]


def test_a_short_position_gains_when_the_price_falls(written):
    written.quoting()
    written.publish("own.BTCUSDC", position_lots=-30, open_cost_ticklots=-30 * 600200)
    found = figures(written.instance, "BTCUSDC")
    assert found.unrealised == pytest.approx(0.030 * (60020.0 - 60010.05))


def test_orders_are_counted_by_side_with_the_nearest_price(written):
    written.quoting()
    found = figures(written.instance, "BTCUSDC")
    assert (found.buy_orders, found.sell_orders, found.unknown_orders) == (2, 1, 1)
    assert (found.own_bid, found.own_ask) == (pytest.approx(60000.0), pytest.approx(60020.0))
    assert (found.pending_buy, found.pending_sell) == (pytest.approx(0.012), pytest.approx(0.005))
    assert found.quotes_both_sides


def test_a_restarted_writer_is_followed(written):
    written.quoting()
    assert figures(written.instance, "BTCUSDC").fills == 3
    written.segment("own.BTCUSDC", anew=True)
    assert figures(written.instance, "BTCUSDC").fills == 0
    written.publish("own.BTCUSDC", fills=9)
    assert figures(written.instance, "BTCUSDC").fills == 9


def test_the_reason_for_not_quoting_is_said(written):
    written.quoting()
    written.publish("own.BTCUSDC", ready=1, orders=1, side=[1])
    assert why_not_quoting(figures(written.instance, "BTCUSDC")) == "no order on sell"
    for reason, said in (
        (RejectReason.REJECT_USER_STREAM, "account's stream"),
        (RejectReason.REJECT_NOT_READY, "the venue does not take orders"),
        (RejectReason.REJECT_LATCHED, "latched"),
    ):
        written.publish("own.BTCUSDC", ready=1, orders=1, side=[1], blocked=reason)
        assert said in why_not_quoting(figures(written.instance, "BTCUSDC"))
    written.publish("state.BTCUSDC", mode=Mode.MODE_PAUSED, reason=Reason.REASON_BOOK_STALE)
    assert why_not_quoting(figures(written.instance, "BTCUSDC")) == "book stale"


def test_whoever_is_silent_is_named_before_what_was_said_last(written):
    written.quoting()
    written.publish("own.BTCUSDC", ready=1, orders=0)
    lives = ("feed.main", "quoter.BTCUSDC", "gateway", "guardian")
    for name in lives:
        written.segment(f"process.{name}").beat(time.monotonic_ns() + 10**12)
    view, found = View(written.instance), figures(written.instance, "BTCUSDC")
    assert view.why_not_quoting(found) == "no order on buy and sell"
    for name in lives:
        written.segment(f"process.{name}").beat(1)
        assert view.why_not_quoting(found).startswith(f"{name} silent")
        written.segment(f"process.{name}").beat(time.monotonic_ns() + 10**12)


@pytest.mark.parametrize(
    "ns, text", [(0, "0 ns"), (950, "950 ns"), (12_300, "12.3 us"), (4.5e6, "4.5 ms"), (2e9, "2 s")]
)
def test_durations_are_written_in_the_unit_that_suits(ns, text):
    assert duration(ns) == text


def test_latencies_are_quantiles_of_what_was_counted(written):
    written.quoting()
    found = figures(written.instance, "BTCUSDC").tick_to_ladder
    assert found.count == 100
    assert found.p50_ns == pytest.approx(10_000, rel=0.04)
    assert found.max_ns == pytest.approx(1_000_000, rel=0.04)
    assert Latency().text() == "-"


def test_the_screen_and_the_line_show_every_symbol(written):
    written.quoting()
    view = View(written.instance)
    screen = "\n".join(view.screen())
    for word in ("BTCUSDC", "ETHUSDC", "normal", "60,010.05", "2+1", "gateway not ready", "sim not ready"):
        assert word in screen
    assert "\n" not in view.line() and "BTCUSDC normal" in view.line()
    assert "PnL -0.20, without fees +1.80, at base fees +1.61" in view.line()


def test_restarts_are_counted_from_generations(written):
    for again in (False, True, True):
        written.segment("process.gateway", anew=again)
    written.segment("process.ops")
    assert written.instance.restarts() == {"gateway": 2}


def test_the_book_is_printed_best_in_the_middle_and_ours_marked(written):
    written.quoting()
    written.publish(
        "book.BTCUSDC",
        bid_levels=2,
        ask_levels=2,
        bid_price_ticks=[600100, 600000],
        bid_qty_lots=[5, 6],
        ask_price_ticks=[600101, 600300],
        ask_qty_lots=[7, 8],
    )
    lines = book_lines(written.instance, "BTCUSDC")[1:]
    assert [line.split()[1] for line in lines] == ["60030.0", "60010.1", "60010.0", "60000.0"]
    assert [line.endswith("<- ours") for line in lines] == [False, False, False, True]
    tree = book_tree(written.instance, "BTCUSDC")
    assert tree["bids"] == [["60010.0", "0.005"], ["60000.0", "0.006"]]
    assert tree["asks"][0] == ["60010.1", "0.007"]


def test_no_book_yet_is_said(written):
    assert book_lines(written.instance, "BTCUSDC") == ["BTCUSDC: no book yet"]
    assert book_tree(written.instance, "BTCUSDC") is None


# ---- the summary ----


@pytest.fixture
def healthy(written):
    """Both symbols quote and nothing is unknown."""
    for symbol in ("BTCUSDC", "ETHUSDC"):
        written.quoting(symbol)
        written.publish(f"own.{symbol}", ready=1, fills=3, **BOTH_SIDES)
    return written


BOTH_SIDES = {"orders": 2, "side": [1, -1]}
NONE = {"orders": 0}


def watched_for(written, looks: int = 20) -> report.Quoting:
    quoting = report.Quoting()
    for _ in range(looks):
        quoting.look(written.instance)
    return quoting


def summarised(written, own_orders=0, exits=None, faults=(), quoting=None):
    quoting = quoting or watched_for(written)
    return report.summarise(written.instance, quoting, own_orders, exits or {}, faults)


def test_a_healthy_run_has_no_fault(healthy):
    assert summarised(healthy).faults == []
    assert report.lines(summarised(healthy))[-1] == "healthy"


def test_each_fault_alone_makes_a_run_unhealthy(healthy):
    assert summarised(healthy, own_orders=1).faults == ["1 own orders left at the venue"]
    assert "nobody could tell" in summarised(healthy, own_orders=None).faults[0]
    assert summarised(healthy, exits={"gateway": 1}).faults == ["gateway was restarted 1 times unplanned"]
    assert summarised(healthy, faults=["supervisord died"]).faults == ["supervisord died"]
    healthy.publish("own.ETHUSDC", **BOTH_SIDES, state=[5])
    assert summarised(healthy).faults == ["ETHUSDC has 1 orders with an unknown outcome"]


def test_the_summary_of_a_symbol_reads_like_this(healthy):
    healthy.quoting()
    quoting = watched_for(healthy)
    quoting.seconds = 60.0
    healthy.publish("state.BTCUSDC", mode=Mode.MODE_GRINDING, reason=Reason.REASON_PATIENCE)
    ns = [0, 90 * 10**9, 6 * 10**9, 4 * 10**9]
    block = healthy.segment("counters.quoter.BTCUSDC").records[0]
    block["mode_ns"][: len(ns)], block["mode_entries"][: len(ns)], block["mark_outs_dropped"] = ns, [0, 1, 2, 1], 1
    healthy.judge("BTCUSDC", Mode.MODE_NORMAL, 0, 0, fills=2, half_ticklots=300, ticklots=6_000_000)
    lines = report.lines(summarised(healthy, quoting=quoting))
    assert lines[0] == "60 s quoting on sim"
    assert lines[1 : lines.index("ETHUSDC")] == [
        "BTCUSDC",
        "  both sides live 100.0% of the time, wanted -, mode grinding (patience)",
        "  time normal 90.0%, pinning 6.0%, grinding 4.0%; entered normal 1, pinning 2, grinding 1",
        "  ladders 7, orders 4, amends 0, cancels 1 (0.0/min while quoting)",
        "  fills 3, nearest layer filled 40.0%, volume 600.00",
        "  position +0.03, PnL -0.1985 (realised +0.5000, unrealised +0.3015, fees 2.0000, funding +1.0000)",
        "  PnL without fees +1.8015, at the public lowest tier's +1.6095",
        "  mark-outs        fills                 after 1 s                after 10 s                after 60 s",
        "  all                  2         +0.25 bps +0.0150                         -                         -",
        "  normal 0             2         +0.25 bps +0.0150                         -                         -",
        "  1 mark-outs without a trusted mid in time",
        "  tick-to-ladder p50/p99 10.1 us/1.01 ms, tick-to-wire -, acknowledged -",
        "  gaps 1, resyncs 2, refused by phx 0, by the venue 0, unknown outcomes 0",
    ]


@pytest.mark.parametrize("missing, fault", [(6, True), (5, False)])
def test_both_sides_must_be_live_nearly_always(healthy, missing, fault):
    quoting = watched_for(healthy, 100 - missing)
    healthy.publish("own.BTCUSDC", ready=1, **NONE)
    for _ in range(missing):
        quoting.look(healthy.instance)
    assert bool(summarised(healthy, quoting=quoting).faults) == fault


@pytest.mark.parametrize(
    "mode, reason, fault",
    [
        (Mode.MODE_GRINDING, Reason.REASON_NONE, False),
        (Mode.MODE_PAUSED, Reason.REASON_OPERATOR, False),
        (Mode.MODE_PAUSED, Reason.REASON_BOOK_STALE, True),
        (Mode.MODE_NORMAL, Reason.REASON_NONE, True),
    ],
)
def test_showing_less_is_a_fault_unless_the_mode_or_a_human_wants_it(healthy, mode, reason, fault):
    healthy.publish("own.BTCUSDC", ready=1, **NONE)
    healthy.publish("state.BTCUSDC", mode=mode, reason=reason)
    assert bool(summarised(healthy).faults) == fault


def test_a_symbol_that_never_quoted_is_a_fault(healthy):
    assert summarised(healthy, quoting=report.Quoting()).faults == ["BTCUSDC never quoted", "ETHUSDC never quoted"]


def test_errors_from_before_it_quoted_are_shown_apart(healthy):
    healthy.count("process.gateway", rest_errors=2)
    quoting = watched_for(healthy)
    healthy.count("process.gateway", rest_errors=5)
    summary = summarised(healthy, quoting=quoting)
    assert (summary.starting_errors["gateway"], summary.errors["gateway"]) == (2, 3)
    assert "errors gateway 3 (while starting gateway 2)" in report.lines(summary)
    healthy.count("process.gateway", rest_errors=1)  # a new life
    assert summarised(healthy, quoting=quoting).errors["gateway"] == 1


def test_cancels_of_a_run_count_over_a_restart_of_the_gateway(healthy):
    quoting = report.Quoting()
    for count in (100, 110, 4, 10):
        healthy.count("counters.gateway.BTCUSDC", cancels=count)
        quoting.look(healthy.instance)
    quoting.seconds = 60.0
    assert quoting.cancels_per_minute("BTCUSDC") == 20


def test_the_summary_is_json_without_nan(healthy):
    tree = json.loads(report.to_json(summarised(healthy)), parse_constant=lambda word: pytest.fail(word))
    assert tree["symbols"][0]["symbol"] == "BTCUSDC" and tree["faults"] == []
    healthy.judge("BTCUSDC", Mode.MODE_NORMAL, 0, 0, fills=2, half_ticklots=300, ticklots=6_000_000)
    (judged,) = json.loads(report.to_json(summarised(healthy)))["symbols"][0]["mark_outs"]
    assert (judged["mode"], judged["horizon_s"], judged["bps"]) == ("normal", 1, pytest.approx(0.25))
    msgspec.json.decode(report.to_json(summarised(healthy)), type=dict)


# ---- over time ----


def test_drawdown_is_the_largest_fall_from_the_peak(written):
    written.quoting()
    found = figures(written.instance, "BTCUSDC")
    watched = Watched()
    for second, pnl in enumerate([0.0, 5.0, 1.0, 3.0, -2.0, 9.0]):
        found.pnl = pnl
        watched.look(float(second), found)
    assert (watched.peak_pnl, watched.max_drawdown) == (9.0, 7.0)


def test_the_cancel_rate_is_that_of_the_last_minute(written):
    found = figures(written.instance, "BTCUSDC")
    watched = Watched()
    for second in range(200):
        found.cancels = min(second, 120) * 2
        watched.look(float(second), found)
    assert watched.cancels_per_minute() == 0
    found.cancels += 30
    watched.look(200.0, found)
    assert watched.cancels_per_minute() == pytest.approx(30)
    found.cancels = 0  # the gateway began anew
    watched.look(201.0, found)
    assert watched.cancels_per_minute() == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "-"), (0, "0.00"), (64000.25, "64,000.25"), (352.61, "352.610"), (0.012341, "0.0123410")],
)
def test_a_price_is_shown_with_the_digits_that_tell(value, text):
    assert price(value) == text
