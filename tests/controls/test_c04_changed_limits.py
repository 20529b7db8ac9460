"""C04 when the venue changes its limits in the middle of a storm: adopted, without a ban.

Announced or told by replies, nothing is refused. By REST a limit that nobody announces is first heard of in a refusal.
"""

import os

import pytest
from conftest import free_ports
from storming import Storm, storm_config

from phx.gateway import budgets
from phx.gateway.session import QUOTES_AT_ONCE

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("orders_by", "share", "refused"), [("ws_api", 0.5, 0), ("rest", 0.2, QUOTES_AT_ONCE)])
async def test_limits_lowered_without_a_word_end_in_no_ban(tmp_path, monkeypatch, orders_by, share, refused):
    monkeypatch.setattr(budgets, "ASK_S", 1.0)  # what exchangeInfo says, again and again: the limits of before
    config = storm_config(tmp_path, f"storm-{os.getpid()}", free_ports(2), 1, orders_by=orders_by)
    async with Storm(config) as storm:
        await storm.blow(1.5, every_s=0.5)
        storm.venue.trouble.switch_on("limits", {"what": "orders", "share": str(share)})
        await storm.blow(5, every_s=0.5)
        refusals = [time_s for time_s, _ in storm.counts.refusals]
        assert (len(refusals) > 0) == (refused > 0) and len(refusals) <= refused
        assert not refusals or max(refusals) - min(refusals) < 1.0  # those that were on their way, and none after
        assert storm.venue.exchange.limits.ban.until_ms == 0
        assert storm.gateway.budgets.orders[10] == 300 * share
        await storm.calm()


async def test_a_weight_that_exchange_info_lowers_is_kept_to_by_all(tmp_path, monkeypatch):
    monkeypatch.setattr(budgets, "ASK_S", 0.5)
    config = storm_config(tmp_path, f"storm-{os.getpid()}", free_ports(2), 2)
    async with Storm(config) as storm:
        storm.venue.trouble.switch_on("listed_limits", {"what": "weight", "share": "0.5"})
        await storm.blow(2)
        assert storm.gateway.core.weight_limit == storm.gateway.rest.weights.limit == 1200
        storm.deadman.rest.mind_others(0)
        assert storm.deadman.rest.weights.limit == 1200
        assert storm.counts.refusals == []
