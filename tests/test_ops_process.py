"""ops as a process: parameters, reload, the operator's wishes; in this process, turned by hand."""

import contextlib
import os
import socket
import threading
import time

import msgspec
import pytest
from written_instance import TABLE

from phx import config as configuration
from phx._core.enums import OperatorState
from phx.control import ControlError, Request, ask
from phx.instruments import write_table
from phx.latches import Latches
from phx.ops.instance import Instance
from phx.ops.process import Ops
from phx.process import Process

TEXT = """
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {near: {size: 0.006}, far: {size: 0.012}}
  ETHUSDC:
    net_max: 6
    ladder: {near: {size: 0.12}, far: {size: 0.24}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""


@pytest.fixture
def file(instance_config, tmp_path):
    """The configuration file that ops watches: the instance's own settings around TEXT."""
    path = tmp_path / "ops.yaml"
    settings = instance_config.global_

    def write(text: str):
        path.write_text(
            f"global: {{instance: {settings.instance}, run_dir: {settings.run_dir}}}\n"
            f"ops: {{metrics_port: 0}}\nsim: {{port: {instance_config.sim.port}}}\n{text}"
        )
        return path

    write(TEXT)
    return write


class Running:
    """An Ops with its process, turned by hand; `said` asks its control socket from a thread."""

    def __init__(self, ops: Ops):
        self.ops = ops
        self.instance = Instance(ops.config)

    def params(self, symbol: str = "BTCUSDC"):
        return self.instance.newest(f"params.{symbol}")

    def wanted(self) -> list[int]:
        return self.instance.newest("operator")["wanted"][:2].tolist()

    def said(self, command: str, symbol: str = "", reason: str = ""):
        answers = []
        path = self.ops.config.socket_path("control")
        asking = threading.Thread(target=lambda: answers.append(ask(path, Request(command, symbol, reason), 5)))
        asking.start()
        while asking.is_alive():
            self.ops.control.poll(0.01)
        return answers[0]


@pytest.fixture
def begin(file):
    """Begin lives of ops, one after the other; the last one ends with the test."""
    with contextlib.ExitStack() as stack:

        def begun(text: str = TEXT, instruments: bool = True) -> Running:
            stack.close()
            path = file(text)
            config = configuration.load(path, {})
            process = stack.enter_context(Process("ops", config))
            if instruments:
                write_table(config.shm_folder() / "instruments.main.json", TABLE)
            ops = Ops(process, path)
            stack.callback(ops.control.close)
            process.ready()
            ops.turn(0.0)
            return Running(ops)

        yield begun


@pytest.fixture
def running(begin):
    return begin()


def test_parameters_are_published_once_the_instruments_are_known(begin):
    running = begin(instruments=False)
    assert running.params() is None
    running = begin()
    for symbol, lots in (("BTCUSDC", 300), ("ETHUSDC", 6000)):
        record = running.params(symbol)
        assert (record["params_version"], record["net_max_lots"]) == (1, lots)


def test_versions_go_on_over_lives(begin):
    assert begin().params()["params_version"] == 1
    assert begin().params()["params_version"] == 2


def test_a_reload_adopts_hot_keys_for_all_symbols_with_one_version(running, file):
    file(TEXT.replace("net_max: 6", "net_max: 5"))
    answer = running.said("reload")
    assert answer.ok and answer.status["changes"] == ["symbols.ETHUSDC.net_max: 6 -> 5"]
    assert running.params("ETHUSDC")["net_max_lots"] == 5000
    assert running.params("BTCUSDC")["params_version"] == running.params("ETHUSDC")["params_version"] == 2


def test_a_saved_file_is_adopted_without_being_told(running, file):
    file(TEXT.replace("net_max: 6", "net_max: 4"))
    running.ops.poll_config()
    assert running.params("ETHUSDC")["net_max_lots"] == 4000


@pytest.mark.parametrize(
    "bad", ["net_max: x", "net_mx: 6", "net_max: 6\n    net_max: 7", "net_max: [", "net_max: 0.001"]
)
def test_a_bad_configuration_changes_nothing_and_is_counted(running, file, bad):
    file(TEXT.replace("net_max: 6", bad))
    answer = running.said("reload")
    assert not answer.ok and answer.status["errors"]
    assert running.params("ETHUSDC")["params_version"] == 1
    assert running.instance.block("process.ops")["config_refused"] == 1
    file(TEXT.replace("net_max: 6", "net_max: 5"))
    assert running.said("reload").ok


def test_a_key_that_needs_a_restart_is_named_and_not_adopted(running, file):
    file(TEXT + "venue: {recv_window_ms: 3000}\n")
    answer = running.said("reload")
    assert answer.status["changes"] == ["venue.recv_window_ms: 2000 -> 3000 (needs restart)"]
    assert running.params()["params_version"] == 1


def test_a_raised_limit_is_marked_only_when_confirmed(running, file):
    file(TEXT.replace("net_max: 6", "net_max: 7"))
    assert "reload --raise" in running.said("reload").text
    assert running.params("ETHUSDC")["raised_limits_by"] == 0
    answer = running.said("reload", reason="raise")
    assert answer.ok and running.params("ETHUSDC")["raised_limits_by"] > 0
    assert running.ops.unconfirmed == []


def test_the_operators_wish_is_published_for_the_symbols_asked(running):
    run, pause = OperatorState.OPERATOR_RUN, OperatorState.OPERATOR_PAUSE
    assert running.wanted() == [run, run]
    assert running.said("pause", "ETHUSDC").ok
    assert running.wanted() == [run, pause]
    assert running.said("pause").ok
    assert running.wanted() == [pause, pause]
    assert running.said("resume", "BTCUSDC").ok
    assert running.wanted() == [run, pause]


def test_who_asks_for_more_than_a_latch_allows_is_told(running):
    Latches(running.ops.process.run_folder).set("operator", "kill", "ETHUSDC")
    assert "latched" not in running.said("flatten").text  # it works under a latch
    assert "latched until `phx enable`: ETHUSDC: kill" in running.said("resume", "ETHUSDC").text
    assert "latched" not in running.said("resume", "BTCUSDC").text


def test_a_pause_outlives_ops(begin):
    begin().said("pause", "BTCUSDC")
    assert begin().wanted() == [OperatorState.OPERATOR_PAUSE, OperatorState.OPERATOR_RUN]


def test_an_unreadable_wish_means_pause(begin):
    running = begin()
    running.said("pause", "BTCUSDC")
    (running.ops.process.run_folder / "operator.json").write_bytes(b"\0" * 20)
    assert begin().wanted() == [OperatorState.OPERATOR_PAUSE] * 2


def test_unknown_commands_and_symbols_are_refused_in_words(running):
    assert "XRPUSDC is not traded" in running.said("pause", "XRPUSDC").text
    assert "ops knows pause" in running.said("dance").text


def test_every_act_of_a_human_leaves_an_audit_line(running):
    running.said("pause", "ETHUSDC")
    running.said("status")
    (line,) = (running.ops.process.run_folder / "audit.log").read_bytes().splitlines()
    facts = msgspec.json.decode(line)
    assert (facts["command"], facts["symbol"], facts["ok"], facts["uid"]) == ("pause", "ETHUSDC", True, os.geteuid())


def audited(running) -> list[dict]:
    return [msgspec.json.decode(x) for x in (running.ops.process.run_folder / "audit.log").read_bytes().splitlines()]


def test_the_audit_line_says_what_was_and_what_is(running, file):
    running.said("pause", "ETHUSDC")
    assert audited(running)[-1]["changes"] == ["ETHUSDC: RUN -> PAUSE"]
    running.said("pause", "ETHUSDC")
    assert audited(running)[-1]["changes"] == []
    file(TEXT.replace("net_max: 6", "net_max: 5"))
    running.said("reload")
    assert audited(running)[-1]["changes"] == ["symbols.ETHUSDC.net_max: 6 -> 5"]


def test_a_saved_file_is_an_act_of_its_owner(running, file):
    path = file(TEXT.replace("net_max: 6", "net_max: 5"))
    running.ops.poll_config()
    (line,) = audited(running)
    assert (line["command"], line["reason"], line["uid"]) == ("reload", "file saved", path.stat().st_uid)
    assert line["changes"] == ["symbols.ETHUSDC.net_max: 6 -> 5"]
    file(TEXT.replace("net_max: 6", "net_mx: 5"))
    running.ops.poll_config()
    assert audited(running)[-1]["ok"] is False


def test_a_disk_that_refuses_the_audit_line_does_not_refuse_the_pause(running, monkeypatch):
    def full(**facts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.ops.audit, "write", full)
    assert running.said("pause").ok
    assert running.wanted() == [OperatorState.OPERATOR_PAUSE] * 2


def test_a_disk_that_refuses_the_wish_does_not_refuse_the_pause(running, monkeypatch):
    def full(path, body):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("phx.ops.publish.write_durably", full)
    answer = running.said("pause")
    assert not answer.ok and "in force, but a restart of ops forgets it" in answer.text
    assert running.wanted() == [OperatorState.OPERATOR_PAUSE] * 2


def test_the_control_socket_is_for_this_user_only(running):
    path = running.ops.config.socket_path("control")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_nothing_is_done_for_whom_it_kept_waiting_too_long(running, caplog):
    path = running.ops.config.socket_path("control")
    assert running.said("pause").ok
    with pytest.raises(ControlError, match="nobody answers"):
        ask(path, Request("resume"), timeout_s=0.1)  # ops does not run meanwhile
    for _ in range(5):
        running.ops.control.poll(0.01)
    assert running.wanted() == [OperatorState.OPERATOR_PAUSE] * 2
    assert 'not done, who asked has left: \'{"command":"resume"' in caplog.text
    assert [line["command"] for line in audited(running)] == ["pause"]
    assert running.said("resume").ok and running.wanted() == [OperatorState.OPERATOR_RUN] * 2


def test_whoever_only_says_no_more_still_waits_for_the_answer(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.ops.config.socket_path("control")))
        client.sendall(b'{"command":"pause"}\n')
        client.shutdown(socket.SHUT_WR)
        for _ in range(5):
            running.ops.control.poll(0.01)
        assert b'"ok":true' in client.recv(4096)
    assert running.wanted() == [OperatorState.OPERATOR_PAUSE] * 2


def test_who_hangs_is_not_waited_for(running):
    begun_s = time.monotonic()
    with pytest.raises(ControlError, match="it hangs"):
        ask(running.ops.config.socket_path("control"), Request("pause"), timeout_s=60, hangs=lambda: True)
    assert time.monotonic() - begun_s < 30


def test_nobody_listening_is_one_clear_error(tmp_path):
    with pytest.raises(ControlError, match="nobody answers"):
        ask(tmp_path / "none.sock", Request("status"))


def test_a_disk_that_refuses_the_journal_stops_new_risk(running, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.ops.journal, "drain", full)
    running.ops.drain_journal()
    assert running.wanted() == [OperatorState.OPERATOR_PAUSE] * 2
    assert [latch.process for latch in Latches(running.ops.process.run_folder).all()] == ["ops"]


def test_drawdown_goes_on_after_a_restart(begin):
    running = begin()
    running.ops.watched["BTCUSDC"].max_drawdown = 12.5
    running.ops.snapshot()
    assert begin().ops.watched["BTCUSDC"].max_drawdown == 12.5
