"""Thresholds of the modes that could never be reached are refused, each with its rule."""

import pytest
from conftest import CONFIG

from phx import config as configuration
from phx.config import ConfigError


def errors(tmp_path, section: str) -> list[str]:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("    net_max: 6\n", f"    net_max: 6\n    {section}\n"))
    try:
        configuration.load(path, {})
    except ConfigError as error:
        return error.errors
    return []


@pytest.mark.parametrize(
    ("section", "path", "says"),
    [
        ("pin: {exit: 0.60}", "pin.exit", "0.6 is not below pin.enter 0.6"),
        ("grind: {exit: 0.75}", "grind.exit", "0.75 is not below grind.enter 0.75"),
        ("grind: {exit: 0.50}", "pin.exit", "0.5 is not below grind.exit 0.5"),
        ("pin: {enter: 0.75}", "pin.enter", "0.75 is not below grind.enter 0.75"),
        ("grind: {enter: 0.90}", "grind.enter", "0.9 is not below risk.worst_case 0.9"),
        ("risk: {worst_case: 0.5}", "grind.enter", "0.75 is not below risk.worst_case 0.5"),
        ("stop: {emergency: 0.89}", "risk.worst_case", "0.9 is above stop.emergency 0.89"),
        ("grind: {max_sigma: 0.012}", "grind.max_sigma", "0.012 is not below grind.leave_sigma 0.012"),
        ("grind: {slice: 0}", "grind.slice", "expected more than 0"),
        ("stop: {loss: 0}", "stop.loss", "expected more than 0"),
        ("grind: {max_slip: 0.04}", "grind.max_slip", "0.04 is above risk.collar_mid 0.03"),
        ("flatten: {slips: [0.001, 0.002, 0.04]}", "flatten.slips", "0.04 is above risk.collar_mid 0.03"),
        ("flatten: {slips: [0.001, 0.001, 0.002]}", "flatten.slips", "each step goes farther"),
        ("flatten: {target: 6}", "flatten.target", "6 is not below net_max 6"),
        ("pin: {far_start: 0.13}", "pin.far_start", "0.13 is above pin.far_end 0.12"),
        ("pin: {far_end: 0.14}", "pin.far_end", "0.14 is above risk.collar_far 0.13"),
        ("vpin: {narrow: 0.70}", "vpin.narrow", "0.7 is not below vpin.widen 0.7"),
        ("vpin: {widen: 0.91}", "vpin.widen", "0.91 is above vpin.pause 0.9"),
        ("vpin: {resume: 0.90}", "vpin.resume", "0.9 is not below vpin.pause 0.9"),
        ("vpin: {enabled: true}", "vpin.bucket_qty", "expected more than 0"),
    ],
)
def test_each_rule_is_named_with_both_its_values(tmp_path, section, path, says):
    found = errors(tmp_path, section)
    assert any(f"symbols.ETHUSDC.{path}: {says}" in line for line in found), found


@pytest.mark.parametrize(
    "section",
    [
        "stop: {emergency: 0.90}",
        "pin: {exit: 0.59}",
        "grind: {enter: 0.89}",
        "pin: {far_end: 0.13}",
        "pin: {far_layers: 0, far_end: 0.5}",
        "vpin: {enabled: true, bucket_qty: 1}",
    ],
)
def test_at_their_limits_they_hold(tmp_path, section):
    assert errors(tmp_path, section) == []
