"""A rate limit that one process met is minded by every other at the address, and outlives a restart."""

import asyncio
import stat

import pytest
from stub_venue import Reply, StubVenue

from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import LONGEST_NS, NONE, Limits, Silence
from phx.venue.interface import VenueLimited, VenueReject

OPEN_ORDERS = ("GET", "/fapi/v1/openOrders")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "venue.silence"


def test_what_is_told_is_heard_and_only_grows(path):
    one, other = Silence(path), Silence(path)
    assert other.heard(0) == NONE
    one.tell(5, 0)
    assert other.heard(0) == Limits(5, 0)
    other.tell(3, 9)
    assert one.heard(0) == Limits(5, 9) == Silence(path).heard(0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_or_absurd_file_silences_nobody(path):
    silence = Silence(path)
    for body in (b"", b"{", b"\xff", b'{"banned_until_ns":"soon"}'):
        path.write_bytes(body)
        assert silence.heard(0) == NONE
        path.unlink()
    silence.tell(0, LONGEST_NS + 2)
    assert silence.heard(1) == NONE and silence.heard(2).banned_until_ns == LONGEST_NS + 2


def test_nobody_to_share_with_costs_nothing(tmp_path):
    silence = Silence(None)
    silence.tell(1, 1)
    assert silence.heard(0) == NONE and list(tmp_path.iterdir()) == []


def rest(venue, path) -> Rest:
    where = Endpoints("sim", venue.url, "", "")
    return Rest(where, Credentials("k", b"s"), share=1.0, silence=Silence(path))


@pytest.mark.parametrize("status, cancels", [(429, True), (418, False)])
def test_a_limit_of_one_process_binds_the_others(path, status, cancels):
    async def scene(venue):
        met, other = rest(venue, path), rest(venue, path)
        try:
            await met.server_time()
            await other.server_time()
            venue.script[OPEN_ORDERS] = [Reply({"code": -1003, "msg": "Too many"}, status, {"Retry-After": "30"})]
            with pytest.raises(VenueLimited):
                await met.open_orders("BTCUSDC")
            asked = len(venue.calls)
            with pytest.raises(VenueLimited) as refused:
                await other.open_orders("BTCUSDC")
            assert 25 < refused.value.retry_after_s <= 30.1
            assert len(venue.calls) == asked  # it was not even sent
            if cancels:
                await other.cancel_all("BTCUSDC")
            else:
                with pytest.raises(VenueLimited):
                    await other.cancel_all("BTCUSDC")
            assert len(venue.calls) == asked + cancels
        finally:
            await met.close()
            await other.close()

    with StubVenue() as venue:
        asyncio.run(scene(venue))


def test_a_key_is_lost_after_three_refusals_in_a_row(path):
    no = Reply({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)

    async def scene(venue):
        client = rest(venue, None)
        try:
            venue.script[OPEN_ORDERS] = [no, no, Reply([]), no, no, no]
            lost = []
            for _ in range(6):
                try:
                    await client.open_orders("BTCUSDC")
                except VenueReject as error:
                    assert error.code == -2015
                lost.append(client.key_lost)
            assert lost == [False] * 5 + [True]
        finally:
            await client.close()

    with StubVenue() as venue:
        asyncio.run(scene(venue))


def test_a_full_disk_costs_only_the_word(path):
    silence = Silence(path / "no-folder" / "file")
    silence.tell(1, 1)
    assert silence.heard(0) == NONE
