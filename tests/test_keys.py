"""Credentials: sources, file checks, that nothing shows, signatures."""

import base64
import copy
import json
import os
import pickle
import stat
import subprocess
import sys

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from phx.process import StayDown
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints

CANARY = "canary-2b5eb11e18796d12"
# Vectors of the venue's documentation; the mixed one computed, because the documented one is wrong.
SECRET = b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
QUERY = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
)
MIXED = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
)


def with_venue(config, **changes):
    return msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **changes))


def key_file(folder, mode=0o600, body=None):
    path = folder / "key.json"
    path.write_text(json.dumps({"api_key": "k" * 64, "secret": CANARY}) if body is None else body)
    path.chmod(mode)
    return path


def pem_of(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_hmac_signs_the_documented_vectors():
    credentials = keys.Credentials("k", SECRET)
    assert credentials.sign(QUERY) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert credentials.sign(MIXED) == "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"
    assert credentials.sign(QUERY) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def test_ed25519_signs_what_its_public_key_verifies():
    private = ed25519.Ed25519PrivateKey.generate()
    credentials = keys.Credentials("k", pem_of(private), "ed25519")
    private.public_key().verify(base64.b64decode(credentials.sign(QUERY)), QUERY)
    # As an environment variable may hold it: line ends escaped.
    escaped = keys.Credentials("k", pem_of(private).replace(b"\n", b"\\n"), "ed25519")
    assert escaped.sign(QUERY) == credentials.sign(QUERY)


@pytest.mark.parametrize("pem", [b"no pem", pem_of(rsa.generate_private_key(65537, 2048))])
def test_a_secret_that_is_no_ed25519_key_is_refused_without_being_quoted(pem):
    with pytest.raises(StayDown, match=r"PEM|Ed25519") as refused:
        keys.Credentials("k", pem, "ed25519")
    assert pem.decode()[30:60] not in str(refused.value) or pem == b"no pem"


def test_a_secret_never_shows():
    secret = keys.Secret(CANARY.encode())
    credentials = keys.Credentials(CANARY, CANARY.encode())
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>10}",
        repr(credentials),
        str(credentials),
    ]
    shown += [f"{credentials.api_key} {credentials.secret}", repr(pickle.dumps(secret)), repr([secret, {"a": secret}])]
    shown += [repr(pickle.loads(pickle.dumps(secret)).reveal())]
    assert not any(CANARY in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
    assert copy.deepcopy(secret).reveal() == CANARY.encode() == secret.reveal()
    assert secret == keys.Secret(CANARY.encode()) != keys.Secret(b"other")


def test_the_environment_is_read_once_and_cleared(instance_config, monkeypatch):
    config = with_venue(instance_config, environment="testnet", confirm="testnet")
    monkeypatch.setenv("PHX_API_KEY", "from-environment")
    monkeypatch.setenv("PHX_API_SECRET", CANARY)
    credentials = keys.load(config)
    assert credentials.api_key.reveal() == b"from-environment" and credentials.secret.reveal() == CANARY.encode()
    assert "PHX_API_KEY" not in os.environ and "PHX_API_SECRET" not in os.environ
    with pytest.raises(StayDown, match=r"PHX_API_KEY and PHX_API_SECRET, or venue.key_file"):
        keys.load(config)


def test_the_simulator_never_gets_keys_of_the_environment(instance_config, monkeypatch):
    monkeypatch.setenv("PHX_API_KEY", "real")
    monkeypatch.setenv("PHX_API_SECRET", CANARY)
    credentials = keys.load(instance_config)
    assert credentials.secret.reveal() != CANARY.encode()
    assert "PHX_API_SECRET" not in os.environ


def test_a_key_file_of_the_owner_alone_is_read(instance_config, tmp_path):
    for mode in (0o600, 0o400):
        path = key_file(tmp_path, mode)
        credentials = keys.load(with_venue(instance_config, key_file=str(path)))
        assert credentials.secret.reveal() == CANARY.encode()
        path.chmod(0o600)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606, 0o700, 0o610])
def test_a_key_file_others_could_read_is_refused_with_its_mode(tmp_path, mode):
    with pytest.raises(StayDown, match=f"mode {mode:o}, expected 600") as refused:
        keys.read_key_file(key_file(tmp_path, mode))
    assert CANARY not in str(refused.value)


def test_a_key_file_that_is_no_plain_file_of_ours_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(key_file(tmp_path))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path, why in ((link, "symbolic|symlink|links"), (pipe, "not a plain file"), (tmp_path, "not a plain file")):
        with pytest.raises(StayDown, match=why):
            keys.read_key_file(path)
    with pytest.raises(StayDown, match="No such file"):
        keys.read_key_file(tmp_path / "absent")
    if os.geteuid() == 0:
        foreign = key_file(tmp_path)
        os.chown(foreign, 12345, -1)
        with pytest.raises(StayDown, match="owned by uid 12345, expected 0"):
            keys.read_key_file(foreign)


@pytest.mark.parametrize("body", ["", "[]", f'{{"api_key":"a","secret":"{CANARY}","x":1}}', f'{{"secret":"{CANARY}"}}'])
def test_a_key_file_with_other_content_is_refused_without_quoting_it(tmp_path, body):
    with pytest.raises(StayDown, match=r"expected {") as refused:
        keys.read_key_file(key_file(tmp_path, body=body))
    assert CANARY not in str(refused.value)


def test_a_key_file_that_is_no_text_is_refused_like_any_other(tmp_path):
    path = key_file(tmp_path)
    path.write_bytes(b'{"api_key":"\xff","secret":"' + CANARY.encode() + b'"}')
    with pytest.raises(StayDown, match=r"expected {") as refused:
        keys.read_key_file(path)
    assert CANARY not in str(refused.value)


def test_the_simulator_s_key_is_made_once_and_read_by_all(tmp_path):
    first = keys.read_key_file(keys.sim_key_file(tmp_path / "run"))
    second = keys.read_key_file(keys.sim_key_file(tmp_path / "run"))
    assert first == second and len(first.secret) == 64 and first.secret != first.api_key
    path = tmp_path / "run" / "sim.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list((tmp_path / "run").iterdir()) == [path]


def test_processes_that_race_for_the_simulator_s_key_agree(tmp_path):
    code = "import sys; from pathlib import Path; from phx.venue.binance import keys;"
    code += "print(keys.read_key_file(keys.sim_key_file(Path(sys.argv[1]))).secret)"
    racing = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path / "run"], stdout=subprocess.PIPE) for _ in range(3)
    ]
    assert len({process.communicate(timeout=60)[0] for process in racing}) == 1


def test_a_hardened_process_leaves_no_core_and_hides_its_memory():
    code = "import os, resource; from phx import hardening; hardening.harden();"
    code += "print(resource.getrlimit(resource.RLIMIT_CORE), open('/proc/self/status').read().count('x'));"
    code += "import ctypes; print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.startswith("(0, 0)") and "dumpable 0" in out


# ---- endpoints: where a key may be shown at all ----


def test_the_simulator_is_the_default_and_on_loopback(instance_config):
    where = endpoints(instance_config)
    port = instance_config.sim.port
    assert where.rest == f"http://127.0.0.1:{port}"
    assert where.stream == f"ws://127.0.0.1:{port + 1}" and where.ws_api == f"ws://127.0.0.1:{port + 1}/ws-fapi/v1"
    assert where.coid_prefix == "phxs-"


@pytest.mark.parametrize("environment", ["testnet", "production"])
def test_another_environment_wants_its_own_words(instance_config, environment):
    config = with_venue(instance_config, environment=environment)
    wanted = config.confirmation()
    for text in ("", "yes", wanted + " ", with_venue(config, environment="testnet").confirmation() + "!"):
        with pytest.raises(StayDown, match=r"venue.confirm is") as refused:
            endpoints(with_venue(config, confirm=text))
        assert wanted in str(refused.value)
    where = endpoints(with_venue(config, confirm=wanted))
    assert where.rest.startswith("https://") and where.stream.startswith("wss://")
    assert where.coid_prefix == f"phx{environment[0]}-"


def test_confirming_production_names_the_instance(instance_config):
    config = with_venue(instance_config, environment="production")
    assert config.confirmation().endswith(instance_config.global_.instance)


@pytest.mark.parametrize(
    ("environment", "changes", "why"),
    [
        ("production", {"rest_url": "https://fapi.binance.com.evil.example"}, "not one of production"),
        ("production", {"rest_url": "https://demo-fapi.binance.com"}, "not one of production"),
        ("production", {"rest_url": "http://fapi.binance.com"}, 'scheme "http"'),
        ("production", {"stream_url": "ws://fstream.binance.com"}, 'scheme "ws"'),
        ("production", {"rest_url": "https://fapi.binance.com:8443"}, "port 8443"),
        ("production", {"rest_url": "https://user:pass@fapi.binance.com"}, "scheme, host and path only"),
        ("production", {"rest_url": "http://127.0.0.1:9180"}, "not one of production"),
        ("testnet", {"rest_url": "https://fapi.binance.com"}, "not one of testnet"),
        ("sim", {"rest_url": "https://fapi.binance.com"}, "not one of sim"),
        ("sim", {"ws_api_url": "ws://192.168.1.1:9181/ws-fapi/v1"}, "not one of sim"),
        ("sim", {"rest_url": "file://127.0.0.1/etc"}, 'scheme "file"'),
        ("sim", {"rest_url": "http://127.0.0.1:port"}, "[Pp]ort"),
    ],
)
def test_a_url_a_key_must_not_be_shown_to_is_refused(instance_config, environment, changes, why):
    config = with_venue(instance_config, environment=environment, **changes)
    with pytest.raises(StayDown, match=why):
        endpoints(with_venue(config, confirm=config.confirmation()))


def test_overrides_to_listed_hosts_are_taken(instance_config):
    config = with_venue(
        instance_config, environment="testnet", confirm="testnet", rest_url="https://testnet.binancefuture.com/"
    )
    assert endpoints(config).rest == "https://testnet.binancefuture.com"
