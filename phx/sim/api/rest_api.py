"""Every REST endpoint of the venue by method and path."""

from phx.sim.api import rest_account, rest_algo, rest_market, rest_orders
from phx.sim.api.request import Endpoint

ENDPOINTS: dict[tuple[str, str], Endpoint] = (
    rest_market.ENDPOINTS | rest_orders.ENDPOINTS | rest_algo.ENDPOINTS | rest_account.ENDPOINTS
)
