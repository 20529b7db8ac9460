"""What comparing with the venue costs a minute stays in its share, by the venue's count of a round of each loop."""

from collections import Counter

import msgspec
import pytest
from fault_venue import FaultVenue
from gateway_rig import EPOCH, Rig
from storming import PRICES, Counts

from phx.config import Limits
from phx.gateway import budgets, doubt, funding, process
from phx.gateway.account import Orders
from phx.gateway.budgets import Budgets
from phx.gateway.reconcile import Reconciliation
from phx.gateway.replies import Replies
from phx.gateway.user_events import UserEvents
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.binance.weights import WEIGHT_PER_MINUTE

SHARES = Limits(max_gross_notional=1, max_daily_loss=1)


class Loops:
    """Every loop of a gateway that asks: its period, and its work against a simulated venue of so many symbols."""

    def __init__(self, rest: Rest, instruments):
        self.rig = rig = Rig(symbols=len(instruments))
        ids = {symbol: i.symbol_id for symbol, i in instruments.items()}
        orders = Orders("s", ids, EPOCH)
        replies = Replies(rig.core, instruments, orders, lambda: None, lambda *limit: None)
        events = UserEvents(rig.core, instruments, orders, lambda *zombie: None, lambda *forced: None)
        self.reconciliation = Reconciliation(
            rig.core, rest, instruments, orders, replies, "sim", 2000, events.venue_positions
        )
        self.budgets = Budgets(rig.core, rest, instruments, SHARES)
        self.rest, self.symbols = rest, len(instruments)

    async def all(self) -> list[tuple[float, object]]:
        """Return (period in s, work) of each."""
        found = []

        async def noted(period_s, work):
            found.append((period_s, work))

        async def no_loop():
            pass

        self.reconciliation._every, self.reconciliation.funding.run = noted, no_loop
        await self.reconciliation.run()
        quiet_s = doubt.QUIET_S * max(1.0, self.symbols / doubt.QUIET_SYMBOLS)
        return [
            *found,
            (3600 / len(funding.LOOKS_S), self.reconciliation.funding.read),
            (quiet_s, self.reconciliation.compare_open_orders),
            (budgets.ASK_S, self.budgets.learn),
            (process.CLOCK_S, self.rest.server_time),
        ]


@pytest.mark.parametrize("symbols", [1, 2, 8, 20])
async def test_the_loops_stay_within_the_share_of_reconciliation(instance_config, tmp_path, symbols):
    names = list(PRICES)[:symbols]
    prices = {symbol: PRICES[symbol] for symbol in names}
    section = msgspec.structs.replace(instance_config.sim, start_prices=prices)
    traded = {symbol: instance_config.symbols["BTCUSDC"] for symbol in names}
    config = msgspec.structs.replace(instance_config, sim=section, symbols=traded)
    async with FaultVenue(config, tmp_path) as sim:
        sim.exchange.limits.enforced = False
        rest = Rest(Endpoints("sim", sim.client.rest, sim.client.ws, ""), Credentials("key", b"secret"), share=1.0)
        instruments = await rest.exchange_info({symbol: i for i, symbol in enumerate(names)})
        loops = Loops(rest, instruments)
        counts = Counts(sim.venue)
        a_minute: Counter[str] = Counter()
        with counts.naming_endpoints():
            for period_s, work in await loops.all():
                rest.weights.own = rest.weights.all = 0  # a minute of the test is no minute of the gateway
                counts.by_endpoint.clear()
                await work()
                a_minute.update({name: weight * 60 / period_s for name, weight in counts.by_endpoint.items()})
        await rest.close()
    assert {"GET /fapi/v1/openOrders", "GET /fapi/v3/positionRisk", "GET /fapi/v1/userTrades"} <= a_minute.keys()
    print({name: round(weight) for name, weight in a_minute.items()})
    assert sum(a_minute.values()) <= SHARES.weight_share_reconciliation * WEIGHT_PER_MINUTE, a_minute
