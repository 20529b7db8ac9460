"""C11: what the venue does to the position by itself latches its symbol, and no restart clears a latch."""

from types import SimpleNamespace

import pytest

from phx.gateway.process import Gateway
from phx.gateway.user_events import FORCED
from phx.latches import Latches, NotConfirmed

IDS = ["autoclose-1745000000000", "adl_autoclose", "settlement_autoclose-1745", "delivery_autoclose-1745"]


@pytest.mark.parametrize("coid", IDS)
def test_a_forced_order_latches_its_symbol(tmp_path, coid):
    desk = SimpleNamespace(latched=False)
    gateway = SimpleNamespace(
        process=SimpleNamespace(run_folder=tmp_path),
        instruments={"BTCUSDC": SimpleNamespace(symbol_id=0)},
        core=SimpleNamespace(desk=lambda symbol_id: desk),
    )
    assert coid.startswith(FORCED)
    Gateway._on_forced(gateway, "BTCUSDC", coid)
    assert desk.latched
    (latch,) = Latches(tmp_path).all()
    assert latch.symbol == "BTCUSDC" and coid[:36] in latch.reason
    # A later life finds it, and nothing but the word of who has read it clears it.
    later = Latches(tmp_path)
    assert later.stops("BTCUSDC") is not None and later.stops("ETHUSDC") is None
    with pytest.raises(NotConfirmed):
        later.release("BTCUSDC", "")
    assert Latches(tmp_path).all() == [latch]


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_key_latches_everything(tmp_path, lost):
    latches = Latches(tmp_path)
    gateway = SimpleNamespace(rest=SimpleNamespace(key_lost=lost), surroundings=SimpleNamespace(latches=latches))
    for _ in range(3):
        Gateway._mind_key(gateway)
    assert [(latch.symbol, latch.reason) for latch in latches.all()] == [("", "the venue refuses the API key")] * lost


@pytest.mark.parametrize("coid", ["phxs-00-1-1", "web_autoclose-1", "autoclose", "", "ADL_AUTOCLOSE"])
def test_an_order_of_others_is_no_forced_one(coid):
    assert not coid.startswith(FORCED)
