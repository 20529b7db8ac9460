"""The guardian as a real process, beside fake gateways and quoters that are killed, stopped and hung.

The stub venue says what reached it. Upper bounds on time are generous: what counts is that it happens, and in which
order.
"""

import contextlib
import json
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import time

import msgspec
import pytest
from fake_process import ROOT, start
from stub_venue import Reply, StubVenue

from phx.control import ControlError, Request, ask
from phx.latches import Latches
from phx.process import Lock
from phx.segment import Segment
from phx.topology import kind_of

COUNTDOWN = ("POST", "/fapi/v1/countdownCancelAll")
CANCEL_ALL = ("DELETE", "/fapi/v1/allOpenOrders")
MAIN = "import pickle, sys; from phx.guardian.process import main; from phx.process import configure_logging;"
MAIN += "configure_logging('guardian', 'info'); sys.exit(main(pickle.load(open(sys.argv[1], 'rb'))))"


class Scene:
    """One instance: stub venue, guardian, and whatever a test starts beside it."""

    def __init__(self, config, venue, tmp_path):
        self.config = config
        self.venue = venue
        self.tmp_path = tmp_path
        self.processes: list[subprocess.Popen] = []
        self.log = tmp_path / "guardian.log"

    def guardian(self, **environment) -> subprocess.Popen:
        path = self.tmp_path / "guardian.pickle"
        path.write_bytes(pickle.dumps(self.config))
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-c", MAIN, str(path)], cwd=ROOT, stdout=log, env={**os.environ, **environment}
            )
        self.processes.append(started)
        self.until(lambda: self.socket.exists(), "the guardian's socket")
        return started

    def fake(self, name: str, *words: str) -> subprocess.Popen:
        self.processes.append(start(self.config, name, *words, tmp_path=self.tmp_path))
        return self.processes[-1]

    @property
    def socket(self):
        return self.config.socket_path("guardian")

    def ask(self, command: str, symbol: str = "", reason: str = "", confirm: str = ""):
        return ask(self.socket, Request(command, symbol, reason, confirm), timeout_s=30)

    def until(self, condition, what: str, timeout_s: float = 20.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.log.read_text()}"
            time.sleep(0.01)

    def calls(self, what, since: int = 0) -> list:
        return [call for call in self.venue.of(*what) if call.mono_ns >= since]

    def armed(self, since: int = 0) -> set[str]:
        return {c.params["symbol"] for c in self.calls(COUNTDOWN, since) if c.params["countdownTime"] != "0"}

    def segment(self, name: str) -> Segment:
        return Segment.attach(self.config.shm_folder(), name, kind_of(name).record)

    def proof(self):
        from phx._core.ring import RingReader

        segment = self.segment("proof")
        return RingReader(segment.memory, segment.dtype).read_newest()

    def alive(self, name: str) -> bool:
        lock = Lock(self.config.shm_folder() / f"lock.{name}")
        try:
            return lock.held_by_somebody()
        finally:
            lock.release()


@pytest.fixture
def scene(instance_config, tmp_path):
    with StubVenue() as venue:
        config = msgspec.structs.replace(
            instance_config, venue=msgspec.structs.replace(instance_config.venue, rest_url=venue.url)
        )
        made = Scene(config, venue, tmp_path)
        yield made
        for process in made.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)


@pytest.fixture
def guarded(scene):
    """A guardian that has armed the dead man's switch for a living gateway and both quoters."""
    for symbol in scene.config.traded():
        scene.fake(f"quoter.{symbol}")
    scene.gateway = scene.fake("gateway", "--account-ready")
    scene.process = scene.guardian()
    scene.until(lambda: scene.armed() == {"BTCUSDC", "ETHUSDC"}, "both symbols armed")
    scene.begun_ns = time.monotonic_ns()
    return scene


def test_nothing_is_armed_without_a_gateway_but_its_leftovers_are_cancelled(scene):
    scene.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    scene.guardian()
    scene.until(lambda: not scene.venue.orders["BTCUSDC"], "the leftover cancelled")
    scene.until(lambda: len(scene.calls(("GET", "/fapi/v1/openOrders"))) >= 4, "verified again")
    assert scene.calls(COUNTDOWN) == []


def test_a_living_gateway_is_armed_and_refreshed_and_the_proof_says_until_when(guarded):
    for call in guarded.calls(COUNTDOWN):
        assert call.params["countdownTime"] == "6000"  # two symbols: P = 2 s, T = 3 P
    guarded.until(lambda: int(guarded.proof()["refreshes"]) >= 4, "a second round of refreshes")
    by_symbol = [c.mono_ns for c in guarded.calls(COUNTDOWN) if c.params["symbol"] == "BTCUSDC"]
    assert by_symbol[1] - by_symbol[0] >= 1_900_000_000  # not faster than the budget allows
    proof = guarded.proof()
    assert int(proof["period_ns"]) == 2 * 10**9 and int(proof["countdown_ns"]) == 6 * 10**9
    for i, symbol in enumerate(guarded.config.traded()):
        newest = max(c.mono_ns for c in guarded.calls(COUNTDOWN) if c.params["symbol"] == symbol)
        # Counted from before the request was sent: never later than the venue's own timer.
        assert 0 < int(proof["deadline_mono_ns"][i]) <= newest + 6 * 10**9
        assert int(proof["ack_mono_ns"][i]) >= int(proof["deadline_mono_ns"][i]) - 6 * 10**9
    assert int(proof["deadline_mono_ns"][2]) == 0
    counters = guarded.segment("process.guardian").records[0]
    assert int(counters["countdowns"]) >= 4 and int(counters["rest_ns"].sum()) >= 4
    assert int(counters["interventions"]) == 0 and guarded.calls(CANCEL_ALL) == []


def test_a_killed_gateway_s_orders_are_cancelled_and_proven_gone(guarded):
    guarded.venue.orders |= {"BTCUSDC": ["phxs-00-1-1", "phxs-00-1-2"], "ETHUSDC": ["phxs-01-1-3"]}
    killed_ns = time.monotonic_ns()
    guarded.gateway.kill()
    guarded.gateway.wait()
    guarded.until(lambda: not any(guarded.venue.orders.values()), "every order cancelled")
    # What it sent last may be accepted until recvWindow and a second have passed: the guardian keeps looking.
    guarded.venue.orders["ETHUSDC"] = ["phxs-01-1-9"]
    guarded.until(lambda: not guarded.venue.orders["ETHUSDC"], "the late one cancelled")
    guarded.until(lambda: "no open order, proven" in guarded.log.read_text(), "the proof")
    last = max(c.mono_ns for c in guarded.calls(("GET", "/fapi/v1/openOrders")))
    assert last - killed_ns >= 3_000_000_000
    refreshed = [c for c in guarded.calls(COUNTDOWN) if c.mono_ns > killed_ns + 500_000_000]
    assert refreshed == []  # the venue's own switch is left to do its work
    assert int(guarded.segment("process.guardian").records[0]["interventions"]) == 1


def test_a_hung_gateway_is_killed_before_its_orders_are_cancelled(guarded):
    guarded.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    guarded.gateway.send_signal(signal.SIGSTOP)
    assert guarded.gateway.wait(20) == -signal.SIGKILL
    died_ns = time.monotonic_ns()
    guarded.until(lambda: not guarded.venue.orders["BTCUSDC"], "the order cancelled")
    assert guarded.calls(CANCEL_ALL)[0].mono_ns >= died_ns - 200_000_000
    assert "sent SIGKILL to gateway" in guarded.log.read_text()
    assert int(guarded.segment("process.guardian").records[0]["interventions"]) == 1


def test_refreshing_pauses_while_the_heartbeat_is_stale(guarded):
    guarded.gateway.send_signal(signal.SIGUSR1)  # alive, but it no longer beats
    silent_ns = time.monotonic_ns()
    assert guarded.gateway.wait(20) == -signal.SIGKILL
    assert [c for c in guarded.calls(COUNTDOWN, silent_ns + 300_000_000)] == []


def test_a_gateway_that_comes_back_is_armed_at_once(guarded):
    guarded.gateway.kill()
    guarded.gateway.wait()
    guarded.until(lambda: guarded.calls(CANCEL_ALL), "the cancel")
    back_ns = time.monotonic_ns()
    guarded.fake("gateway", "--account-ready")
    guarded.until(lambda: guarded.armed(back_ns) == {"BTCUSDC", "ETHUSDC"}, "armed again")


def test_a_gateway_that_dies_again_is_swept_for_again(guarded):
    guarded.gateway.kill()
    guarded.gateway.wait()
    guarded.until(lambda: guarded.calls(CANCEL_ALL), "the first sweep")
    second = guarded.fake("gateway")  # never ready to trade: the first sweep goes on beside it
    time.sleep(1.0)
    died_ns = time.monotonic_ns()
    second.kill()
    second.wait()
    guarded.until(lambda: "no open order, proven" in guarded.log.read_text(), "the proof")
    assert max(c.mono_ns for c in guarded.calls(CANCEL_ALL)) - died_ns >= 3_000_000_000


def test_a_lost_quoter_s_orders_are_cancelled_when_the_gateway_does_not(guarded):
    guarded.venue.orders |= {"BTCUSDC": ["phxs-00-1-1"], "ETHUSDC": ["phxs-01-1-2"]}
    quoter = guarded.processes[0]
    quoter.kill()
    quoter.wait()
    guarded.until(lambda: not guarded.venue.orders["BTCUSDC"], "the symbol cancelled")
    assert {c.params["symbol"] for c in guarded.calls(CANCEL_ALL)} == {"BTCUSDC"}
    assert guarded.venue.orders["ETHUSDC"] == ["phxs-01-1-2"]


def test_a_lost_quoter_whose_gateway_cancelled_needs_nothing(guarded):
    quoter = guarded.processes[1]
    quoter.send_signal(signal.SIGSTOP)
    guarded.until(lambda: guarded.calls(("GET", "/fapi/v1/openOrders")), "a look at the venue")
    time.sleep(0.2)
    assert guarded.calls(CANCEL_ALL) == []


def test_a_key_the_venue_refuses_again_and_again_latches(scene):
    scene.venue.script[COUNTDOWN] = [Reply({"code": -2015, "msg": "Invalid API-key"}, 401)] * 50
    scene.fake("gateway", "--account-ready")
    scene.guardian()
    latches = Latches(scene.config.run_folder())
    scene.until(latches.all, "the latch")
    assert latches.stops("BTCUSDC").reason == "the venue refuses the API key"


def test_another_s_order_is_no_reason_to_cancel(guarded):
    guarded.venue.orders["BTCUSDC"] = ["web_order", "phxt-00-1-1", "phxs"]
    guarded.processes[0].kill()
    guarded.until(lambda: guarded.calls(("GET", "/fapi/v1/openOrders")), "a look at the venue")
    time.sleep(0.2)
    assert guarded.calls(CANCEL_ALL) == []


def test_a_refresh_the_venue_refuses_keeps_the_old_deadline_and_is_tried_again(guarded):
    before = guarded.proof()["deadline_mono_ns"].copy()
    for _ in range(2):
        guarded.venue.script[COUNTDOWN].append(Reply("<html>", 503))
    guarded.until(lambda: int(guarded.proof()["failures"]) >= 2, "failures counted")
    assert (guarded.proof()["deadline_mono_ns"] >= before).all()
    guarded.until(lambda: int(guarded.proof()["refreshes"]) >= 4, "refreshed after all")


def test_no_secret_is_in_any_place_it_writes_to(scene):
    canary = {"api_key": "canary-api-key-7f1e", "secret": "canary-secret-2b5eb11e18796d12"}
    key_file = scene.tmp_path / "key.json"
    key_file.write_text(json.dumps(canary))
    key_file.chmod(0o600)
    venue = msgspec.structs.replace(scene.config.venue, key_file=str(key_file))
    scene.config = msgspec.structs.replace(scene.config, venue=venue)
    scene.venue.script[COUNTDOWN] = [
        Reply("<html>", 503),
        Reply({"code": -2015, "msg": "no"}, 401),
        Reply(status=0),
    ] * 2
    gateway = scene.fake("gateway", "--account-ready")
    guardian = scene.guardian()
    scene.until(lambda: len(scene.calls(COUNTDOWN)) >= 8, "failures, then refreshes")
    gateway.kill()
    scene.venue.script[CANCEL_ALL] = [Reply(status=0), Reply("<html>", 502)]
    scene.until(lambda: len(scene.calls(CANCEL_ALL)) >= 4, "the sweep")
    scene.ask("kill", reason="look for secrets")
    process = [f"/proc/{guardian.pid}/{name}" for name in ("cmdline", "environ")]
    places = [*scene.config.shm_folder().iterdir(), *scene.config.run_folder().rglob("*"), scene.log, *process]
    signatures = {call.params["signature"] for call in scene.venue.calls if "signature" in call.params}
    assert scene.calls(COUNTDOWN)[0].headers["X-MBX-APIKEY"] == canary["api_key"] and len(signatures) > 8
    searched = 0
    for place in map(str, places):
        if stat.S_ISREG(os.stat(place).st_mode):
            with open(place, "rb") as file:
                content = file.read()
            searched += 1
            for secret in (*canary.values(), *signatures):
                assert secret.encode() not in content, f"{secret} in {place}"
    assert searched > 5


def test_a_restarted_guardian_takes_the_timers_over(guarded):
    generation = guarded.segment("proof").generation
    guarded.process.kill()
    guarded.process.wait()
    guarded.socket.unlink()
    again_ns = time.monotonic_ns()
    guarded.guardian()
    guarded.until(lambda: guarded.armed(again_ns) == {"BTCUSDC", "ETHUSDC"}, "armed again")
    guarded.until(lambda: int(guarded.proof()["deadline_mono_ns"][1]) > again_ns, "the proof")
    assert guarded.segment("proof").generation == generation + 1
    assert guarded.calls(CANCEL_ALL) == []  # the gateway lives: its orders are its own business


def test_stopped_after_the_gateway_it_proves_the_venue_empty_and_disarms(guarded):
    guarded.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    guarded.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    guarded.gateway.send_signal(signal.SIGTERM)
    assert guarded.process.wait(30) == 0
    zeros = [c for c in guarded.calls(COUNTDOWN) if c.params["countdownTime"] == "0"]
    assert {c.params["symbol"] for c in zeros} == {"BTCUSDC", "ETHUSDC"}
    assert min(c.mono_ns for c in zeros) > max(c.mono_ns for c in guarded.calls(CANCEL_ALL))
    last_ns = max(c.mono_ns for c in guarded.venue.calls)
    assert last_ns == max(c.mono_ns for c in zeros) and not guarded.venue.orders["BTCUSDC"]
    assert not guarded.socket.exists()


def test_stopped_alone_it_leaves_the_switch_armed(guarded):
    guarded.gateway.send_signal(signal.SIGUSR2)  # no open order, but alive: it may place one any moment
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.process.wait(30) == 0
    assert all(c.params["countdownTime"] != "0" for c in guarded.calls(COUNTDOWN))
    assert (guarded.proof()["deadline_mono_ns"] == 0).all()  # and the gateway is told to add nothing
    assert guarded.gateway.poll() is None


def test_orders_that_cannot_be_cancelled_leave_the_switch_armed(guarded):
    guarded.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    guarded.venue.keep_orders = True
    guarded.gateway.kill()
    guarded.gateway.wait()
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.process.wait(30) == 0
    assert all(c.params["countdownTime"] != "0" for c in guarded.calls(COUNTDOWN))


def test_without_supervisord_the_gateway_is_stopped_in_order(scene):
    """The guardian's parent here is a shell that dies."""
    gateway = scene.fake("gateway", "--account-ready")
    path = scene.tmp_path / "guardian.pickle"
    path.write_bytes(pickle.dumps(scene.config))
    parent = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]); time.sleep(600)"
    with scene.log.open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", parent, MAIN, str(path)],
            cwd=ROOT,
            stdout=log,
            env={**os.environ, "SUPERVISOR_ENABLED": "1"},
        )
    scene.processes.append(supervisor)
    scene.until(lambda: scene.armed() == {"BTCUSDC", "ETHUSDC"}, "armed")
    scene.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    supervisor.kill()
    supervisor.wait()
    assert gateway.wait(20) == 0  # SIGTERM, not SIGKILL
    scene.until(lambda: not scene.alive("guardian"), "the guardian gone too")
    assert not scene.venue.orders["BTCUSDC"]


def test_cancel_all_works_with_every_other_process_dead(scene):
    scene.guardian()
    scene.venue.orders |= {"BTCUSDC": ["phxs-00-1-1"], "ETHUSDC": ["phxs-01-1-2"]}
    answer = scene.ask("cancel-all", "ETHUSDC")
    assert answer.ok and answer.text == "no order of ours is open on ETHUSDC"
    assert not scene.venue.orders["ETHUSDC"] and Latches(scene.config.run_folder()).all() == []
    assert scene.ask("cancel-all").ok and not any(scene.venue.orders.values())


def test_kill_latches_first_and_enable_clears_with_an_audit_line(guarded):
    guarded.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    assert guarded.ask("kill", reason="test of the red button").ok
    (latch,) = Latches(guarded.config.run_folder()).all()
    assert (latch.process, latch.symbol, latch.reason) == ("operator", "", "test of the red button")
    assert latch.who == f"uid {os.geteuid()}"
    assert latch.ts_ns < time.time_ns() and not guarded.venue.orders["BTCUSDC"]
    assert any("red button" in line for line in guarded.ask("status").status["latches"])
    # Latched, the switch is still refreshed: the gateway lives and may hold orders.
    latched_ns = time.monotonic_ns()
    guarded.until(lambda: guarded.armed(latched_ns) == {"BTCUSDC", "ETHUSDC"}, "refreshed although latched")
    refused = guarded.ask("enable")
    assert not refused.ok and "red button" in refused.status["latches"][0]
    assert not guarded.ask("enable", confirm="another").ok
    assert guarded.ask("enable", confirm=refused.status["confirm"][0]).text == "cleared operator"
    assert Latches(guarded.config.run_folder()).all() == []
    lines = [json.loads(line) for line in (guarded.config.run_folder() / "audit.log").read_text().splitlines()]
    assert [(line["command"], line["ok"]) for line in lines] == [
        ("kill", True),
        *[("enable", False)] * 2,
        ("enable", True),
    ]
    assert lines[2]["latches_after"] == ["operator"]
    assert lines[3]["latches_before"] == ["operator"] and lines[3]["latches_after"] == []
    assert {line["uid"] for line in lines} == {os.geteuid()}


def test_what_was_asked_of_a_hung_guardian_is_not_done_when_it_wakes_up(scene):
    hung = scene.guardian()
    latches = Latches(scene.config.run_folder())
    latches.set("operator", "kill")
    (word,) = scene.ask("enable").status["confirm"]
    hung.send_signal(signal.SIGSTOP)
    with pytest.raises(ControlError, match="nobody answers"):
        ask(scene.socket, Request("enable", confirm=word), timeout_s=0.2)
    hung.send_signal(signal.SIGCONT)
    scene.until(lambda: "not done, who asked has left" in scene.log.read_text(), "the late request refused")
    assert latches.stops("") is not None
    assert scene.ask("enable", confirm=word).ok and latches.stops("") is None


def test_a_cancel_that_cannot_be_proven_says_so(scene):
    scene.guardian()
    scene.venue.keep_orders = True
    scene.venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    answer = scene.ask("cancel-all", "BTCUSDC")
    assert not answer.ok and answer.text.startswith("NOT PROVEN EMPTY: BTCUSDC")


def test_a_request_that_makes_no_sense_changes_nothing(scene):
    scene.guardian()
    for line, why in (
        (b"{}\n", "not a request"),
        (b"kill\n", "not a request"),
        (b'{"command":"kill","force":true}\n', "not a request"),
        (b'{"command":"format"}\n', "no such command"),
        (b'{"command":"kill","symbol":"BTCUSDT"}\n', "is not traded"),
        (b"\xff\n", "not a request"),
        (b"[" * 3000 + b"\n", "not a request"),
    ):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(scene.socket))
            client.sendall(line)
            answer = json.loads(client.makefile().readline())
        assert not answer["ok"] and why in answer["text"]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(scene.socket))
        client.sendall(b'{"command":"kill"' + b" " * 10_000)
        with contextlib.suppress(ConnectionError):
            assert client.recv(100) == b""  # hung up on: beyond the longest line
    assert Latches(scene.config.run_folder()).all() == [] and scene.ask("status").ok


def test_the_socket_is_the_owner_s_alone(scene):
    scene.guardian()
    assert stat.S_IMODE(scene.socket.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused(scene):
    scene.guardian()
    for folder in (scene.socket, *scene.socket.parents):
        if str(folder).startswith(("/tmp/pytest", str(scene.config.shm_folder()))):
            folder.chmod(0o777)  # as if the folder's mode had failed us
    code = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
    code += "print(s.makefile().readline())"  # answered before a word is said
    out = subprocess.run([sys.executable, "-c", code, scene.socket], capture_output=True, text=True, timeout=30)
    assert "uid 65534 may not control this instance" in out.stdout, out.stderr
    assert Latches(scene.config.run_folder()).all() == []


def test_a_second_guardian_is_refused(scene):
    scene.guardian()
    path = scene.tmp_path / "guardian.pickle"
    assert subprocess.run([sys.executable, "-c", MAIN, str(path)], cwd=ROOT, timeout=60).returncode == 75
    assert scene.socket.exists()


def test_a_venue_that_may_not_be_used_keeps_it_down(scene):
    scene.config = msgspec.structs.replace(
        scene.config, venue=msgspec.structs.replace(scene.config.venue, environment="production", rest_url="")
    )
    path = scene.tmp_path / "guardian.pickle"
    path.write_bytes(pickle.dumps(scene.config))
    assert subprocess.run([sys.executable, "-c", MAIN, str(path)], cwd=ROOT, timeout=60).returncode == 78
