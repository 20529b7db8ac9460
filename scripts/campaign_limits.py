"""Put millions of hostile intents before each layer of limits alone and report what got through: make campaign-limits.

INTENTS to the gateway without a quoter's checks and as many to the quoter without a gateway (default 10^7), judged by
a ledger of its own. Exit status 1 on any escape.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from limits_campaign import gateway_alone, quoter_alone
from quoting import params


def main(intents: int, seed: int) -> int:
    escapes = 0
    with tempfile.TemporaryDirectory() as folder:
        plain = params(Path(folder))
    for name, run in (("gateway", gateway_alone), ("quoter", lambda n, s: quoter_alone(n, plain, s))):
        started = time.monotonic()
        judged = run(intents, seed)
        seconds = time.monotonic() - started
        print(
            f"{name} alone: {judged.intents} intents, {judged.passed} let through, {judged.filled} fills, "
            f"{len(judged.escapes)} escapes, {seconds:.0f} s",
            flush=True,
        )
        for escape in judged.escapes:
            print(f"  {escape}")
        escapes += len(judged.escapes)
    return 1 if escapes else 0


if __name__ == "__main__":
    arguments = [int(float(text)) for text in sys.argv[1:]]
    sys.exit(main(*(arguments + [10**7, 1][len(arguments) :])))
