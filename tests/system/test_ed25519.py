"""With an Ed25519 key the gateway logs on once and its orders then go unsigned."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .running import Running, yaml_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_quotes_are_placed_after_a_logon(instance_config, tmp_path):
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key_file = tmp_path / "key.json"
    key_file.touch(mode=0o600)
    key_file.write_text(msgspec.json.encode({"api_key": "logon-key", "secret": pem}).decode())
    venue = msgspec.structs.replace(instance_config.venue, key_type="ed25519", key_file=str(key_file))
    config = msgspec.structs.replace(instance_config, venue=venue)
    with Running(tmp_path, yaml_of(config)) as phx:
        phx.wait_quoting()
        assert phx.newest("account")["order_session_up"]
        gateway = phx.counters("counters.gateway.BTCUSDC")
        assert gateway["unknown_outcomes"] == 0 and gateway["rejects_venue"] == 0
    log = (tmp_path / "run" / "logs" / "gateway.log").read_text()
    assert "order session: open" in log and pem.splitlines()[1] not in log
