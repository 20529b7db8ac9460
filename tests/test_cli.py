"""The command line: verbs, exit statuses, one clear line for what cannot be done."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hard_recordings import InventedMarket
from written_instance import Written

from phx import __main__ as cli
from phx import started_config
from phx.latches import Latches
from phx.ops import commands, supervisor
from phx.process import EXIT_AGAIN, EXIT_OK

ROOT = Path(__file__).resolve().parents[1]


def phx(*arguments, cwd=ROOT, environ=None) -> subprocess.CompletedProcess:
    """Run the command line as a user does, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PHX")} | (environ or {})
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "phx", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def file(instance_config, tmp_path):
    """A configuration file of the instance."""
    settings = instance_config.global_
    path = tmp_path / "c.yaml"
    path.write_text(
        f"global: {{instance: {settings.instance}, run_dir: {settings.run_dir}}}\n"
        "symbols:\n"
        "  BTCUSDC: {net_max: 0.3, ladder: {near: {size: 0.006}, far: {size: 0.012}}}\n"
        "  ETHUSDC: {net_max: 6, ladder: {near: {size: 0.12}, far: {size: 0.24}}}\n"
        "limits: {max_gross_notional: 60000, max_daily_loss: 500}\n"
        f"sim: {{port: {instance_config.sim.port}}}\n"
    )
    return path


def test_help_names_every_verb():
    text = cli.parser().format_help()
    for verb in (
        "run",
        "up",
        "down",
        "reload",
        "status",
        "top",
        "book",
        "pause",
        "kill",
        "config",
        *commands.PROCESSES,
    ):
        assert verb in text


@pytest.mark.parametrize("arguments", [[], ["dance"], ["book"], ["quoter"], ["run", "--seconds", "x"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: phx" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0", "-0.1", "1.5", "nan", "much"])
def test_a_share_of_net_max_is_above_0_and_at_most_1(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "a.jsonl", "--net-max", wrong])
    assert ended.value.code == 2
    assert f"--net-max: {wrong!r}: expected a share above 0, at most 1" in capsys.readouterr().err


def test_every_verb_of_the_parser_is_known_to_the_commands():
    known = {*commands.VERBS, *commands.PROCESSES}
    (verbs,) = [action.choices for action in cli.parser()._actions if action.choices and "run" in action.choices]
    assert set(verbs) == known


def test_a_refused_configuration_ends_with_78_and_names_every_fault(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("symbols: {BTCUSDC: {net_max: x}}\nnonsense: 1\n")
    done = phx("--config", path, "config", "check")
    assert done.returncode == 78 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.startswith("phx: configuration: ") for line in lines)
    assert any("net_max" in line for line in lines) and any("nonsense" in line for line in lines)


def test_a_process_with_a_refused_configuration_stays_down(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("")
    assert phx("--config", path, "gateway").returncode == 78


def test_without_config_it_is_the_shipped_example(tmp_path):
    done = phx("config", "check", cwd=tmp_path)
    assert done.returncode == 0
    assert "config.yaml.example: fine: BTCUSDC, ETHUSDC on sim" in done.stdout


def test_a_config_yaml_here_comes_first(file, tmp_path):
    (tmp_path / "config.yaml").write_text(file.read_text().replace("0.3", "0.25"))
    done = phx("config", "show", cwd=tmp_path)
    assert "net_max: '0.25'" in done.stdout


def test_overrides_show_in_the_resolved_configuration(file):
    done = phx("--config", file, "config", "show", environ={"PHX__SIM__SEED": "77"})
    assert "seed: 77" in done.stdout


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["quoter", "XRPUSDC"], "quoter XRPUSDC: not in the configuration; there are BTCUSDC, ETHUSDC"),
        (["feed", "other"], "feed other: not in the configuration; there are main"),
        (["book", "XRPUSDC"], "XRPUSDC is not fed"),
        (["pause"], "nobody answers"),
        (["kill", "BTCUSDC"], "nobody answers"),
        (["reload"], "no supervisord answers"),
    ],
)
def test_what_cannot_be_done_is_one_line(file, arguments, says):
    done = phx("--config", file, *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("phx: ") and says in line


def test_status_and_book_read_shared_memory(file, instance_config):
    written = Written(instance_config)
    written.quoting()
    levels = {"bid_price_ticks": [600100], "bid_qty_lots": [5], "ask_price_ticks": [600101], "ask_qty_lots": [7]}
    written.publish("book.BTCUSDC", bid_levels=1, ask_levels=1, **levels)
    assert "BTCUSDC   normal" in phx("--config", file, "status").stdout
    tree = json.loads(phx("--config", file, "status", "--json").stdout)
    assert tree["symbols"][0]["position"] == pytest.approx(0.03)
    assert "60010.1" in phx("--config", file, "book", "BTCUSDC", "--once").stdout
    assert json.loads(phx("--config", file, "book", "BTCUSDC", "--json").stdout)["asks"] == [["60010.1", "0.007"]]


def test_a_status_says_that_nothing_runs_and_bears_a_reader_who_leaves(file):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    command = f"{sys.executable} -m phx --config {file} status | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert "is not running; `phx up` starts it" in line


def test_a_book_that_is_not_there_yet_is_said(file):
    assert phx("--config", file, "book", "BTCUSDC", "--once").stdout == "BTCUSDC: no book yet\n"
    assert phx("--config", file, "book", "BTCUSDC", "--json").returncode == 1


def test_quick_verbs_do_not_import_what_they_do_not_use(file):
    code = (
        "import sys; from phx.__main__ import main; main(['--config', sys.argv[1], 'config', 'check']);"
        "print([m for m in ('aiohttp', 'picows', 'prometheus_client', 'supervisor') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, file], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_recording_is_passed_on_to_every_process(file, tmp_path, monkeypatch):
    first, second = tmp_path / "a b.jsonl.gz", tmp_path / "c.jsonl.gz"
    for path, symbol in ((first, "BTCUSDT"), (second, "ETHUSDC")):
        InventedMarket(symbol=symbol).run(200).write(path)
    seen = []
    monkeypatch.setitem(commands.VERBS, "run", lambda asked, config, path: seen.append(config.sim) or 0)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert cli.main(["--config", str(file), "run", "--recording", str(first), str(second)]) == 0
    assert (seen[0].market, seen[0].recordings) == ("recorded", [str(first), str(second)])
    # The processes are children: they see the same.
    assert os.environ["PHX__SIM__MARKET"] == "recorded"


def test_a_recording_that_is_not_there_is_named(file):
    done = phx("--config", file, "run", "--recording", "/none.gz")
    assert done.returncode == 78 and "/none.gz: no such file" in done.stderr


def test_a_latch_can_be_cleared_while_nothing_runs(file, instance_config):
    latches = Latches(instance_config.run_folder())
    latches.set("gateway", "5 unplanned exits within 60 s")
    shown = phx("--config", file, "enable")
    assert shown.returncode == 1 and "gateway: 5 unplanned exits within 60 s (set by gateway)" in shown.stdout
    assert len(latches.all()) == 1
    done = phx("--config", file, "enable", "--confirm", shown.stderr.split()[-1])
    assert (done.returncode, done.stdout) == (0, "cleared gateway\n")
    assert latches.all() == []
    assert b'"command":"enable"' in (instance_config.run_folder() / "audit.log").read_bytes()


@pytest.mark.parametrize(
    "how, cleared", [("right", True), ("wrong", False), (EOFError, False), (KeyboardInterrupt, False)]
)
def test_a_human_types_the_word_or_nothing_is_cleared(file, instance_config, monkeypatch, capsys, how, cleared):
    latches = Latches(instance_config.run_folder())
    latches.set("gateway", "daily loss")

    def types(prompt):
        assert "gateway: daily loss" in capsys.readouterr().out  # shown before it is asked for
        if not isinstance(how, str):
            raise how
        return prompt.split()[1] if how == "right" else "yes"

    monkeypatch.setattr("builtins.input", types)
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    assert cli.main(["--config", str(file), "enable"]) == (0 if cleared else 1)
    assert (latches.all() == []) == cleared


def test_kill_latches_even_when_nobody_answers(file, instance_config):
    done = phx("--config", file, "kill", "ETHUSDC")
    assert done.returncode == 1 and "NOT VERIFIED at the venue" in done.stderr
    assert "no gateway is alive" in done.stderr
    (latch,) = Latches(instance_config.run_folder()).all()
    assert (latch.process, latch.symbol) == ("operator", "ETHUSDC")
    assert b'"command":"kill"' in (instance_config.run_folder() / "audit.log").read_bytes()


@contextlib.contextmanager
def hung(config, name: str):
    """Have a process that took up its socket and hangs: what is asked is taken, nothing answered."""
    path = config.socket_path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        yield
    path.unlink()


def test_a_hung_guardian_delays_no_latch(file, instance_config):
    latches = Latches(instance_config.run_folder())
    with hung(instance_config, "guardian"):
        arguments = [sys.executable, "-m", "phx", "--config", str(file), "kill"]
        asking = subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10  # it is patient with the guardian for longer
            while not latches.all() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert latches.all() and asking.poll() is None
        finally:
            asking.kill()
            asking.wait()


def test_a_refused_reload_leaves_every_process_alone(file, monkeypatch):
    done = []
    running = SimpleNamespace(states=dict, update=lambda: done.append("update") or {})
    monkeypatch.setattr(supervisor, "Supervisor", lambda config: running)
    monkeypatch.setattr(supervisor, "write_programs", lambda *_: done.append("programs"))
    monkeypatch.setattr(started_config, "keep", lambda *_: done.append("kept"))
    for status, wanted in ((EXIT_AGAIN, []), (EXIT_OK, ["programs", "kept", "update"])):
        monkeypatch.setattr(commands, "ask", lambda *_, answer=status, **__: answer)
        assert cli.main(["--config", str(file), "reload"]) == status and done == wanted


def test_a_hung_ops_delays_no_cancel_and_the_status_tells(file, instance_config):
    with hung(instance_config, "control"):
        begin = time.monotonic()
        done = phx("--config", file, "cancel-all")
        took_s = time.monotonic() - begin
    assert done.returncode == 1 and took_s < 10  # ops alone would be waited for longer
    assert "not paused" in done.stderr and "NOT VERIFIED at the venue" in done.stderr


@pytest.mark.parametrize("spoilt", ["symbols: [", "global: {log_level: loud}\n", None])
def test_a_file_that_was_spoilt_since_takes_no_way_out(file, instance_config, spoilt):
    instance_config.shm_folder().mkdir(parents=True, mode=0o700)
    started_config.keep(instance_config, file)
    file.unlink() if spoilt is None else file.write_text(spoilt)
    done = phx("--config", file, "kill", "BTCUSDC")
    (latch,) = Latches(instance_config.run_folder()).all()
    assert latch.reason == "kill" and latch.symbol == "BTCUSDC" and done.returncode == 1
    by = f"phx: kill by the configuration that {instance_config.global_.instance} was started with"
    assert "phx: configuration: " in done.stderr and by in done.stderr
    assert "latched: operator.BTCUSDC" in phx("--config", file, "status").stdout
    assert phx("--config", file, "enable").returncode == 78  # what starts something waits for a good file
    assert phx("--config", file, "down").returncode == 0 and not instance_config.shm_folder().exists()


def test_another_file_s_instance_or_one_that_others_could_have_written_is_none(file, instance_config, tmp_path):
    folder = instance_config.shm_folder()
    folder.mkdir(parents=True, mode=0o700)
    started_config.keep(instance_config, file)
    assert started_config.find(file, {}).global_.instance == instance_config.global_.instance
    assert started_config.find(tmp_path / "other.yaml", {}) is None
    assert started_config.find(file, {"PHX__GLOBAL__INSTANCE": "other"}) is None
    (folder / started_config.NAME).chmod(0o666)
    assert started_config.find(file, {}) is None


def test_whom_ops_does_not_answer_is_told_of_other_ways_to_stop(file):
    said = phx("--config", file, "pause").stderr
    assert "pause: ops does not do it" in said and "`phx kill`" in said


@pytest.mark.parametrize("word", ["all", "ALL", ""])
def test_all_means_all_for_every_way_to_stop(word):
    for verb in (*cli.OPERATOR_VERBS, *cli.GUARDIAN_VERBS):
        assert cli.parser().parse_args([verb, *filter(None, [word])]).symbol == ""
    assert cli.parser().parse_args(["kill", "btcusdc"]).symbol == "BTCUSDC"
