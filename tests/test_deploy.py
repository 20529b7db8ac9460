"""What is deployed beside phx speaks of metrics and verbs that exist."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "deploy" / "prometheus.rules.yml"


def documented() -> set[str]:
    spec = importlib.util.spec_from_file_location("render_docs", ROOT / "scripts" / "render_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(re.findall(r"`(phx_\w+)`", module.metrics_page()))


def test_every_alert_watches_a_metric_that_exists():
    known = documented()
    known |= {f"{name}_quantile" for name in known if name.endswith("_seconds")}
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            used = set(re.findall(r"phx_\w+", rule["expr"]))
            assert used and used <= known, (rule["alert"], used - known)
            assert rule["labels"]["severity"] in ("page", "warn") and rule["annotations"]["summary"]


def test_promtool_accepts_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_accepts_the_unit():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = ROOT / "deploy" / "phx.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert "Unknown" not in done.stderr, done.stderr


def test_the_image_builds_with_the_packages_the_host_check_asks_for():
    text = (ROOT / "Dockerfile").read_text()
    for package in ("gcc", "libc6-dev", "make", "python3-dev", "python3-venv"):
        assert package in text
