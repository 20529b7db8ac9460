"""C19, real-time alerts: every class of incident, put into segments and files as its process would, alerts once.

Time is the test's: ops looks four times a second, so what is seen within a few looks is seen within a second.
"""

import json
import shutil
import time
from types import SimpleNamespace

import pytest
from written_instance import Written

from phx import latches as words
from phx._core.enums import Mode, OrderState, Reason
from phx.differences import Difference, Differences
from phx.latches import Latches
from phx.ops import alerts as table
from phx.ops import instance, sightings
from phx.ops.alert_log import LARGEST_BYTES, MOST_A_MINUTE, AlertLog, newest
from phx.ops.alerts import TABLE, Alerts
from phx.ops.metrics import Metrics, serve
from phx.ops.process import ALERTS_S
from phx.ops.view import View
from phx.overrides import Override, Overrides
from phx.process import Lock
from phx.topology import processes
from phx.venue.binance.silence import shared

LOOKS = 4  # within a second
BOTH_SIDES = {"orders": 2, "side": [1, -1], "state": [OrderState.ORDER_OPEN] * 2}


class Watched:
    """A written instance that quotes, looked at by ops as time goes by."""

    def __init__(self, config, monkeypatch):
        self.written = Written(config)
        self.config = config
        self.run_folder = config.run_folder()
        self.run_folder.mkdir(parents=True, exist_ok=True)
        self.now_s = time.monotonic()
        clock = {"monotonic": lambda: self.now_s, "monotonic_ns": lambda: int(self.now_s * 1e9)}
        clock |= {"time_ns": time.time_ns, "clock_gettime": time.clock_gettime, "CLOCK_BOOTTIME": time.CLOCK_BOOTTIME}
        for module in (table, instance):
            monkeypatch.setattr(module, "time", SimpleNamespace(**clock))
        self.beating = set(processes(config)) - self.absent
        for name in self.beating:
            self.written.segment(f"process.{name}")
        for symbol in config.traded():
            self.quote(symbol)
            self.written.count(f"counters.gateway.{symbol}", fills=3)
            self.written.count(f"counters.feed.{symbol}", resyncs=1)
        self.account()
        self.alerts = Alerts(self.written.instance)
        self.look(2 * LOOKS)

    def quote(self, symbol: str, mode=Mode.MODE_NORMAL, reason=Reason.REASON_NONE, **own):
        self.written.publish(f"own.{symbol}", ready=1, **(BOTH_SIDES | own))
        self.written.publish(f"state.{symbol}", mode=mode, reason=reason)

    def account(self, **fields):
        fields = {"ready": 1, "user_stream_up": 1, "order_session_up": 1, "epoch": 1, **fields}
        self.written.publish("account", **fields)
        self.journal_seq = fields.get("journal_seq", 0)

    def look(self, times: int = 1) -> list[str]:
        """Let ops look so often; return the classes that alerted meanwhile."""
        before = dict(self.alerts.log.counts)
        for _ in range(times):
            self.now_s += ALERTS_S
            now_ns = int(self.now_s * 1e9)
            for name in self.beating:
                self.written.segment(f"process.{name}").beat(now_ns)
            self.written.publish(
                "proof", period_ns=2 * 10**9, deadline_mono_ns=[now_ns + left for left in self.deadman_left_ns]
            )
            self.alerts.look()
        return [n for n, count in self.alerts.log.counts.items() for _ in range(count - before[n])]

    deadman_left_ns = (5 * 10**9, 5 * 10**9)
    absent: frozenset = frozenset()

    def lines(self) -> list[dict]:
        path = self.run_folder / "alerts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def watched(instance_config, monkeypatch):
    return Watched(instance_config, monkeypatch)


def count(name: str, field: str):
    def happen(w):
        block = w.written.segment(name).records
        block[field] += 1

    return happen


def latch(reason: str, process: str = "gateway", symbol: str = "BTCUSDC"):
    return lambda w: Latches(w.run_folder).set(process, reason, symbol)


def fall_silent(w):
    w.beating.discard("quoter.BTCUSDC")
    w.written.segment("process.quoter.BTCUSDC").beat(int(w.now_s * 1e9) - 10**9)


def end_badly(w):
    w.beating.discard("quoter.BTCUSDC")
    w.written.segment("process.quoter.BTCUSDC").beat(0)
    (w.run_folder / "exits.quoter.BTCUSDC.json").write_text("[1]")
    w.now_s += sightings.RESPAWN_S


def begin_anew(w):
    w.written.segment("process.quoter.BTCUSDC", anew=True)


def doubt(w):
    since_ns = int(w.now_s * 1e9) - 6 * 10**9
    unknown = [OrderState.ORDER_UNKNOWN] * 2
    w.quote("BTCUSDC", state=unknown, intent_id=[7, 8], since_mono_ns=[since_ns, since_ns])


def pause(w):
    w.quote("BTCUSDC", Mode.MODE_PAUSED, Reason.REASON_BOOK_STALE, orders=0)
    w.look(2)
    w.now_s += table.NOT_QUOTING_S


def show_one_side(w):
    w.quote("BTCUSDC", orders=1)
    w.look(2)
    w.now_s += table.ONE_SIDED_S


def lose(field: str):
    def happen(w):
        w.account(**{field: 0})
        w.look(2)
        w.now_s += 1.0

    return happen


def leave_unrefreshed(w):
    w.deadman_left_ns = (10**9, 5 * 10**9)


def ban(w):
    shared(w.config).tell(0, time.time_ns() + 60 * 10**9)


def shift_the_clock(w):
    for symbol in w.config.instrument_ids():
        w.written.publish(
            f"book.{symbol}", recv_mono_ns=int(w.now_s * 1e9), ts_recv_ns=10**18, ts_event_ns=10**18 + 300_000_000
        )


def storm(w):
    w.written.segment("counters.feed.BTCUSDC").records["resyncs"] += table.STORM


def stop_the_disk(w):
    w.account(journal_seq=9)
    w.look(2)
    w.now_s += table.JOURNAL_S


def fill_the_disk(w):
    table.shutil = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=10**6))


def differ(w):
    Differences(w.run_folder).tell([Difference("BTCUSDC", "position", "the venue holds 3 lots, the gateway says 2")])


INCIDENTS = {
    "process_silent": fall_silent,
    "process_down": end_badly,
    "process_restarted": begin_anew,
    "process_froze": count("process.quoter.BTCUSDC", "freezes"),
    "guardian_acted": count("process.guardian", "interventions"),
    "daily_loss": latch(words.DAILY_LOSS, symbol=""),
    "throttle": latch("execution throttle: too many fills with new orders after them, or refusals in a row"),
    "protection_latched": latch("market-maker protection: filled too much too fast"),
    "forced_order": latch("forced order adl_autoclose"),
    "key_lost": latch("the venue refuses the API key", "guardian", ""),
    "contract_changed": latch("sizes do not fit the venue's filters of now: 0 lots"),
    "journal_stuck": latch("journal not written: disk full", "ops", ""),
    "drift_latched": latch("the venue differs: position 3 lots", "guardian"),
    "override_refused": latch("override refused: override.json: changed by hand", "ops", ""),
    "latched": latch("kill", "guardian", ""),
    "not_quoting": pause,
    "stopped_out": lambda w: w.quote("BTCUSDC", Mode.MODE_FLATTENING, Reason.REASON_STOP_LOSS, orders=0),
    "protection": count("counters.gateway.BTCUSDC", "protections"),
    "unknown_order": doubt,
    "foreign_order": count("process.gateway", "foreign_orders"),
    "foreign_fill": count("counters.gateway.BTCUSDC", "fills_foreign"),
    "zombie": count("process.gateway", "zombies"),
    "position_drift": count("counters.gateway.BTCUSDC", "position_drift"),
    "drift": differ,
    "rate_limited": count("process.gateway", "rate_limited"),
    "banned": ban,
    "user_stream_down": lose("user_stream_up"),
    "order_session_down": lose("order_session_up"),
    "dead_man": leave_unrefreshed,
    "feed_silent": count("counters.feed.BTCUSDC", "silent_streams"),
    "feed_gap": count("counters.feed.BTCUSDC", "gaps"),
    "feed_crossed": count("counters.feed.BTCUSDC", "crossed"),
    "resync_storm": storm,
    "clock": shift_the_clock,
    "journal_behind": stop_the_disk,
    "disk": fill_the_disk,
    "config_refused": count("process.ops", "config_refused"),
    "override": lambda w: Overrides(w.run_folder).grant(
        Override(time.time_ns(), time.time_ns() + 900 * 10**9, 1000, {}, {})
    ),
    "error": count("process.feed.main", "errors"),
}


@pytest.mark.parametrize("name", [row.name for row in TABLE])
def test_an_incident_alerts_once_within_a_second_and_does_not_flap(watched, name, monkeypatch):
    monkeypatch.setattr(table, "shutil", shutil)
    INCIDENTS[name](watched)
    assert watched.look(LOOKS) == [name]
    assert watched.look(20 * LOOKS) == []
    (line,) = watched.lines()
    row = next(row for row in TABLE if row.name == name)
    assert (line["class"], line["severity"]) == (name, row.severity)
    assert line["text"] and abs(line["ts_ns"] - time.time_ns()) < 60 * 10**9


def test_what_happened_again_after_it_was_over_alerts_again(watched):
    happen = INCIDENTS["feed_gap"]
    happen(watched)
    assert watched.look(LOOKS) == ["feed_gap"]
    happen(watched)
    assert watched.look(LOOKS) == []  # still the same one
    watched.look(round(table.OVER_S / ALERTS_S))
    happen(watched)
    assert watched.look(LOOKS) == ["feed_gap"]


def test_nothing_alerts_while_nothing_happens_and_what_people_ask_for_is_no_incident(watched):
    assert watched.look(20 * LOOKS) == []
    watched.quote("BTCUSDC", Mode.MODE_PAUSED, Reason.REASON_OPERATOR, orders=0)
    watched.quote("ETHUSDC", Mode.MODE_FLATTENING, Reason.REASON_OPERATOR, orders=0)
    assert watched.look(20 * LOOKS) == []
    watched.quote("BTCUSDC", Mode.MODE_PINNING, Reason.REASON_RATIO_ROSE, orders=1)
    assert watched.look(20 * LOOKS) == []


def test_a_process_that_is_told_to_end_is_no_incident(watched):
    for name in ("quoter.BTCUSDC", "quoter.ETHUSDC", "gateway"):
        watched.beating.discard(name)
        watched.written.segment(f"process.{name}").beat(0)
        assert watched.look(2 * LOOKS) == []


def test_a_process_that_never_comes_up_is_down_in_the_end(instance_config, monkeypatch):
    monkeypatch.setattr(Watched, "absent", {"quoter.ETHUSDC"})
    watched = Watched(instance_config, monkeypatch)
    assert watched.look(round(0.9 * sightings.STARTED_S / ALERTS_S)) == []
    assert watched.look(round(0.2 * sightings.STARTED_S / ALERTS_S)) == ["process_down"]


def test_a_process_that_died_but_is_being_started_again_is_not_down(watched):
    lock = Lock(watched.config.shm_folder() / "lock.quoter.BTCUSDC")
    end_badly(watched)
    lock.take()  # its next life, on its way
    assert watched.look(LOOKS) == []
    lock.release()


def test_a_first_look_counts_nothing_that_was_before_but_says_what_still_goes_on(watched):
    count("process.gateway", "foreign_orders")(watched)
    latch("kill")(watched)
    watched.look(LOOKS)
    watched.alerts = Alerts(watched.written.instance)  # ops began anew
    assert watched.look(LOOKS) == ["latched"]


def test_what_a_former_simulated_venue_left_in_the_books_is_no_drift(watched):
    watched.account(ready=0)
    count("counters.gateway.BTCUSDC", "position_drift")(watched)
    assert watched.look(LOOKS) == []
    count("counters.gateway.BTCUSDC", "position_drift")(watched)  # and it is ready before ops looks again
    watched.account()
    assert watched.look(LOOKS) == []
    count("counters.gateway.BTCUSDC", "position_drift")(watched)
    assert watched.look(LOOKS) == ["position_drift"]


def test_text_of_others_cannot_make_lines_or_steer_a_terminal(watched):
    latch("kill\n\x1b[2J\u202eevil" + "x" * 5000)(watched)
    watched.look(LOOKS)
    raw = (watched.run_folder / "alerts.jsonl").read_bytes()
    assert raw.count(b"\n") == 1 and raw.isascii() and b"\x1b" not in raw and len(raw) < 1000
    (shown,) = [line for line in View(watched.written.instance).screen() if line.startswith("alert ")]
    assert shown.isprintable() and "latched BTCUSDC: gateway.BTCUSDC latched: kill" in shown


def test_a_file_that_somebody_wrote_into_steers_no_terminal_either(tmp_path):
    (tmp_path / "alerts.jsonl").write_text(
        r'{"ts_ns": 1, "class": "a", "severity": "page", "symbol": "", "text": "\u001b[2Jgone"}' + "\n"
    )
    (alert,) = newest(tmp_path, 5, 0)
    assert alert["text"].isprintable() and "gone" in alert["text"]


def test_a_storm_of_one_class_is_bounded_in_the_file_and_counted_in_full(tmp_path):
    log = AlertLog(tmp_path, ["a", "b"])
    for _ in range(3 * MOST_A_MINUTE):
        log.write("a", "warn", "", "again")
    log.write("b", "warn", "", "another")
    found = newest(tmp_path, 1000, 0)
    classes = [alert["class"] for alert in found]
    assert 0 < classes.count("a") <= 2 * MOST_A_MINUTE and classes.count("b") == 1  # the minute may turn
    assert log.counts == {"a": 3 * MOST_A_MINUTE, "b": 1}


def test_the_file_is_rotated_and_its_end_can_always_be_read(tmp_path):
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"x" * LARGEST_BYTES + b"\n")
    log = AlertLog(tmp_path, ["a"])
    log.write("a", "warn", "", "full")
    assert not path.exists() and (tmp_path / "alerts.jsonl.1").stat().st_size > LARGEST_BYTES
    log.write("a", "warn", "", "fresh")
    with path.open("ab") as file:
        file.write(b'{"half')
    assert [alert["text"] for alert in newest(tmp_path, 5, 0)] == ["fresh"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_they_are_counted_for_prometheus_by_class(watched):
    latch("kill")(watched)
    watched.look(LOOKS)
    metrics = Metrics(watched.config, {}, watched.alerts.log.counts)
    server = serve(metrics, 0)
    server.shutdown()
    server.server_close()
    found = {
        sample.labels["class"]: (sample.value, sample.labels["severity"])
        for family in metrics.processes()
        for sample in family.samples
        if sample.name == "phx_alerts_total"
    }
    assert found["latched"] == (1, "page") and found["override"] == (0, "warn") and len(found) == len(TABLE)


def test_every_class_of_the_table_has_an_incident_here():
    names = [row.name for row in TABLE]
    assert sorted(names) == sorted(INCIDENTS) and len(set(names)) == len(names)
