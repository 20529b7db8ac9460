"""Metrics as Prometheus reads them: complete, on loopback, folded without loss."""

import http.client

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from written_instance import Written

from phx._core.enums import Mode
from phx._core.histogram import bucket_of
from phx.ops.fields import COUNTER_STRUCTS, counter_fields, is_histogram, metric_name, structs
from phx.ops.metrics import ACCOUNT_GAUGES, FOLDED_NS, SYMBOL_GAUGES, Metrics, folded, serve
from phx.ops.watch import Watched


@pytest.fixture
def written(instance_config):
    return Written(instance_config)


@pytest.fixture
def served(written):
    """A served instance: get(path, host) returns (status, text)."""
    metrics = Metrics(written.config, {"BTCUSDC": Watched(0.0, 4.5)}, {"latched": 2})
    server = serve(metrics, 0)

    def get(path: str = "/metrics", host: str | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
        connection.request("GET", path, headers={"Host": host} if host else {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()

    get.address = server.server_address
    yield get
    server.shutdown()
    server.server_close()


def samples(text: str) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_field_of_every_counter_block_is_served_with_its_comment(written, served):
    for kind in COUNTER_STRUCTS:
        written.segment(f"counters.{kind}.BTCUSDC" if kind != "process" else "process.ops")
    families = {family.name: family for family in text_string_to_metric_families(served()[1])}
    for kind in COUNTER_STRUCTS:
        for field in counter_fields(kind):
            family = families[metric_name(kind, field).removesuffix("_total")]
            assert family.documentation.replace("\\\\", "\\") == field.comment
            assert family.samples and field.comment


def test_a_counter_is_what_the_block_says(written, served):
    written.count("counters.gateway.ETHUSDC", fills=12, rejects_own=3)
    found = samples(served()[1])
    assert found["phx_gateway_fills_total", ("symbol", "ETHUSDC")] == 12
    assert found["phx_gateway_rejects_own_total", ("symbol", "ETHUSDC")] == 3


def test_figures_of_a_symbol_are_served(written, served):
    written.quoting()
    written.publish("account", gross_notional_e8=1800 * 10**8)
    found = samples(served()[1])
    btc = ("symbol", "BTCUSDC")
    expected = {
        "position_size": 0.030,
        "position_notional": 0.030 * 60010.05,
        "pnl_unrealised": 0.3015,
        "pending_buy_size": 0.012,
        "pending_sell_size": 0.005,
        "mid": 60010.05,
        "spread": 0.1,
        "funding_rate": 0.0001,
        "worst_case_buy": 0.042,
        "inventory_skew": -1.2,
        "volatility_scaling": 1.25,
    }
    for name, value in expected.items():
        assert found[f"phx_{name}", btc] == pytest.approx(value), name
    assert found["phx_strategy_mode", ("mode", "normal"), btc] == 1
    assert found["phx_strategy_mode", ("mode", "paused"), btc] == 0
    assert found[("phx_total_notional",)] == 1800


def test_modes_and_mark_outs_are_served_for_what_happened(written, served):
    written.quoting()
    block = written.segment("counters.quoter.BTCUSDC").records[0]
    block["mode_ns"][Mode.MODE_PINNING], block["mode_entries"][Mode.MODE_PINNING] = 2_500_000_000, 3
    written.judge("BTCUSDC", Mode.MODE_PINNING, 32, 2, fills=2, half_ticklots=-300, ticklots=6_000_000)
    found = samples(served()[1])
    btc, pinning = ("symbol", "BTCUSDC"), ("mode", "pinning")
    assert found["phx_mode_seconds_total", pinning, btc] == 2.5
    assert found["phx_mode_entries_total", pinning, btc] == 3
    cell = (("horizon", "60s"), ("layer", "take"), pinning, btc)
    values = {name: found[f"phx_mark_out_{name}", *cell] for name in ("fills", "volume", "gain", "bps")}
    assert values == pytest.approx({"fills": 2, "volume": 600, "gain": -0.015, "bps": -0.25})
    assert sum(key[0] == "phx_mark_out_bps" for key in found) == 1, "cells without fills are absent"
    assert found["phx_own_gap", btc] == pytest.approx(20.0)
    assert found["phx_pnl_no_fees", btc] == pytest.approx(1.8015)


def test_drawdown_comes_from_who_watches(written, served):
    written.quoting()
    metrics = Metrics(written.config, {"BTCUSDC": Watched(0.0, 4.5)}, {})
    metrics.watched["BTCUSDC"].cancels.append((0.0, 0))
    assert metrics.figures_of("BTCUSDC").max_drawdown == 4.5


def test_a_histogram_is_cumulative_and_its_labels_are_short(written, served):
    written.count("counters.gateway.BTCUSDC", ack_ns=[900, 5_000, 5_000, 70_000_000, 30_000_000_000])
    found = samples(served()[1])
    buckets = [
        (dict(key[1:])["le"], value) for key, value in found.items() if key[0] == "phx_gateway_ack_seconds_bucket"
    ]
    values = [value for _, value in sorted(buckets, key=lambda pair: float(pair[0]))]
    assert values == sorted(values) and values[-1] == 5
    assert all(len(le) < 14 for le, _ in buckets)
    assert found["phx_gateway_ack_seconds_count", ("symbol", "BTCUSDC")] == 5
    # The last one is beyond what a histogram holds, so it counts as its largest value.
    assert found["phx_gateway_ack_seconds_sum", ("symbol", "BTCUSDC")] >= 0.07
    assert found["phx_gateway_ack_seconds_quantile", ("quantile", "0.5"), ("symbol", "BTCUSDC")] == pytest.approx(
        5e-6, rel=0.04
    )


@pytest.mark.parametrize("edge_ns", FOLDED_NS.tolist())
def test_folding_puts_a_value_on_the_right_side_of_every_edge(edge_ns):
    buckets = np.zeros(1024, np.uint64)
    for value_ns in (edge_ns - 1, edge_ns):
        buckets[bucket_of(value_ns)] += 1
    counts = dict(folded(buckets))
    assert counts[repr(edge_ns / 1e9)] == 1
    assert counts["+Inf"] == 2


def test_the_port_is_on_loopback_and_answers_only_to_its_own_name(served):
    assert served.address[0] == "127.0.0.1"
    assert served(host="127.0.0.1")[0] == 200
    assert served(host="localhost:1")[0] == 200
    assert served(host="evil.example")[0] == 404
    assert served("/etc/passwd")[0] == 404


def test_a_scrape_of_an_instance_without_anything_works(served):
    status, text = served()
    assert status == 200 and "phx_feed_gaps_total" in text


def test_names_are_unique_and_every_gauge_says_what_it_is():
    names = [name for name, *_ in SYMBOL_GAUGES + ACCOUNT_GAUGES]
    assert len(names) == len(set(names))
    assert all(text for _, text, *_ in SYMBOL_GAUGES + ACCOUNT_GAUGES)


def test_every_struct_of_the_declaration_is_parsed_whole():
    from phx._core import records

    known = {tuple(found.names) for found in [*records.RING_RECORDS.values(), *records.COUNTER_BLOCKS.values()]}
    parsed = {tuple(field.name for field in fields) for fields in structs().values()}
    assert known <= parsed
    assert all(f.name.endswith("_ns") for k in COUNTER_STRUCTS for f in counter_fields(k) if is_histogram(f))
