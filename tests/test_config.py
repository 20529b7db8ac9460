"""The configuration: what is accepted, and that every fault is named with its place, all at once."""

import typing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx import config as configuration
from phx import config_source
from phx.config import Config, ConfigError, Sim
from phx.ops.reload import adopted, changes, flat, is_hot, raised_limits
from phx.venue.binance.endpoints import endpoints

EXAMPLE = Path(__file__).resolve().parents[1] / "config.yaml.example"
SMALL = """
symbols:
  BTCUSDC: {net_max: 0.3, ladder: {near: {size: 0.006}, far: {size: 0.012}}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""


@pytest.fixture
def load(tmp_path):
    """Load a text as a configuration file, with an environment of its own."""

    def loaded(text: str, environ=None) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return configuration.load(path, environ or {})

    return loaded


@pytest.fixture
def refused(load, tmp_path):
    """Load a text that must be refused and return its errors without the folder."""

    def errors(text: str, environ=None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ)
        return [error.replace(f"{tmp_path}/", "") for error in caught.value.errors]

    return errors


def with_line(line: str) -> str:
    return SMALL + line + "\n"


# ---- the example ----


def leaves(struct: type, path: tuple = ()):
    """Yield (path, field) of every key of a schema; for a symbol, those of BTCUSDC; a list of sections is one key."""
    for described in msgspec.structs.fields(struct):
        here = (*path, described.encode_name)
        inside = () if typing.get_origin(described.type) is list else typing.get_args(described.type)
        kinds = [k for k in (described.type, *inside) if isinstance(k, type)]
        inner = next((k for k in kinds if issubclass(k, msgspec.Struct)), None)
        if described.encode_name == "symbols":
            yield from leaves(configuration.SymbolConfig, (*here, "BTCUSDC"))
        elif inner is not None:
            yield from leaves(inner, here)
        else:
            yield here, described


def test_the_example_loads_as_is_and_quotes_on_the_simulator():
    example = configuration.load(EXAMPLE, {})
    assert example.traded() == ["BTCUSDC", "ETHUSDC"]
    assert example.watch == ["BTCUSDT"]
    assert (example.venue.environment, example.sim.market) == ("sim", "synthetic")


def test_the_example_shows_every_key_with_a_comment_and_its_default():
    source = config_source.read_yaml(EXAMPLE.read_bytes(), "example")
    values = flat(configuration.load(EXAMPLE, {}))
    text = EXAMPLE.read_text().splitlines()
    own = {("symbols", "BTCUSDC", "net_max"), ("watch",)}
    for path, described in leaves(Config):
        assert path in source.lines, f"{'.'.join(path)} is not in the example"
        line = text[int(source.lines[path].rpartition(":")[2]) - 1]
        # A key in a flow mapping is explained where its section's first line is.
        assert "#" in line or path[0] == "processes", f"{'.'.join(path)} has no comment"
        has_default = described.default is not msgspec.NODEFAULT or described.default_factory is not msgspec.NODEFAULT
        if has_default and path not in own:
            default = described.default if described.default is not msgspec.NODEFAULT else described.default_factory()
            shown = values.get(".".join(path), default)
            assert str(shown) == str(msgspec.to_builtins(default)) or Decimal(str(shown)) == Decimal(str(default)), path


def test_the_example_says_hot_exactly_where_a_reload_adopts_the_key():
    source = config_source.read_yaml(EXAMPLE.read_bytes(), "example")
    text = EXAMPLE.read_text().splitlines()
    for path, _ in leaves(Config):
        line = text[int(source.lines[path].rpartition(":")[2]) - 1]
        assert ("[hot]" in line) == is_hot(".".join(path)) or path[-1] == "enabled", ".".join(path)


# ---- text ----


def test_decimals_stay_exact(load):
    assert load(SMALL).symbols["BTCUSDC"].net_max == Decimal("0.3")


@pytest.mark.parametrize("word", ["no", "off", "on", "yes", "0x10", "1_000", "1:30", "017a"])
def test_words_that_yaml_would_interpret_are_no_numbers_or_booleans(refused, word):
    assert any("vol.window_s" in e for e in refused(SMALL.replace("{net_max", f"{{vol: {{window_s: {word}}}, net_max")))


def test_a_duplicate_key_is_refused_with_both_lines(refused):
    (error,) = refused(with_line("watch: [BTCUSDT]\nwatch: [ETHUSDT]"))
    assert error == "c.yaml:6: watch: duplicate key, first at c.yaml:5"


@pytest.mark.parametrize(
    "line",
    ["watch: &a [BTCUSDT]", "watch: !!python/object:os.system [x]", "sim: !!map {}", "ops: &b {}\nglobal: *b"],
)
def test_anchors_aliases_and_tags_are_refused(refused, line):
    assert any("not accepted" in error for error in refused(with_line(line)))


def test_an_alias_bomb_is_refused_at_once(refused):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for i in range(1, 9):
        bomb += f"{chr(97 + i)}: &{chr(97 + i)} [{','.join(['*' + chr(96 + i)] * 9)}]\n"
    assert any("anchors" in error for error in refused(bomb))


def test_a_file_beyond_the_limit_is_refused(refused):
    assert "at most 262144" in refused(SMALL + "#" * config_source.MAX_BYTES)[0]


def test_deep_nesting_is_refused_before_it_hurts(refused):
    assert "nested deeper" in refused("watch: " + "[" * 5000 + "]" * 5000)[0]


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b", "a: [", "\x00", "a: b\n---\nc: d"])
def test_what_is_no_configuration_is_refused_with_a_reason(refused, text):
    assert refused(text)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        configuration.load(tmp_path / "none.yaml", {})


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_makes_the_loader_fail_in_another_way(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        configuration.load(path, {})
    except ConfigError as error:
        assert error.errors


# ---- all at once ----


def test_every_fault_is_named_with_its_place_at_once(refused):
    errors = refused(
        """
symbols:
  BTCUSDC: {net_max: nan, net_mx: 3, ladder: {near: {size: 0.006, layers: 99}, far: {size: x}}}
  btc: {}
venue: {environment: moon}
limits: {max_gross_notional: 60000}
nonsense: 1
"""
    )
    expected = [
        "c.yaml:3: symbols.BTCUSDC.net_max: expected a finite number",
        "c.yaml:3: symbols.BTCUSDC.net_mx: unknown key; did you mean net_max?",
        "c.yaml:3: symbols.BTCUSDC.ladder.near.layers: expected int <= 32; found '99'",
        "c.yaml:3: symbols.BTCUSDC.ladder.far.size: invalid decimal",
        "c.yaml:4: symbols.btc: expected str matching",
        "c.yaml:4: symbols.btc.ladder: missing",
        "c.yaml:5: venue.environment: invalid enum value 'moon'",
        "c.yaml:6: limits.max_daily_loss: missing",
        "c.yaml:7: nonsense: unknown key",
    ]
    for start in expected:
        assert any(error.startswith(start) for error in errors), (start, errors)


@pytest.mark.parametrize(
    "change, path",
    [
        ("watch: [BTCUSDC]", "watch.0"),
        ("watch: [BTCUSDT, BTCUSDT]", "watch.1"),
        ("feeds: {main: [ETHUSDC]}", "feeds.main"),
        ("feeds: {a: [BTCUSDC], b: [BTCUSDC]}", "feeds.b"),
        ("watch: [BTCUSDT]\nfeeds: {main: [BTCUSDC]}", "feeds: no feed carries BTCUSDT"),
        ("venue: {environment: production, key_file: /k}", "venue.confirm"),
        ("venue: {rest_url: 'ftp://127.0.0.1'}", "venue.rest_url"),
        ("venue: {rest_url: 'http://example.com'}", "venue.rest_url: environment sim talks to loopback only"),
        ("venue: {environment: testnet, stream_url: 'ws://example.com'}", "venue.stream_url: testnet needs wss"),
        ("sim: null", "sim: environment sim without the built-in simulator"),
        ("sim: {market: recorded}", "sim.recordings"),
        ("sim: {market: recorded, recordings: [/none]}", "sim.recordings.0"),
        ("sim: {relabel: {BTCUSDT: XRPUSDC}}", "sim.relabel.BTCUSDT"),
        ("sim: {keys: [{file: k, account: 2}]}", "sim.keys.0: account 2 is not among the 1"),
        ("sim: {keys: [{file: k, addresses: [home]}]}", "sim.keys.0: home is no IP address"),
        ("sim: {keys: [{file: k, rights: [steal]}]}", "sim.keys.0"),
        ("sim: {keys: [{account: 1}]}", "sim.keys.0"),
        ("ops: {metrics_port: 9181}", "ops.metrics_port"),
        ("processes: {quoter: {cpu: 4096}}", "processes.quoter.cpu"),
        ("processes: {cpus: {quoter.XRPUSDC: 0}}", "processes.cpus.quoter.XRPUSDC"),
        (
            "processes: {" + ", ".join(f"{k}: {{wait: spin, cpu: 0}}" for k in ("feed", "quoter")) + "}",
            "processes: feed.main and quoter.BTCUSDC both spin on cpu 0",
        ),
    ],
)
def test_rules_between_fields_are_checked(refused, change, path):
    assert any(f": {path}" in error for error in refused(with_line(change))), path


@pytest.mark.parametrize(
    "inside, path",
    [
        ("leader: {symbol: BTCUSDT, weight: 0.5}", "leader.symbol"),
        ("leader: {weight: 0.5}", "leader.weight"),
        ("leader: {symbol: BTCUSDC}", "leader.symbol: a symbol cannot lead itself"),
        ("quoting: {fair: leader}", "quoting.fair"),
        ("vol: {scale_min: 3}", "vol.scale_min"),
        ("risk: {max_order_qty: -1}", "risk.max_order_qty"),
    ],
)
def test_rules_of_a_symbol_are_checked(refused, inside, path):
    errors = refused(SMALL.replace("{net_max", "{" + inside + ", net_max"))
    assert any(f"symbols.BTCUSDC.{path}" in error for error in errors)


def test_more_spinners_than_cores_are_refused(refused, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    spin = ", ".join(f"{kind}: {{wait: spin}}" for kind in ("feed", "quoter", "gateway"))
    assert any("3 processes spin" in error for error in refused(with_line(f"processes: {{{spin}}}")))


def test_production_starts_only_when_confirmed(load):
    config = load(with_line("venue: {environment: production, confirm: I trade real money on demo, key_file: /k}"))
    assert endpoints(config).environment == "production"


def test_feeds_that_cover_every_symbol_once_are_accepted(load):
    config = load(with_line("watch: [BTCUSDT]\nfeeds: {a: [BTCUSDC], b: [BTCUSDT]}"))
    assert config.feed_of("BTCUSDT") == "feed.b"


# ---- secrets ----


@pytest.mark.parametrize("line", ["venue: {api_key: abc}", "venue: {secret: abc}", "api_secret: x", "ops: {token: x}"])
def test_a_key_that_looks_like_a_secret_is_refused(refused, line):
    assert any("secrets do not belong here" in error for error in refused(with_line(line)))


def test_a_value_that_looks_like_a_secret_is_refused_and_not_repeated(refused):
    secret = "Ab3" * 22
    errors = refused(with_line(f"venue: {{confirm: {secret}}}"))
    assert "looks like a secret" in errors[0] and secret not in "".join(errors)


# ---- environment ----


def test_an_override_is_typed_like_the_key_it_replaces(load):
    environ = {
        "PHX__SIM__PORT": "9300",
        "PHX__SYMBOLS__BTCUSDC__NET_MAX": "0.2",
        "PHX__SYMBOLS__BTCUSDC__LADDER__NEAR__LAYERS": "4",
        "PHX__WATCH": "[BTCUSDT, ETHUSDT]",
        "PHX_API_KEY": "not an override",
        "PATH": "/bin",
    }
    config = load(SMALL, environ)
    assert config.sim.port == 9300
    assert config.symbols["BTCUSDC"].net_max == Decimal("0.2")
    assert config.symbols["BTCUSDC"].ladder.near.layers == 4
    assert config.symbols["BTCUSDC"].ladder.near.size == Decimal("0.006")
    assert config.watch == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("PHX__SIM__PROT", "9300", "sim.prot: unknown key; did you mean port?"),
        ("PHX__SIM__PORT", "abc", "sim.port: expected int"),
        ("PHX__NONSENSE", "1", "nonsense: unknown key"),
        ("PHX__", "1", "expected PHX__SECTION__KEY"),
        ("PHX__WATCH", "[a", "PHX__WATCH"),
    ],
)
def test_a_wrong_override_is_named(refused, name, value, says):
    errors = refused(SMALL, {name: value})
    assert any(says in error and name in error for error in errors), errors


# ---- reload ----


def test_changes_say_what_a_reload_adopts(load):
    old = load(SMALL)
    new = load(SMALL.replace("0.3", "0.4").replace("500", "400") + "sim: {seed: 7}\n")
    found = {change.path: change.hot for change in changes(old, new)}
    assert found == {"symbols.BTCUSDC.net_max": True, "limits.max_daily_loss": True, "sim.seed": False}


def test_adopting_takes_hot_changes_and_leaves_the_others(load):
    old = load(SMALL)
    mixed = adopted(old, load(SMALL.replace("0.3", "0.4") + "sim: {seed: 7}\n"))
    assert mixed.symbols["BTCUSDC"].net_max == Decimal("0.4")
    assert mixed.sim.seed == old.sim.seed
    assert mixed.limits == old.limits


def test_a_new_symbol_is_one_change_that_is_not_adopted(load):
    old = load(SMALL)
    new = load(SMALL.replace("limits:", "  ETHUSDC: {net_max: 6, ladder: {near: {size: 1}, far: {size: 1}}}\nlimits:"))
    (change,) = changes(old, new)
    assert (change.path, change.hot) == ("symbols.ETHUSDC", False)
    assert adopted(old, new) == old


@pytest.mark.parametrize("before, after, raised", [("0.3", "0.4", True), ("0.3", "0.2", False)])
def test_only_a_raise_of_a_limit_needs_confirmation(load, before, after, raised):
    old, new = load(SMALL), load(SMALL.replace(before, after))
    assert bool(raised_limits(old, new)) == raised


def test_a_long_run_folder_moves_sockets_to_a_short_path(load):
    config = load(SMALL, {"PHX__GLOBAL__RUN_DIR": "/tmp/" + "x" * 90})
    assert len(str(config.socket_path("supervisor/rpc"))) < 100
    assert config.socket_path("control").parent == config.shm_folder()


def test_the_simulated_venue_charges_by_the_quote_asset():
    fees = {"maker_fee": "-0.00005", "taker_fee": "0.0004", "usdt_maker_fee": "0.0002", "usdt_taker_fee": "0.0005"}
    sim = Sim(**{name: Decimal(text) for name, text in fees.items()})
    assert sim.fees_e8("USDC") == (-5_000, 40_000)
    assert sim.fees_e8("USDT") == (20_000, 50_000)
