"""C18: on an account that is not fit to trade the gateway stays down with one line, and places nothing.

A real gateway at a simulated venue whose account was switched to what phx does not trade on.
"""

import msgspec
import pytest
from guarded_venue import GuardedVenue

from phx.process import EXIT_STAY_DOWN

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    from conftest import isolated

    folder = tmp_path_factory.mktemp("unfit")
    with isolated(folder) as config:
        symbols = {"BTCUSDC": config.symbols["BTCUSDC"]}
        with GuardedVenue(msgspec.structs.replace(config, symbols=symbols), folder) as running:
            yield running


def switched(venue, path: str, **params) -> None:
    async def work(rest):
        await rest.send("POST", path, list(params.items()), weight=1, signed=True)

    venue.do(work)


@pytest.mark.parametrize(
    "path, to, back, says",
    [
        (
            "/fapi/v1/positionSide/dual",
            {"dualSidePosition": "true"},
            {"dualSidePosition": "false"},
            "position mode: hedge mode, expected one-way",
        ),
        (
            "/fapi/v1/marginType",
            {"symbol": "BTCUSDC", "marginType": "ISOLATED"},
            {"symbol": "BTCUSDC", "marginType": "CROSSED"},
            "margin type BTCUSDC: ISOLATED, expected CROSSED",
        ),
        (
            "/fapi/v1/multiAssetsMargin",
            {"multiAssetsMargin": "true"},
            {"multiAssetsMargin": "false"},
            "asset mode: multi-assets, expected single-asset",
        ),
    ],
)
def test_an_unfit_account_keeps_the_gateway_down(venue, path, to, back, says):
    switched(venue, path, **to)
    try:
        assert venue.launch("gateway").wait(60) == EXIT_STAY_DOWN
        lines = [line for line in (venue.folder / "gateway.log").read_text().splitlines() if says in line]
        assert len(lines) == 1 and "staying down" in lines[0]
        assert venue.ledger()["symbols"]["BTCUSDC"]["open"] == []
    finally:
        switched(venue, path, **back)
