"""A short campaign of unknown outcomes against a faulty venue; `make campaign-unknown` is the long one."""

import logging

import pytest
from gateway_rig import SECOND_NS
from unknown_campaign import Campaign, percentile


@pytest.mark.parametrize("seed", [1, 2])
def test_no_outcome_stays_unknown_no_order_is_doubled_and_everything_adds_up(seed, caplog):
    caplog.set_level(logging.CRITICAL, "phx.gateway")
    venue = Campaign(seed).run(400)
    assert venue.problems == []
    assert venue.outcomes >= 400 and venue.duplicates == 0
    assert venue.core.zombies > 0  # orders that came after all were among them,
    assert venue.amends > 10  # and amends
    exists, absent = venue.latencies[True], venue.latencies[False]
    assert len(exists) + len(absent) == venue.outcomes
    assert percentile(exists, 0.99) <= 3 * SECOND_NS and max(exists + absent) <= 5 * SECOND_NS
    assert percentile(absent, 0.01) > 0


def test_the_same_seed_gives_the_same_campaign(caplog):
    caplog.set_level(logging.CRITICAL, "phx.gateway")
    first, second = (Campaign(5, symbols=2).run(30) for _ in range(2))
    assert first.places == second.places and first.latencies == second.latencies
