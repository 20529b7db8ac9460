"""Fixtures of the tests with real processes."""

import pytest

from .running import Running, yaml_of


@pytest.fixture
def running(instance_config, tmp_path):
    """A whole phx, quoting on the synthetic market."""
    with Running(tmp_path, yaml_of(instance_config)) as phx:
        phx.wait_quoting()
        yield phx
