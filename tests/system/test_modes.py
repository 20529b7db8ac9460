"""Every mode, in the running system: the shipped example, only its durations shortened, walked through all seven.

Inventory comes from outside: an independent client trades on the same account, as a human might.
"""

import asyncio
import itertools
import os

import pytest
from conftest import free_ports
from sim_client import SimClient

from phx._core.enums import Mode, Reason
from phx.instruments import read_table
from phx.venue.binance.keys import read_key_file, sim_key_file

from .running import ROOT, Running, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

BTC = "BTCUSDC"
DURATIONS = {"MODE__DWELL_S": "1", "GRIND__INTERVAL_S": "0.5", "STOP__HALT_S": "2", "PIN__MIN_REQUOTE_MS": "300"}


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The shipped example, running as an instance of its own."""
    own = {
        "PHX__GLOBAL__INSTANCE": f"modes-{os.getpid()}",
        "PHX__GLOBAL__RUN_DIR": str(tmp_path / "run"),
        "PHX__SIM__PORT": str(free_ports(2)),
        "PHX__OPS__METRICS_PORT": "0",
    }
    for name, value in (own | {f"PHX__SYMBOLS__{BTC}__{key}": value for key, value in DURATIONS.items()}).items():
        monkeypatch.setenv(name, value)
    with Running(tmp_path, (ROOT / "config.yaml.example").read_text()) as phx:
        phx.wait_quoting()
        yield phx


class Outsider:
    """Somebody else who trades on the account: a client of its own, with order ids that are not phx's."""

    def __init__(self, phx: Running):
        self.phx = phx
        self.numbers = itertools.count(1)
        self.instrument = read_table(phx.config.shm_folder() / "instruments.main.json")[BTC]

    def hold(self, lots: int) -> None:
        """Bring the position near `lots` with one market order."""
        change = lots - self.position()
        if not change:
            return

        key = read_key_file(sim_key_file(self.phx.config.run_folder()))

        async def trade():
            async with SimClient(self.phx.config.sim.port, key.api_key, key.secret) as client:
                # Where it meets an order of phx, which is of the same account, it goes through and that order goes.
                status, answer, _ = await client.place(
                    symbol=BTC,
                    side="BUY" if change > 0 else "SELL",
                    type="MARKET",
                    timeInForce="GTC",
                    quantity=self.instrument.qty_text(abs(change)),
                    newClientOrderId=f"outside-{next(self.numbers)}",
                    selfTradePreventionMode="EXPIRE_MAKER",
                )
                assert status == 200, answer

        asyncio.run(trade())

    def position(self) -> int:
        return self.instrument.lots(self.phx.ledger()["symbols"][BTC]["position"]["qty"])


def mode(phx) -> Mode:
    return Mode(phx.newest(f"state.{BTC}")["mode"])


def entries(phx, of: Mode) -> int:
    return int(phx.counters(f"counters.quoter.{BTC}")["mode_entries"][of])


def reaches(phx, wanted: Mode, timeout_s: float = 20) -> None:
    wait_until(lambda: mode(phx) == wanted, timeout_s, f"{wanted.name}, it is {mode(phx).name}")


def open_orders(phx) -> list[dict]:
    return [order for order in ours(phx) if order["status"] in ("NEW", "PARTIALLY_FILLED")]


def ours(phx) -> list[dict]:
    return [o for o in phx.venue_says(f"orders?symbol={BTC}") if not o["clientOrderId"].startswith("outside")]


def only_reduces(phx) -> bool:
    orders = open_orders(phx)
    return bool(orders) and all(order["reduceOnly"] and order["side"] == "SELL" for order in orders)


def test_every_mode_is_reached_from_the_shipped_example_and_left_again(example):
    phx = example
    outsider = Outsider(phx)
    reaches(phx, Mode.MODE_NORMAL)
    net_max = outsider.instrument.lots(phx.config.symbols[BTC].net_max)

    outsider.hold(int(0.65 * net_max))
    reaches(phx, Mode.MODE_PINNING)
    wait_until(lambda: only_reduces(phx) or mode(phx) != Mode.MODE_PINNING, 10, "nothing but reducing orders")

    outsider.hold(int(0.80 * net_max))
    reaches(phx, Mode.MODE_GRINDING)
    takes = int(phx.counters(f"counters.quoter.{BTC}")["takes"])
    reaches(phx, Mode.MODE_PINNING, 40)
    assert outsider.position() < 0.75 * net_max
    counters = phx.counters(f"counters.quoter.{BTC}")
    assert counters["takes"] > takes and counters["takes_filled_lots"] > 0
    assert phx.newest(f"state.{BTC}")["grind_loss_ticklots"] > 0

    outsider.hold(int(0.30 * net_max))
    reaches(phx, Mode.MODE_NORMAL)
    wait_until(lambda: phx.quoting(BTC), 20, "quotes on both sides again")

    # Beyond what quoting could ever reach: everything is closed, then it cools, then begins anew.
    flattened, cooled = entries(phx, Mode.MODE_FLATTENING), entries(phx, Mode.MODE_COOLING)
    outsider.hold(int(1.05 * net_max))
    wait_until(lambda: entries(phx, Mode.MODE_COOLING) > cooled, 20, "COOLING")
    assert entries(phx, Mode.MODE_FLATTENING) > flattened
    assert outsider.position() == 0 and open_orders(phx) == []
    reaches(phx, Mode.MODE_NORMAL)
    wait_until(lambda: phx.quoting(BTC), 20, "quotes on both sides again")

    # By the operator's word: closed, then paused until resume.
    outsider.hold(int(0.20 * net_max))
    wait_until(lambda: phx.newest(f"own.{BTC}")["position_lots"] > 0, 10, "the position")
    phx.phx("flatten", BTC)
    wait_until(lambda: mode(phx) == Mode.MODE_PAUSED, 20, "PAUSED after flattening")
    assert outsider.position() == 0 and open_orders(phx) == []
    assert Reason(phx.newest(f"state.{BTC}")["reason"]) == Reason.REASON_OPERATOR
    phx.phx("resume", BTC)
    reaches(phx, Mode.MODE_NORMAL)

    phx.phx("kill", BTC)
    reaches(phx, Mode.MODE_HALTED)
    phx.enable(BTC)
    reaches(phx, Mode.MODE_NORMAL)
    assert all(entries(phx, each) for each in Mode if each != Mode.MODE_NONE)

    # The venue's own history: what grinding and flattening sent could only reduce, and nothing met an order of ours.
    assert all(order["reduceOnly"] for order in ours(phx) if order["timeInForce"] != "GTX")
    assert all(order["status"] != "EXPIRED_IN_MATCH" for order in ours(phx) if order["timeInForce"] != "GTX")
    assert phx.ledger()["symbols"][BTC]["unprotected"] == 0
    log = (phx.config.run_folder() / "logs" / f"quoter.{BTC}.log").read_text()
    assert "MODE_NORMAL -> MODE_PINNING, REASON_RATIO_ROSE, ratio 0.6" in log
    assert "MODE_FLATTENING, REASON_EMERGENCY" in log
