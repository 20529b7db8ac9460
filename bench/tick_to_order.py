"""From a tick leaving the venue to the order that answers it, seen from outside, beside the usual bot.

    python bench/tick_to_order.py [SECONDS] [--wait block|yield|spin] [--cpu N] [--json FILE]

Starts the simulated venue with its synthetic market and all of phx's processes (`phx up`), with a tap between them and
the venue's WebSocket port; then the venue alone with rivals/naive_bot.py behind the same tap. Reports per side the time
from a bookTicker leaving the tap to the first byte of the next burst of orders coming in (kernel, framing, parsing,
deciding, signing, sending: everything), and for phx its own histograms from shared memory. The tap wakes late like any
process; it is in both figures. As shipped nothing is pinned and nothing spins; --wait and --cpu set both for feed,
quoter and gateway.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

from tap import Tap, answers_us  # noqa: E402

from phx import config as configuration  # noqa: E402
from phx import topology  # noqa: E402
from phx._core.histogram import quantile_ns  # noqa: E402
from phx.segment import Segment  # noqa: E402

SYMBOL = "BTCUSDC"
# One layer a side and no shortest time between ladders: every order answers the tick that made it necessary.
CONFIG = """
global: {{instance: bench-{pid}, run_dir: "{folder}/run", log_level: warning}}
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {{near: {{size: 0.006, layers: 1}}, far: {{size: 0.012, layers: 0}}}}
    quoting: {{min_requote_ms: 0}}
    keep: {{tolerance: 0.01}}
limits: {{max_gross_notional: 60000, max_daily_loss: 500}}
venue: {{stream_url: "{websockets}", ws_api_url: "{websockets}/ws-fapi/v1"}}
sim: {{port: {port}, latency_ms: 0, speed: 4}}
ops: {{metrics_port: 0}}
processes: {processes}
"""
HISTOGRAMS = (
    ("frame to published record", "counters.feed.BTCUSDC", "frame_to_publish_ns"),
    ("tick to ladder", "counters.quoter.BTCUSDC", "tick_to_ladder_ns"),
    ("decide", "counters.quoter.BTCUSDC", "decide_ns"),
    ("ladder to wire", "counters.gateway.BTCUSDC", "ladder_to_wire_ns"),
    ("tick to wire", "counters.gateway.BTCUSDC", "tick_to_wire_ns"),
)
SHARES = (0.5, 0.9, 0.99)
WARM_UP_S = 5.0


def free_port() -> int:
    """Return a port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as next_one, contextlib.suppress(OSError, OverflowError):
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            next_one.bind(("127.0.0.1", port + 1))
            return port


def write_config(folder: Path, port: int, tap: Tap, waiting: dict) -> Path:
    path = folder / "config.yaml"
    websockets = f"ws://127.0.0.1:{tap.port}"
    processes = json.dumps({kind: waiting for kind in ("feed", "quoter", "gateway")})
    names = {"pid": os.getpid(), "folder": folder, "websockets": websockets, "port": port, "processes": processes}
    path.write_text(CONFIG.format(**names))
    return path


def phx(path: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "phx", "--config", str(path), *words]
    return subprocess.run(command, cwd=ROOT, check=check, capture_output=True, text=True, timeout=120)


def ledger(port: int) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sim/ledger", timeout=5) as answer:
        return json.load(answer)["symbols"].get(SYMBOL, {})


def wait_until(condition, what: str, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, KeyError):
            if condition():
                return
        time.sleep(0.1)
    raise SystemExit(f"tick_to_order: waited {timeout_s:.0f} s for {what}")


def histograms(config) -> dict:
    """Return {name: (count, p50, p90, p99 in µs)} of what phx measured itself."""
    found = {}
    for name, segment_name, field in HISTOGRAMS:
        row = topology.kind_of(segment_name)
        buckets = Segment.attach(config.shm_folder(), segment_name, row.record).records[0][field].copy()
        found[name] = (int(buckets.sum()), *(round(quantile_ns(buckets, share) / 1000, 1) for share in SHARES))
    return found


def quantiles(sorted_us: list[float]) -> tuple:
    """Return (count, p50, p90, p99)."""
    if not sorted_us:
        return (0, None, None, None)
    return (len(sorted_us), *(round(sorted_us[min(len(sorted_us) - 1, int(s * len(sorted_us)))], 1) for s in SHARES))


def measure_phx(folder: Path, seconds: float, waiting: dict) -> tuple[tuple, dict]:
    port = free_port()
    with Tap(port + 1) as tap:
        path = write_config(folder, port, tap, waiting)
        config = configuration.load(path)
        phx(path, "up")
        try:
            wait_until(lambda: len(ledger(port)["open"]) >= 2, "phx to quote on both sides")
            time.sleep(WARM_UP_S)
            begin_ns = time.monotonic_ns()
            time.sleep(seconds)
            own = histograms(config)
        finally:
            phx(path, "down", check=False)
    orders = [stamp for stamp in tap.orders_ns if begin_ns < stamp < begin_ns + seconds * 1e9]
    return quantiles(answers_us(tap.ticks_ns, orders)), own


def measure_rival(folder: Path, seconds: float) -> tuple:
    port = free_port()
    with Tap(port + 1) as tap:
        path = write_config(folder, port, tap, {})
        venue = subprocess.Popen([sys.executable, "-m", "phx", "--config", str(path), "sim"], cwd=ROOT)
        try:
            wait_until(lambda: isinstance(ledger(port), dict), "the simulated venue")
            websockets = f"ws://127.0.0.1:{tap.port}"
            bot = [str(HERE / "rivals" / "naive_bot.py"), SYMBOL, websockets, f"{websockets}/ws-fapi/v1"]
            bot += [str(folder / "run" / "sim.key"), str(seconds), "0.1", "0.006"]
            subprocess.run([sys.executable, *bot], check=True, timeout=seconds + 60)
        finally:
            venue.terminate()
            venue.wait(30)
            phx(path, "down", check=False)
    return quantiles(answers_us(tap.ticks_ns, tap.orders_ns[4:]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, nargs="?", default=30.0)
    parser.add_argument("--wait", choices=["block", "yield", "spin"], default="block")
    parser.add_argument("--cpu", type=int, help="pin feed, quoter and gateway there")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    waiting = {"wait": given.wait} | ({} if given.cpu is None else {"cpu": given.cpu})
    with tempfile.TemporaryDirectory(prefix="phx-bench-") as ours, tempfile.TemporaryDirectory() as theirs:
        outside, own = measure_phx(Path(ours), given.seconds, waiting)
        rival = measure_rival(Path(theirs), given.seconds)
    rows = {"phx, tick out to order in": outside, **{f"phx, {name}": row for name, row in own.items()}}
    rows["naive bot, tick out to order in"] = rival
    print(f"{'µs':36} {'count':>8} {'p50':>10} {'p90':>10} {'p99':>10}")
    for name, (count, *shares) in rows.items():
        print(f"{name:36} {count:8}" + "".join(f"{'-' if us is None else f'{us:,.1f}':>11}" for us in shares))
    if outside[1] and rival[1]:
        print(f"phx answers {rival[1] / outside[1]:.1f} x sooner (p50)")
    if given.json:
        given.json.write_text(json.dumps({name: list(row) for name, row in rows.items()}, indent=1))
    return 0 if outside[0] and rival[0] else 1


if __name__ == "__main__":
    sys.exit(main())
