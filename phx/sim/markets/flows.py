"""The order flows of a synthetic venue: who shares a latent price, who leads whom, and by which numbers each trades."""

from collections.abc import Iterable, Mapping

from phx.instruments import Instrument
from phx.sim.markets.fitted import Fitted, asset_of, fitted_for, load_fitted
from phx.sim.markets.latent import AUTO, LatentPrice
from phx.sim.markets.synthetic import OrderFlow

LEAD_MS = 30.0
UNKNOWN_PACE = 0.25  # of the actions on a symbol without fitted numbers: most are quieter


def order_flows(
    instruments: Iterable[Instrument],
    seed: int,
    rate: float = 1.0,
    fitted: Mapping[str, Fitted] | None = None,
    regime: str = AUTO,
    lead_ms: float = LEAD_MS,
    start_prices: Mapping[str, float] | None = None,
) -> dict[str, OrderFlow]:
    """Return one flow per instrument; those of the same asset share a latent price.

    rate: factor on the number of actions per second. lead_ms: how much later than xxxUSDT the others of its asset move.
    start_prices: by symbol, of the whole asset, instead of the fitted or invented one.
    """
    fitted = load_fitted() if fitted is None else fitted
    flows: dict[str, OrderFlow] = {}
    latents: dict[str, LatentPrice] = {}
    numbers = {}
    started = {asset_of(symbol): price for symbol, price in (start_prices or {}).items()}
    for instrument in instruments:
        asset = asset_of(instrument.symbol)
        if asset not in latents:
            numbers[asset] = fitted_for(instrument, fitted, started.get(asset))
            latents[asset] = LatentPrice(numbers[asset], f"{seed}/{asset}", regime)
        pace = rate if asset in fitted else rate * UNKNOWN_PACE
        flows[instrument.symbol] = OrderFlow(instrument.symbol, instrument, numbers[asset], seed, latents[asset], pace)
    for symbol, leader in flows.items():
        for follower in flows.values() if symbol.endswith("USDT") else ():
            if follower is not leader and asset_of(follower.symbol) == asset_of(symbol):
                follower.follow(leader, int(lead_ms * 1e6))
    return flows
