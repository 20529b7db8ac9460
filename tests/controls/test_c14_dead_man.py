"""C14, the exchange's dead man's switch: armed before the first order, it fires when everything of ours stands still.

Measured at the simulated venue, by its own clock and ledger.
"""

import signal
import time

import msgspec
import pytest
from guarded_venue import GuardedVenue
from system.running import wait_until

pytestmark = pytest.mark.system

COUNTDOWN_S = 3.0  # one symbol: P = 1 s, T = 3 P


@pytest.fixture
def venue(instance_config, tmp_path):
    symbols = {"BTCUSDC": instance_config.symbols["BTCUSDC"]}
    with GuardedVenue(msgspec.structs.replace(instance_config, symbols=symbols), tmp_path) as running:
        running.fake("quoter.BTCUSDC")
        running.gateway = running.fake("gateway")
        wait_until(running.armed, 20, "the dead man's switch armed, before any order")
        yield running


def test_the_proof_is_there_before_the_first_order(venue):
    assert venue.open_count() == 0
    left_ns = venue.proven_until_ns("BTCUSDC") - time.monotonic_ns()
    assert 0 < left_ns <= COUNTDOWN_S * 1e9


def test_refreshed_it_never_fires(venue):
    venue.place("BTCUSDC", 1)
    begin = time.monotonic()
    while time.monotonic() - begin < COUNTDOWN_S + 1.0:
        assert venue.open_count() == 1
        assert venue.proven_until_ns("BTCUSDC") - time.monotonic_ns() > 1e9  # P ahead: the gateway may add
        time.sleep(0.1)
    assert int(venue.counters("process.guardian")["interventions"]) == 0


def test_when_everything_freezes_the_venue_cancels_in_time(venue):
    venue.place("BTCUSDC", 1)
    everything = (venue.gateway, venue.started["quoter.BTCUSDC"], venue.started["guardian"])
    for process in everything:
        process.send_signal(signal.SIGSTOP)
    frozen = time.monotonic()
    proven_s = venue.proven_until_ns("BTCUSDC") / 1e9
    assert proven_s <= frozen + COUNTDOWN_S
    wait_until(lambda: venue.open_count() == 0, COUNTDOWN_S + 2.0, "the venue's own cancel", every_s=0.005)
    # Not before the proof ends: until then the gateway was told that its orders are protected.
    assert time.monotonic() >= proven_s - 0.05
    # Awake again, the guardian finds the gateway alive, arms anew and kills nobody.
    for process in everything:
        process.send_signal(signal.SIGCONT)
    wait_until(venue.armed, 20, "armed again")
    assert venue.gateway.poll() is None


def test_when_guardian_and_gateway_die_together_the_venue_cancels(venue):
    venue.place("BTCUSDC", 1)
    for process in (venue.started["guardian"], venue.gateway):
        process.kill()
        process.wait()
    wait_until(lambda: venue.open_count() == 0, COUNTDOWN_S + 2.0, "the venue's own cancel")


def test_a_dead_gateway_is_cancelled_for_long_before_the_countdown(venue):
    venue.place("BTCUSDC", 1)
    venue.gateway.kill()
    venue.gateway.wait()
    took_s = wait_until(lambda: venue.open_count() == 0, COUNTDOWN_S, "the guardian's cancel", every_s=0.005)
    assert took_s < COUNTDOWN_S
    assert int(venue.counters("process.guardian")["cancel_alls"]) >= 1


def test_stopped_in_order_it_is_disarmed_only_when_nothing_is_open(venue):
    venue.place("BTCUSDC", 1)
    venue.gateway.send_signal(signal.SIGTERM)
    venue.gateway.wait(10)
    venue.started["guardian"].send_signal(signal.SIGTERM)
    assert venue.started["guardian"].wait(20) == 0
    assert venue.open_count() == 0
    # Disarmed: an order placed now stays beyond the countdown.
    venue.place("BTCUSDC", 2)
    time.sleep(COUNTDOWN_S + 0.5)
    assert venue.open_count() == 1
