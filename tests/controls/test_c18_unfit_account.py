"""C18: on an account that is not fit to trade the gateway stays down with one line, and places nothing; but a position
that is open is not left alone: then it runs, latched.

A real gateway at a simulated venue whose account was switched to what phx does not trade on.
"""

import msgspec
import pytest
from guarded_venue import GuardedVenue
from system.running import wait_until, yaml_of

from phx.latches import Latches
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


def test_a_position_that_is_open_is_not_left_alone(venue):
    """After a loss the account no longer bears the configured stop: the gateway must be there to get out."""
    poorer = yaml_of(venue.config).replace('"max_equity_loss":0.1', '"max_equity_loss":0.001')
    assert "0.001" in poorer

    async def buy(rest):
        await rest.place("BTCUSDC", "web_1", 1, "0.012", None)

    venue.do(buy)
    usual = venue.path.read_text()
    venue.path.write_text(poorer)
    try:
        gateway = venue.launch("gateway")
        log = venue.folder / "gateway.log"
        ended_or_ready = lambda: gateway.poll() is not None or "ready to trade" in log.read_text()  # noqa: E731
        wait_until(ended_or_ready, 60, "a gateway that may only reduce")
        (latch,) = Latches(venue.config.run_folder()).all()
        assert latch.symbol == "" and "more than risk.max_equity_loss" in latch.reason
        assert latch.reason.endswith("Open: BTCUSDC 0.012")
        wait_until(lambda: venue.newest("account")["ready"], 10, "an account that is traded on")
        assert gateway.poll() is None
        # Cleared by a human it is set again: nothing has become better.
        Latches(venue.config.run_folder()).clear()
        wait_until(lambda: Latches(venue.config.run_folder()).all(), 10, "the latch again")
        gateway.terminate()
        assert gateway.wait(30) == 0
    finally:
        venue.path.write_text(usual)
        Latches(venue.config.run_folder()).clear()
