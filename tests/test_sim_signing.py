"""Signatures by OpenSSL's command line, which shares nothing with the code that checks them but the standard."""

import base64
import shutil
import subprocess

import msgspec
import pytest

from phx.config import SimKey
from phx.process import StayDown
from phx.sim.exchange.account import Account
from phx.sim.keys.key_list import listed_keys
from phx.sim.keys.signing import Key, Keys, check_time, payload_of, sent_signature, signed_forms, unsigned
from phx.sim.refusals import Refused

PAYLOAD = b"symbol=BTCUSDC&side=BUY&type=LIMIT&quantity=0.010&price=64000.0&timestamp=1790000000000"
OWNER = Account(1, 10**13, ["USDC"], 0, 0)
KINDS = {"ed25519": ["-algorithm", "ED25519"], "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}


def openssl(*arguments, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """Return the kind of a key pair and the files of its private and public half."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command here")
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "private.pem", folder / "public.pem"
    openssl("genpkey", *KINDS[request.param], "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return request.param, private, public


def signature(kind: str, private, payload: bytes) -> str:
    if kind == "rsa":
        signed = openssl("dgst", "-sha256", "-sign", private, stdin=payload)
    else:
        path = private.with_name("payload")
        path.write_bytes(payload)
        signed = openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", path)
    return base64.b64encode(signed).decode()


def test_either_half_of_a_key_checks_what_openssl_signed(pair):
    kind, private, public = pair
    signed = signature(kind, private, PAYLOAD)
    for half in (private, public):
        key = Key("k", half.read_text(), OWNER)
        assert key.signed(PAYLOAD, signed)
        assert not key.signed(PAYLOAD + b"0", signed)
        assert not key.signed(PAYLOAD, signed[:-8] + "AAAAAA==")
        assert not key.signed(PAYLOAD, "no base64 at all")
        assert not key.signed(PAYLOAD, "")
        assert key.may_log_on == (kind == "ed25519")


def test_hmac_is_compared_whatever_the_case_of_its_digits():
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    told = openssl("dgst", "-sha256", "-hmac", secret, stdin=PAYLOAD).split()[-1].decode()
    key = Key("k", secret, OWNER)
    assert key.signed(PAYLOAD, told.lower())
    assert key.signed(PAYLOAD, told.upper())
    assert not key.signed(PAYLOAD, told[:-1])
    assert not key.signed(PAYLOAD, "ß" * 64)


@pytest.mark.parametrize(
    ("query", "body", "signed"),
    [
        ("a=1&b=2&signature=x", "", "a=1&b=2"),
        ("a=1&signature=x&b=2", "", "a=1&b=2"),
        ("a=1", "b=2&signature=x", "a=1b=2"),
        ("a=1&signature=x", "b=2", "a=1b=2"),
        ("", "a=1&b=2&signature=x", "a=1&b=2"),
        ("", "", ""),
    ],
)
def test_what_is_signed_is_query_and_body_as_sent(query, body, signed):
    assert signed.encode() in signed_forms(query, body)
    assert len(signed_forms(query, body)) == 1


def test_a_signature_may_be_made_before_or_after_percent_encoding():
    forms = list(signed_forms("batchOrders=%5B%7B%22a%22%3A+%221%2B1%22%7D%5D&t=1&signature=x", ""))
    assert forms == [
        b"batchOrders=%5B%7B%22a%22%3A+%221%2B1%22%7D%5D&t=1",
        b'batchOrders=[{"a":+"1+1"}]&t=1',
        b'batchOrders=[{"a": "1+1"}]&t=1',
    ]
    assert unsigned("signature=x") == ""


def test_a_plus_of_base64_that_was_not_encoded_is_read_back():
    assert sent_signature({"signature": "ab cd/e="}) == "ab+cd/e="
    assert sent_signature({}) is None
    assert sent_signature({"signature": 5}) is None


def test_a_ws_api_request_signs_its_parameters_sorted_and_numbers_as_sent():
    params = {"symbol": "BTCUSDC", "quantity": 1, "price": "1.10", "reduceOnly": True, "apiKey": "k", "signature": "x"}
    assert payload_of(params) == b"apiKey=k&price=1.10&quantity=1&reduceOnly=true&symbol=BTCUSDC"


def refused(function, *arguments) -> int:
    """Return the code of a refusal, 0 for none."""
    try:
        function(*arguments)
    except Refused as refusal:
        return refusal.code
    return 0


def test_a_key_has_rights_and_addresses():
    everything, reading = Key("a" * 64, "s", OWNER), Key("b" * 64, "s", OWNER, ["read"])
    near = Key("c" * 64, "s", OWNER, ["read", "trade"], ["10.0.0.1"])
    keys = Keys([everything, reading, near])
    cases = [
        (None, "", "read", -2014),
        ("", "", "read", -2014),
        ("short", "", "read", -2014),
        (7, "", "read", -2014),
        ("d" * 63 + "!", "", "read", -2014),
        ("d" * 64, "", "read", -2015),
        ("a" * 64, "127.0.0.1", "trade", 0),
        ("b" * 64, "127.0.0.1", "read", 0),
        ("b" * 64, "127.0.0.1", "trade", -2015),
        ("c" * 64, "127.0.0.1", "read", -2015),
        ("c" * 64, "10.0.0.1", "trade", 0),
    ]
    for api_key, address, right, code in cases:
        assert refused(keys.of, api_key, address, right) == code, (api_key, address, right)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -1102),
        ({"timestamp": ""}, -1102),
        ({"timestamp": "now"}, -1102),
        ({"timestamp": "-1"}, -1102),
        ({"timestamp": "1_790_000_000_000"}, -1102),
        ({"timestamp": "١٧٩٠٠٠٠٠٠٠٠٠٠"}, -1102),
        ({"timestamp": True}, -1102),
        ({"timestamp": 1_790_000_000}, -1021),  # seconds: long ago
        ({"timestamp": 1_790_000_000_000_000}, -1021),  # microseconds: far ahead
        ({"timestamp": 1_790_000_000_000, "recvWindow": "wide"}, -1130),
        ({"timestamp": 1_790_000_000_000, "recvWindow": ""}, -1130),
        ({"timestamp": 1_789_999_939_999, "recvWindow": 10**9}, -1021),  # no window is wider than a minute
        ({"timestamp": 1_789_999_940_000, "recvWindow": 10**9}, 0),
        ({"timestamp": "1790000000000"}, 0),
    ],
)
def test_times_are_milliseconds_in_digits(params, code):
    assert refused(check_time, params, 1_790_000_000_000) == code


def test_the_two_reasons_of_a_wrong_time_are_told_apart():
    with pytest.raises(Refused, match="was 1000ms ahead of the server's time"):
        check_time({"timestamp": 10**12 + 1000}, 10**12)
    with pytest.raises(Refused, match=r"is outside of the recvWindow\."):
        check_time({"timestamp": 10**12 - 5001}, 10**12)


# ---- the list of keys -------------------------------------------------------------------------------------------


def key_file(folder, name: str, secret: str, mode: int = 0o600):
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode({"api_key": name * 64, "secret": secret}))
    path.chmod(mode)
    return str(path)


def test_listed_keys_belong_to_their_accounts(tmp_path, pair):
    _, _, public = pair
    accounts = {1: OWNER, 2: Account(2, 0, ["USDC"], 0, 0)}
    entries = [
        SimKey(key_file(tmp_path, "a", "text")),
        SimKey(key_file(tmp_path, "b", public.read_text().replace("\n", "\\n")), 2, ["read"], ["127.0.0.1"]),
    ]
    first, second = listed_keys(entries, accounts)
    assert (first.account, first.permissions, first.public_key) == (OWNER, {"read", "trade"}, None)
    assert (second.account, second.permissions, second.addresses) == (accounts[2], {"read"}, {"127.0.0.1"})
    assert second.public_key is not None


def test_an_unusable_key_is_one_clear_error(tmp_path):
    cases = [
        (SimKey(key_file(tmp_path, "a", "text"), 3), "account 3 is not among"),
        (SimKey(key_file(tmp_path, "b", "text", 0o644)), "mode 644"),
        (SimKey(key_file(tmp_path, "c", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")), "no PEM"),
        (SimKey(str(tmp_path / "nothing.json")), "No such file"),
    ]
    for entry, says in cases:
        with pytest.raises(StayDown, match=says) as error:
            listed_keys([entry], {1: OWNER})
        assert "AAAA" not in str(error.value)
