"""C12, attribution: every order says from where, from which life and symbol it comes, and no two say the same.

The number of a gateway's life makes it so: on disk before anything is sent under it, and never used twice.
"""

import logging
import os
import random
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from gateway_rig import EPOCH
from shipped import CONFIG, INSTRUMENTS, Shipped
from unknown_campaign import Campaign

from phx._core.binance.encode import OrderEncoder
from phx._core.binance.sign import Signer
from phx._core.coid import format_coid, own_prefix, parse_coid
from phx.gateway import epoch as lives


class Died(Exception):
    """The process, at this very step."""


def die(*_):
    raise Died


def test_every_id_in_a_venue_s_ledger_names_its_order(caplog):
    """Even there where answers are lost, late and doubled."""
    caplog.set_level(logging.CRITICAL, "phx.gateway")
    venue = Campaign(7, symbols=3).run(120)
    assert venue.problems == [] and len(venue.orders) > 150
    for coid, order in venue.orders.items():
        assert parse_coid(coid) == ("s", order.instrument.symbol_id, EPOCH, order.intent_id)
    assert len({order.intent_id for order in venue.orders.values()}) == len(venue.orders)


def test_it_is_in_the_bytes_that_leave():
    rig = Shipped(symbols=tuple(INSTRUMENTS))
    encoder = OrderEncoder(own_prefix(CONFIG.venue.environment)[3], b"k" * 64, Signer(b"s" * 64), 2000)
    for symbol, instrument in INSTRUMENTS.items():
        encoder.add_symbol(instrument.symbol_id, symbol, *instrument.scale)
    for symbol, instrument in INSTRUMENTS.items():
        lots = instrument.lots_floor(CONFIG.symbols[symbol].ladder.near.size)
        orders = rig.quote([(rig.bid - 100, lots)], [(rig.ask + 100, lots)], symbol=instrument.symbol_id)
        assert len(orders) == 2
        for order in orders:
            sent = msgspec.json.decode(encoder.request(order, 1_700_000_000_000))["params"]
            parsed = parse_coid(sent["newClientOrderId"])
            assert parsed == ("s", instrument.symbol_id, EPOCH, order["intent_id"]) and sent["symbol"] == symbol


@pytest.fixture
def quick_folder():
    """In memory: ten thousand files on a busy disk take long."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_ten_thousand_restarts_use_no_id_twice_whenever_they_die_and_whatever_the_clock_says(quick_folder, monkeypatch):
    chance, used = random.Random(7), set()
    real_write, real_rename, clock = os.write, os.rename, time.time
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # its place is tested elsewhere; here it would take minutes
    for _ in range(10_000):
        dies = chance.random()
        monkeypatch.setattr(lives.time, "time", lambda: clock() - chance.choice((0, 60, 3600, -3600)))
        if dies < 0.1:  # with half of the number written, or before it has its name
            monkeypatch.setattr(os, "write", lambda fd, data: die(real_write(fd, data[: len(data) // 2])))
        elif dies < 0.2:
            monkeypatch.setattr(os, "rename", die)
        try:
            epoch = lives.next_epoch(quick_folder)
        except Died:
            continue
        finally:
            monkeypatch.setattr(os, "write", real_write)
            monkeypatch.setattr(os, "rename", real_rename)
        coid = format_coid("sim", 0, epoch, 1)
        assert coid not in used
        used.add(coid)
    assert len(used) > 7_000


@pytest.mark.parametrize(
    "coid", ["", "web_1", "x-HNA2TXFJa", "phxs-00-1", "phxs-00-1-1-1", "phxq-00-1-1", "PHXS-00-1-1"]
)
def test_nobody_else_s_order_is_taken_for_ours(coid):
    assert parse_coid(coid) is None
