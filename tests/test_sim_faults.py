"""Every fault of the simulated venue, as an independent client sees it: real sockets, switched on by file and live."""

import asyncio

import pytest
import pytest_asyncio
from conftest import isolated
from fault_proofs import PROOFS
from fault_venue import FaultVenue

from phx.sim.faults.catalogue import CATALOGUE

pytestmark = pytest.mark.asyncio(loop_scope="module")
HAPPENED = (AssertionError, TimeoutError, LookupError, TypeError)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with isolated(folder) as config:
        async with FaultVenue(config, folder) as venue:
            yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def venue(shared):
    await shared.clean()
    return shared


async def test_every_fault_has_its_proof():
    assert set(PROOFS) == set(CATALOGUE)


@pytest.mark.parametrize("name", PROOFS)
async def test_a_fault_happens_switched_on_live(venue, name):
    venue.way = "live"
    await PROOFS[name](venue)


@pytest.mark.parametrize("name", PROOFS)
async def test_a_fault_happens_switched_on_by_a_file(venue, name):
    venue.way = "file"
    await PROOFS[name](venue)


@pytest.mark.parametrize("name", PROOFS)
async def test_nothing_happens_when_nothing_is_on(venue, name):
    venue.way = "none"
    with pytest.raises(HAPPENED):
        async with asyncio.timeout(3):
            await PROOFS[name](venue)
