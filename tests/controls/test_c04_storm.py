"""C04 at the venue: eight symbols whose every price changes several times a second, on a venue that counts and refuses.

`make campaign-storm` does the same for minutes, with the venue's own limits.
"""

import os
from functools import partial

import pytest
from conftest import free_ports
from storming import Storm, judge, storm_config, tightened

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("orders_by", "seconds", "in_10s", "in_1m"), [("ws_api", 11, 120, 200), ("rest", 5, 120, 200)])
async def test_a_storm_meets_no_limit_and_what_reduces_never_waits(tmp_path, orders_by, seconds, in_10s, in_1m):
    config = storm_config(tmp_path, f"storm-{os.getpid()}", free_ports(2), 8, orders_by=orders_by)
    async with Storm(config, partial(tightened, in_10s=in_10s, in_1m=in_1m)) as storm:
        await storm.blow(seconds, take_every=10)  # takes have six of ten seconds to themselves
        judge(storm, in_10s, in_1m)
        assert sum(row[1] for row in storm.counts.orders) >= in_10s / 4  # it is not just silent, on a slow machine too
        await storm.calm()  # cancels go, whatever is used up
        assert storm.counts.refusals == []
