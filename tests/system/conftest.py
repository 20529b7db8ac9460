"""Fixtures of the tests with real processes."""

import pytest
from conftest import isolated

from .running import Running, yaml_of


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A whole phx, quoting on the synthetic market; one for all tests of a file, in their order."""
    folder = tmp_path_factory.mktemp("running")
    with isolated(folder) as config, Running(folder, yaml_of(config)) as phx:
        phx.wait_quoting()
        yield phx
