"""C11, kill functionality: every open order is cancelled on one word, whatever else of phx is dead or alive."""

import json
import signal

import msgspec
import pytest
from guarded_venue import GuardedVenue
from system.running import wait_until

from phx import topology
from phx.control import Request, ask
from phx.latches import Latches

pytestmark = pytest.mark.system


@pytest.fixture
def venue(instance_config, tmp_path):
    # A shorter recvWindow shortens the first sweep, nothing else.
    config = msgspec.structs.replace(
        instance_config, venue=msgspec.structs.replace(instance_config.venue, recv_window_ms=1000)
    )
    with GuardedVenue(config, tmp_path) as running:
        running.wait_swept()
        yield running


def press(venue, command: str, symbol: str = ""):
    return ask(venue.config.socket_path("guardian"), Request(command, symbol, "control C11"), timeout_s=30)


def test_the_shipped_configuration_has_the_kill_switch(instance_config):
    assert "guardian" in topology.processes(instance_config)


def test_one_word_cancels_everything_with_every_other_process_dead(venue):
    for number in range(5):
        venue.place("BTCUSDC", number)
    venue.place("ETHUSDC", 9)
    assert venue.open_count() == 6
    assert press(venue, "kill").ok
    assert venue.open_count() == 0
    (latch,) = Latches(venue.config.run_folder()).all()
    assert latch.reason == "control C11" and latch.symbol == ""


def test_the_scope_can_be_one_symbol(venue):
    venue.place("BTCUSDC", 1)
    venue.place("ETHUSDC", 2)
    assert press(venue, "kill", "ETHUSDC").ok
    assert venue.open_ids("BTCUSDC") and not venue.open_ids("ETHUSDC")
    latches = Latches(venue.config.run_folder())
    assert latches.stops("ETHUSDC") is not None and latches.stops("BTCUSDC") is None


def test_it_works_beside_a_hung_gateway(venue):
    gateway = venue.fake("gateway")
    wait_until(venue.armed, 20, "the dead man's switch")
    venue.place("BTCUSDC", 1)
    venue.place("ETHUSDC", 2)
    gateway.send_signal(signal.SIGSTOP)
    assert press(venue, "cancel-all").ok and venue.open_count() == 0


def test_the_command_line_waits_for_no_hung_guardian(venue):
    venue.started["guardian"].send_signal(signal.SIGSTOP)
    done = venue.phx("kill", check=False)
    assert done.returncode == 1 and "NOT VERIFIED" in done.stderr and "it hangs" in done.stderr
    assert Latches(venue.config.run_folder()).all()


def test_the_command_line_presses_it_and_only_enable_releases_it(venue):
    venue.place("BTCUSDC", 1)
    assert "no order of ours is open" in venue.phx("kill").stdout
    assert venue.open_count() == 0 and Latches(venue.config.run_folder()).all()
    shown = venue.phx("enable", check=False)
    assert shown.returncode == 1 and "latched: operator: kill" in shown.stdout
    assert Latches(venue.config.run_folder()).all()
    assert "not confirmed" in venue.phx("enable", "--confirm", "000000", check=False).stderr
    assert Latches(venue.config.run_folder()).all()
    # No supervisord here to start what a latch kept down, so only the clearing can succeed.
    assert "cleared operator" in venue.phx("enable", "--confirm", shown.stderr.split()[-1], check=False).stdout
    assert Latches(venue.config.run_folder()).all() == []
    lines = [json.loads(line) for line in (venue.config.run_folder() / "audit.log").read_text().splitlines()]
    assert [(line["command"], line["ok"]) for line in lines] == [
        ("kill", True),
        ("enable", False),
        ("enable", False),
        ("enable", True),
    ]


def test_a_latch_survives_the_guardian_s_death(venue):
    assert press(venue, "kill").ok
    venue.started["guardian"].kill()
    venue.started["guardian"].wait()
    venue.config.socket_path("guardian").unlink()
    venue.launch("guardian")
    wait_until(venue.config.socket_path("guardian").exists, 30, "the guardian")
    assert any("operator" in line for line in press(venue, "status").status["latches"])
