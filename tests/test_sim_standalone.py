"""`phx sim`: the venue as a process of its own, as somebody without phx would start and use it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import invented_market
import pytest
from picows import WSListener, WSMsgType, ws_connect
from sim_client import SimClient
from system.running import ROOT, yaml_of

from phx.config import REGIMES, Sim
from phx.sim.markets.latent import REGIME_NAMES


class Alone:
    """A venue started by options; `said` is what it printed, `port` and `keys` what stands there."""

    def __init__(self, *options: str):
        command = [sys.executable, "-m", "phx", "sim", "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "Ctrl-C" in line:
                break

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def value(self, word: str) -> list[str]:
        return [line.rsplit(maxsplit=1)[1] for line in self.said.splitlines() if line.strip().startswith(word)]

    @property
    def port(self) -> int:
        return int(self.value("REST")[0].rpartition(":")[2])

    def ask(self, path: str, method: str = "GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def ended(self, number: int) -> tuple[int, float]:
        """Send a signal; return the exit status and how long it took, s."""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(10), time.monotonic() - begin


class Frames(WSListener):
    def __init__(self):
        self.got: asyncio.Queue = asyncio.Queue()

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            self.got.put_nowait(json.loads(frame.get_payload_as_utf8_text()))


async def heard_on(port: int, path: str) -> dict:
    transport, listener = await ws_connect(Frames, f"ws://127.0.0.1:{port}{path}")
    frame = await asyncio.wait_for(listener.got.get(), 10)
    transport.disconnect()
    return frame


async def fees_of(venue: Alone, symbol: str) -> tuple[str, str]:
    async with SimClient(venue.port, venue.value("API key")[0], venue.value("secret")[0]) as client:
        _, found, _ = await client.signed("GET", "/fapi/v1/commissionRate", symbol=symbol)
        return found["makerCommissionRate"], found["takerCommissionRate"]


def test_without_options_it_is_a_synthetic_market_that_one_port_serves_whole():
    with Alone("--accounts", "2") as venue:
        assert "synthetic market of BTCUSDC, ETHUSDC (seed 1, regime auto)" in venue.said
        keys = list(zip(venue.value("API key"), venue.value("secret"), strict=True))
        assert len(set(keys)) == 2
        assert abs(venue.ask("/fapi/v1/time")["serverTime"] - time.time() * 1000) < 2000

        async def trade() -> None:
            for path in ("/public/ws/btcusdc@bookTicker", "/ws/ethusdc@depth@100ms"):
                assert (await heard_on(venue.port, path))["e"] in ("bookTicker", "depthUpdate")
            for api_key, secret in keys:
                async with SimClient(venue.port, api_key, secret) as client:
                    top = venue.ask("/fapi/v1/ticker/bookTicker?symbol=BTCUSDC")
                    price = f"{float(top['bidPrice']) - 500:.1f}"
                    status, ack, _ = await client.place(price=price)
                    assert (status, ack["status"]) == (200, "NEW")
                    status, rows, _ = await client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
                    assert [row["orderId"] for row in rows] == [ack["orderId"]], "of this account alone"

        asyncio.run(trade())
        assert venue.ended(signal.SIGINT)[0] == 0


def test_paths_carry_everything_for_clients_from_before_they_were_split():
    with Alone("--any-path", "--symbols", "BTCUSDT", "BTCUSDC") as venue:
        assert asyncio.run(heard_on(venue.port, "/ws/btcusdc@markPrice@1s"))["e"] == "markPriceUpdate"
        assert asyncio.run(fees_of(venue, "BTCUSDC")) == ("0.000000", "0.000400")
        assert asyncio.run(fees_of(venue, "BTCUSDT")) == ("0.000200", "0.000500")


def test_regimes_are_shown_and_forced_from_outside():
    with Alone("--symbols", "btcusdt", "PEPEUSDC", "--seed", "5", "--regime", "thin") as venue:
        assert "PEPEUSDC: not listed by the simulated venue: grid and price are invented" in venue.said
        assert set(venue.ask("/sim/regime").values()) == {"thin"}
        venue.ask("/sim/regime?name=sweep&symbol=BTCUSDT", "POST")
        deadline = time.monotonic() + 10
        while venue.ask("/sim/regime") != {"BTCUSDT": "sweep", "PEPEUSDC": "thin"}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for query in ("name=party", "name=calm&symbol=NOUSDC"):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                venue.ask(f"/sim/regime?{query}", "POST")
        assert venue.ended(signal.SIGTERM)[0] == 0


def test_a_recording_is_played_under_its_own_names_and_faster_than_the_clock(tmp_path):
    path = invented_market.write(tmp_path / "btc.jsonl.gz", seconds=5)
    with Alone("--recording", str(path), "--speed", "20") as venue:
        assert "recorded market of BTCUSDT" in venue.said
        before = venue.ask("/fapi/v1/depth?symbol=BTCUSDT")["lastUpdateId"]
        begin = time.monotonic()
        while (after := venue.ask("/fapi/v1/depth?symbol=BTCUSDT")["lastUpdateId"]) < before + 2000:
            assert time.monotonic() - begin < 10
            time.sleep(0.05)
        # 200 deltas of 10 ids pass in 4 s of the recording: at 20 times the pace in 0.2 s, over its end and on.
        assert after > before and abs(venue.ask("/fapi/v1/time")["serverTime"] - time.time() * 1000) < 2000
        assert venue.ended(signal.SIGTERM)[0] == 0


def test_a_configuration_gives_symbols_and_keys(tmp_path, instance_config):
    path = tmp_path / "whole.yaml"
    path.write_text(yaml_of(instance_config))
    with Alone("--config", str(path), "--symbols", "SOLUSDC") as venue:
        assert "synthetic market of SOLUSDC" in venue.said
        key = json.loads((instance_config.run_folder() / "sim.key").read_text())
        assert venue.value("API key") == [key["api_key"]]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--symbols", "BTCUSD"], 78, "BTCUSD: expected the name of a base asset followed by USDT or USDC"),
        (["--speed", "-1"], 78, "--speed -1.0: expected"),
        (["--accounts", "0"], 78, "--accounts 0: expected 1 to 1000"),
        (["--recording", "/nowhere.jsonl"], 1, "/nowhere.jsonl: No such file"),
        (["--config", "/nowhere.yaml"], 78, "/nowhere.yaml: No such file"),
        (["--regime", "party"], 2, "invalid choice"),
    ],
)
def test_what_cannot_be_started_is_said_in_one_line(options, status, said):
    with Alone(*options) as venue:
        assert (venue.process.wait(10), said in venue.said, "Traceback" in venue.said) == (status, True, False), (
            venue.said
        )


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Alone("--port", str(port)) as venue:
            assert venue.process.wait(10) == 1
            assert "in use" in venue.said and str(port) in venue.said and "Traceback" not in venue.said


def test_the_regimes_of_configuration_and_market_are_the_same():
    assert REGIMES == REGIME_NAMES
    assert Sim().regime == REGIMES[0]
