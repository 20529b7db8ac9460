"""The configuration: read once, typed, validated, then passed on as frozen Structs.

Every scalar of the YAML file is read as text and typed here, so that a decimal stays exact until instruments.py
quantises it, and no word is mistaken for a boolean. Each field's comment in config.yaml.example gives unit and range.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from phx import canary, config_checks, config_source
from phx.config_source import ConfigError
from phx.topology import WATCHED_FROM

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]
Fee = Annotated[float, Meta(ge=-0.01, le=0.01)]
Count = Annotated[int, Meta(ge=1)]
Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9]{3,20}$")]
WaitPolicy = Literal["block", "yield", "spin"]

REGIMES = ("auto", "calm", "trending", "volatile", "thin", "sweep")  # of the synthetic market

# The kernel takes 107 bytes; supervisord binds to a name longer by its pid first.
SOCKET_PATH_BYTES = 96


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """A section: unknown keys are errors."""


class Global(Strict):
    instance: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,24}$")] = "demo"
    run_dir: str = "run"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shm_dir: str = "/dev/shm/phx"
    freeze_ms: Annotated[int, Meta(ge=50, le=60_000)] = 250
    crash_loop_exits: Count = 5
    crash_loop_s: Positive = 60.0


class Venue(Strict):
    environment: Literal["sim", "testnet", "production"] = "sim"
    rest_url: str = ""
    stream_url: str = ""
    ws_api_url: str = ""
    key_type: Literal["hmac", "ed25519"] = "hmac"
    key_file: str = ""
    confirm: str = ""
    recv_window_ms: Annotated[int, Meta(ge=100, le=5000)] = 2000
    orders_by: Literal["ws_api", "rest"] = "ws_api"
    base_maker_fee: Fee = 0.0002
    base_taker_fee: Fee = 0.0005


class Limits(Strict):
    max_gross_notional: Decimal
    max_daily_loss: Decimal
    canary: Decimal = Decimal(1)
    max_leverage: Positive = 5.0
    max_margin: Fraction = 0.50
    adding_share: Fraction = 0.80
    reducing_share: Fraction = 0.90
    weight_share_guardian: Fraction = 0.25
    weight_share_reconciliation: Fraction = 0.25
    weight_share_snapshots: Fraction = 0.15
    weight_share_orders: Fraction = 0.15


class Vol(Strict):
    window_s: Annotated[int, Meta(ge=10, le=7200)] = 1800
    min_samples: Count = 60
    initial: NotNegative = 0.001
    gain: NotNegative = 50.0
    ref: NotNegative = 0.0
    scale_min: Positive = 0.8
    scale_max: Positive = 2.0
    sigma_1s_half_life_s: Positive = 60.0


class Skew(Strict):
    coeff: NotNegative = 0.002
    dead_band: Fraction = 0.05


class Funding(Strict):
    coeff: NotNegative = 0.5
    half_life_s: Positive = 3600.0


class Leader(Strict):
    symbol: str = ""
    weight: Fraction = 0.0
    max_dev: Fraction = 0.001
    half_life_s: Positive = 300.0


class Near(Strict):
    size: Decimal
    layers: Annotated[int, Meta(ge=1, le=32)] = 8
    start: Positive = 0.0002
    ratio: Positive = 1.15


class Far(Strict):
    size: Decimal
    layers: Annotated[int, Meta(ge=0, le=16)] = 8
    start: Positive = 0.0067
    end: Positive = 0.02
    shape: Literal["linear", "geometric"] = "linear"


class Geometric(Strict):
    start: Decimal = Decimal("1.2")
    first: Decimal = Decimal("1.2")
    mult: Positive = 1.15
    max_spacing: Decimal = Decimal("25")


class LadderShape(Strict):
    near: Near
    far: Far
    shape: Literal["near_far", "geometric"] = "near_far"
    geometric: Geometric = Geometric()
    max_merge: Positive = 2.3
    adding_layer_cut: Fraction = 0.6


class Keep(Strict):
    tolerance: NotNegative = 0.9
    growth: Positive = 1.2
    qty_tolerance: Fraction = 0.5
    queue_valued: bool = True
    queue_model: Literal["risk_averse", "power1", "power2", "power3", "log1", "log2"] = "power3"
    queue_power: Positive = 3.0
    queue_value: NotNegative = 0.5
    post_only_step_ticks: NotNegative = 1.0
    post_only_half_life_s: Positive = 30.0


class Quoting(Strict):
    model: Literal["asmm", "avellaneda_stoikov", "glft"] = "asmm"
    fair: Literal["mid", "micro", "leader", "stoikov"] = "micro"
    micro_price_file: str = ""
    min_spread: NotNegative = 0.0002
    imbalance_levels: Annotated[int, Meta(ge=1, le=20)] = 5
    max_data_age_ms: Annotated[int, Meta(ge=50, le=60_000)] = 1000
    min_requote_ms: Annotated[int, Meta(ge=0, le=10_000)] = 50
    republish_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500


class AvellanedaStoikov(Strict):
    gamma: Positive = 0.005
    horizon_s: Positive = 60.0


class Glft(Strict):
    gamma: Positive = 0.05
    xi: Positive = 0.05


class Intensity(Strict):
    fitted: bool = True
    a_per_s: Positive = 1.0
    k_per_tick: Positive = 0.05
    half_life_s: Positive = 600.0
    min_trades: Count = 200


class Vpin(Strict):
    enabled: bool = False
    bucket_qty: Decimal = Decimal(0)
    buckets: Annotated[int, Meta(ge=5, le=200)] = 50
    multiplier: NotNegative = 0.2
    widen: Fraction = 0.70
    narrow: Fraction = 0.65
    pause: Fraction = 0.90
    resume: Fraction = 0.80
    pause_s: Positive = 5.0


class Mode(Strict):
    dwell_s: NotNegative = 10.0


class Pin(Strict):
    enabled: bool = True
    enter: Fraction = 0.60
    exit: Fraction = 0.50
    size: Positive = 2.3
    improve: bool = False
    min_requote_ms: Annotated[int, Meta(ge=0, le=60_000)] = 1500
    back_ticks: Annotated[int, Meta(ge=0, le=1_000_000)] = 2
    patience_s: Positive = 600.0
    far_layers: Annotated[int, Meta(ge=0, le=16)] = 4
    far_size: Decimal = Decimal(0)
    far_start: Positive = 0.048
    far_end: Positive = 0.12
    far_shape: Literal["linear", "geometric"] = "linear"
    far_adding: bool = False


class Grind(Strict):
    enabled: bool = True
    enter: Fraction = 0.75
    exit: Fraction = 0.60
    max_sigma: Positive = 0.01
    leave_sigma: Positive = 0.012
    maker_offset: NotNegative = 0.00042
    maker_size: NotNegative = 2.1
    interval_s: Positive = 10.0
    slice: Fraction = 0.075
    max_slip: Fraction = 0.0005
    loss_budget: Positive = 0.0025
    budget_window_s: Positive = 3600.0


class Stop(Strict):
    loss: Fraction = 0.05
    min_notional: Fraction = 0.05
    drawdown: Positive = 1.5
    emergency: Positive = 1.0
    halt_s: Positive = 300.0
    latch: bool = False


class Flatten(Strict):
    target: Decimal = Decimal(0)
    blind_s: Positive = 2.0
    cancel_wait_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500
    slips: tuple[Fraction, Fraction, Fraction] = (0.0005, 0.0020, 0.0100)
    step_s: Positive = 1.0
    empty_slices: Count = 2


class Risk(Strict):
    worst_case: Fraction = 0.90
    max_equity_loss: Fraction = 0.10
    max_order_qty: Decimal = Decimal(0)
    max_order_notional: Decimal = Decimal(4000)
    max_open_orders: Annotated[int, Meta(ge=2, le=128)] = 64
    max_in_flight: Annotated[int, Meta(ge=1, le=128)] = 48
    collar_mid: Fraction = 0.03
    collar_mark: Fraction = 0.04
    collar_far: Fraction = 0.13


class Throttle(Strict):
    window_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = 60.0
    cycles: Annotated[int, Meta(ge=1, le=1000)] = 60
    rejects: Annotated[int, Meta(ge=1, le=100)] = 20


class Protect(Strict):
    window_ms: Annotated[int, Meta(ge=1, le=60_000)] = 1000
    filled: Fraction = 0.45
    moved: Fraction = 0.35
    frozen_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5000


class SymbolConfig(Strict):
    """One traded symbol. Fractions of price unless a name says otherwise."""

    net_max: Decimal
    ladder: LadderShape
    enabled: bool = True
    quoting: Quoting = Quoting()
    vol: Vol = Vol()
    skew: Skew = Skew()
    funding: Funding = Funding()
    leader: Leader = Leader()
    keep: Keep = Keep()
    as_: AvellanedaStoikov = field(default=AvellanedaStoikov(), name="as")
    glft: Glft = Glft()
    intensity: Intensity = Intensity()
    vpin: Vpin = Vpin()
    mode: Mode = Mode()
    pin: Pin = Pin()
    grind: Grind = Grind()
    stop: Stop = Stop()
    flatten: Flatten = Flatten()
    risk: Risk = Risk()
    throttle: Throttle = Throttle()
    protect: Protect = Protect()


class ProcessConfig(Strict):
    wait: WaitPolicy = "block"
    cpu: int | None = None


class Processes(Strict):
    feed: ProcessConfig = ProcessConfig()
    quoter: ProcessConfig = ProcessConfig()
    gateway: ProcessConfig = ProcessConfig()
    guardian: ProcessConfig = ProcessConfig()
    ops: ProcessConfig = ProcessConfig()
    sim: ProcessConfig = ProcessConfig()
    cpus: dict[str, int] = field(default_factory=dict)


class Ops(Strict):
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 9090
    snapshot_s: Positive = 5.0
    snapshot_max_age_s: Positive = 300.0


class SimKey(Strict):
    """One more API key of the simulated venue. account: the number of the one it is for."""

    file: str
    account: Count = 1
    rights: list[Literal["read", "trade"]] = field(default_factory=lambda: ["read", "trade"])
    addresses: list[str] = field(default_factory=list)


class Sim(Strict):
    """The simulated venue. REST listens on `port`, WebSockets on `port` + 1, both on loopback."""

    port: Annotated[int, Meta(ge=1024, le=65534)] = 9180
    market: Literal["synthetic", "recorded"] = "synthetic"
    recordings: list[str] = field(default_factory=list)
    relabel: dict[str, str] = field(default_factory=dict)
    loop: bool = True
    speed: Positive = 1.0
    seed: int = 1
    regime: Literal[REGIMES] = "auto"
    lead_ms: NotNegative = 30.0
    start_prices: dict[Symbol, Positive] = field(default_factory=dict)
    queue_model: Literal["risk_averse", "power1", "power2", "power3", "log1", "log2"] = "power3"
    queue_power: Positive = 3.0
    latency_ms: NotNegative = 1.0
    ack_latency_ms: NotNegative = 0.0
    feed_latency_ms: NotNegative = 0.0
    latency_file: str = ""
    strict_paths: bool = True
    rate_limits: bool = True
    accounts: Annotated[int, Meta(ge=1, le=1000)] = 1
    wallet: Decimal = Decimal("100000")
    maker_fee: Decimal = Decimal("0")
    taker_fee: Decimal = Decimal("0.0004")
    usdt_maker_fee: Decimal = Decimal("0.0002")
    usdt_taker_fee: Decimal = Decimal("0.0005")
    keys: list[SimKey] = field(default_factory=list)
    older_acks: bool = False
    faults: str = ""

    def fees_e8(self, quote_asset: str) -> tuple[int, int]:
        """Return the maker and the taker rate of contracts in a quote asset, in 1e-8 of the notional."""
        maker, taker = self.maker_fee, self.taker_fee
        if quote_asset == "USDT":
            maker, taker = self.usdt_maker_fee, self.usdt_taker_fee
        return int(maker * 10**8), int(taker * 10**8)


class Config(Strict):
    symbols: dict[Symbol, SymbolConfig]
    limits: Limits
    global_: Global = field(default=Global(), name="global")
    venue: Venue = Venue()
    watch: list[Symbol] = field(default_factory=list)
    feeds: dict[str, list[Symbol]] = field(default_factory=dict)
    processes: Processes = Processes()
    ops: Ops = Ops()
    sim: Sim | None = Sim()

    def traded(self) -> list[str]:
        """Return the traded symbols in the order of the file."""
        return list(self.symbols)

    def instrument_ids(self) -> dict[str, int]:
        """Return symbol → symbol_id: traded from 0, watched from WATCHED_FROM."""
        ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        return ids | {symbol: WATCHED_FROM + i for i, symbol in enumerate(self.watch)}

    def feed_groups(self) -> dict[str, list[str]]:
        """Return feed name → its symbols; one feed "main" with all of them unless `feeds` says otherwise."""
        return self.feeds or {"main": [*self.symbols, *self.watch]}

    def feed_of(self, symbol: str) -> str:
        """Return the name of the feed process that carries a symbol."""
        return next(f"feed.{name}" for name, members in self.feed_groups().items() if symbol in members)

    def leader_of(self, symbol: str) -> str:
        """Return the symbol whose price leads, "" for none."""
        leader = self.symbols[symbol].leader
        return leader.symbol if leader.weight > 0 else ""

    def confirmation(self) -> str:
        """Return the text `venue.confirm` must hold before the venue is used, "" where none is asked for."""
        return {
            "sim": "",
            "testnet": "testnet",
            "production": f"I trade real money on {self.global_.instance}",
        }[self.venue.environment]

    def shm_folder(self) -> Path:
        return Path(self.global_.shm_dir) / self.global_.instance

    def run_folder(self) -> Path:
        return Path(self.global_.run_dir).resolve()

    def socket_path(self, name: str) -> Path:
        """Return where the unix socket `name` stands: in the run folder, or beside the segments if that is too long."""
        path = self.run_folder() / f"{name}.sock"
        return path if len(os.fsencode(path)) <= SOCKET_PATH_BYTES else self.shm_folder() / f"{name}.sock"

    def freeze_ns(self) -> int:
        return self.global_.freeze_ms * 1_000_000

    def process_config(self, process: str) -> ProcessConfig:
        return getattr(self.processes, process.partition(".")[0])

    def cpu_of(self, process: str) -> int | None:
        """Return the CPU a process is pinned to: its own entry in processes.cpus, else its kind's `cpu`."""
        return self.processes.cpus.get(process, self.process_config(process).cpu)


def load(path: Path | str, environ=os.environ) -> Config:
    """Read and check a configuration file with its PHX__ overrides, scaled by its canary. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            text = file.read(config_source.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    source = config_source.read_yaml(text, str(path))
    config_source.overlay(source, environ)
    return canary.scaled(config_checks.checked(source, Config))
