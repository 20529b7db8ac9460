"""Third-party clients, unmodified but for their base URLs, judge the simulated venue."""

import re
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parent / "clients"
STEP = re.compile(r"^@judge\.step\n(?:async )?def (\w+)", re.MULTILINE)
CASES = [(path.stem, step) for path in sorted(CLIENTS.glob("*.py")) for step in STEP.findall(path.read_text())]


@pytest.mark.external
@pytest.mark.timeout(400)
@pytest.mark.parametrize("client, step", CASES, ids=[f"{client}-{step}" for client, step in CASES])
def test_a_client_is_content(judged, client, step):
    outcomes, errors = judged(client)
    assert step in outcomes, f"the client ended before this step:\n{errors}"
    assert outcomes[step]["passed"], outcomes[step]["found"]
