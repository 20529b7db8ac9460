"""Latencies: drawn from what was measured, the same for the same seed, and never out of order on a line."""

import asyncio
import random
import time

import pytest

from phx.sim.latency import Latency, LatencyError, Line, measured


def written(tmp_path, text):
    path = tmp_path / "latency.csv"
    path.write_text(text)
    return path


def test_a_file_of_numbers_is_requests_in_ns(tmp_path):
    assert measured(written(tmp_path, "1500\n2500\n\n900\n")) == {"place": [1500, 2500, 900]}


def test_columns_have_units_and_may_be_of_different_length(tmp_path):
    text = "place_us,cancel_ns,ack_ms,feed_us\n100,200,0.5,\n150.5,,1,40\n"
    assert measured(written(tmp_path, text)) == {
        "place": [100_000, 150_500],
        "cancel": [200],
        "ack": [500_000, 1_000_000],
        "feed": [40_000],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("place_us\n", "column place holds no latency"),
        ("place_us,ack_us\n1\n", ":2: 1 columns, expected 2"),
        ("100\n-5\n", ":2: '-5', expected a latency of 0 to 60 s"),
        ("100\nnan\n", ":2: 'nan'"),
        ("100\ninf\n", ":2: 'inf'"),
        ("100\n60000000001\n", ":2: '60000000001'"),
        ("100\nfast\n", ":2: 'fast'"),
        ("place\n100\n", ":1: column 'place', expected place_us, cancel_us, ack_us, feed_us"),
        ("place_us,dance_us\n1,2\n", "column 'dance_us'"),
        ("place_us,place_ns\n1,2\n", "the same column twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(LatencyError, match=r"latency\.csv") as refusal:
        measured(written(tmp_path, text))
    assert said in str(refusal.value)


def test_constants_hold_where_nothing_was_measured():
    latency = Latency({"place": 5, "cancel": 6, "ack": 7}, {"ack": [1, 2, 3]})
    assert (latency.place_ns(), latency.cancel_ns(), latency.feed_ns()) == (5, 6, 0)
    assert {latency.ack_ns() for _ in range(100)} == {1, 2, 3}


def test_cancels_travel_as_places_do_unless_measured():
    latency = Latency({"cancel": 9}, {"place": [1, 2]})
    assert {latency.cancel_ns() for _ in range(50)} == {1, 2}


def test_a_seed_gives_the_same_draws_and_one_column_does_not_disturb_another():
    samples = {"place": list(range(1000)), "ack": list(range(1000))}
    one, two, other = (Latency({}, samples, seed) for seed in (1, 1, 2))
    drawn = []
    for _ in range(20):
        drawn.append(one.place_ns())
        one.ack_ns()
    assert [two.place_ns() for _ in range(20)] == drawn != [other.place_ns() for _ in range(20)]


async def test_a_line_keeps_the_order_whatever_the_latencies():
    line, arrived, dice = Line(), [], random.Random(3)
    latencies = [dice.choice([0, 0, 200_000, 3_000_000, 9_000_000]) for _ in range(60)]
    begin = time.monotonic_ns()
    for i, latency_ns in enumerate(latencies):
        line.send(latency_ns, lambda i=i: arrived.append((i, time.monotonic_ns() - begin)))
    while len(arrived) < 60:
        await asyncio.sleep(0.001)
    assert [i for i, _ in arrived] == list(range(60))
    assert all(taken_ns >= latency_ns - 100_000 for (_, taken_ns), latency_ns in zip(arrived, latencies, strict=True))


async def test_an_empty_line_without_latency_is_immediate():
    line, arrived = Line(), []
    line.send(0, lambda: arrived.append(1))
    assert arrived == [1]
