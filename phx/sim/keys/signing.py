"""Who signed a request: HMAC-SHA256, Ed25519 or RSA over the bytes as sent, with the venue's timing rules."""

import base64
import binascii
import hashlib
import hmac
import re
import string
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from phx.sim.exchange.account import Account
from phx.sim.refusals import Refused

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
EARLY_MS = 1000
API_KEY = re.compile(r"[A-Za-z0-9]{64}")
READ, TRADE = "read", "trade"


class Key:
    """An API key of an account: what checks its signatures, what it may do and from where.

    secret: text for HMAC; a PEM of either half for Ed25519 and RSA, of which only the public half is kept.
    addresses: where its requests may come from, empty for anywhere. Raises ValueError for an unusable PEM.
    """

    def __init__(
        self,
        api_key: str,
        secret: str,
        account: Account,
        permissions: Iterable[str] = (READ, TRADE),
        addresses: Iterable[str] = (),
    ):
        self.api_key = api_key
        self.account = account
        self.permissions = frozenset(permissions)
        self.addresses = frozenset(addresses)
        self.public_key: Ed25519PublicKey | RSAPublicKey | None = None
        self._secret = b""
        if secret.lstrip().startswith("-----BEGIN"):
            self.public_key = public_half(secret.encode())
        else:
            self._secret = secret.encode()

    @property
    def may_log_on(self) -> bool:
        """Return whether sessions of the WS-API accept the key: those are for Ed25519."""
        return isinstance(self.public_key, Ed25519PublicKey)

    def signed(self, payload: bytes, signature: str) -> bool:
        if self.public_key is None:
            expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        try:
            given = base64.b64decode(signature, validate=True)
            if isinstance(self.public_key, RSAPublicKey):
                self.public_key.verify(given, payload, PKCS1v15(), SHA256())
            else:
                self.public_key.verify(given, payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def public_half(pem: bytes) -> Ed25519PublicKey | RSAPublicKey:
    """Return the public key of a PEM that holds either half."""
    if b"PRIVATE KEY" in pem:
        key = load_pem_private_key(pem, password=None).public_key()
    else:
        key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey | RSAPublicKey):
        raise ValueError(f"found {type(key).__name__}, expected an Ed25519 or RSA key")
    return key


class Keys:
    """The keys the venue knows."""

    def __init__(self, keys: Iterable[Key]):
        self._keys = {key.api_key: key for key in keys}

    def of(self, api_key: str | None, address: str = "", permission: str = READ) -> Key:
        """Return a known key; -2014 without a well-formed one, -2015 for an unknown one or one without the right."""
        if not isinstance(api_key, str):
            raise Refused(-2014)
        key = self._keys.get(api_key)
        if key is None:
            raise Refused(-2015 if API_KEY.fullmatch(api_key) else -2014)
        if permission not in key.permissions or (key.addresses and address not in key.addresses):
            raise Refused(-2015)
        return key

    def check(self, key: Key, payloads: Iterable[bytes], signature: str | None) -> None:
        """Refuse a request whose signature fits none of the forms its payload may have been signed in."""
        if not signature or not isinstance(signature, str):
            raise Refused(-1102, "signature")
        if not any(key.signed(payload, signature) for payload in payloads):
            raise Refused(-1022)


def signed_forms(raw_query: str, raw_body: str) -> Iterable[bytes]:
    """Return what a client may have signed: query and body as sent, one after the other without the signature.

    Clients disagree on whether to sign before or after percent-encoding: either is accepted.
    """
    sent = unsigned(raw_query) + unsigned(raw_body)
    return dict.fromkeys(form.encode() for form in (sent, unquote(sent), unquote_plus(sent)))


def unsigned(raw: str) -> str:
    """Return a query string without its signature."""
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


def sent_signature(params: dict) -> str | None:
    """Return a request's signature. An unencoded + of base64 has become a space by the rules of forms."""
    signature = params.get("signature")
    return signature.replace(" ", "+") if isinstance(signature, str) else None


def payload_of(params: dict) -> bytes:
    """Return what a WS-API request signs: all parameters but the signature, sorted by name."""
    return "&".join(f"{k}={text_of(v)}" for k, v in sorted(params.items()) if k != "signature").encode()


def text_of(value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def check_time(params: dict, now_ms: int) -> None:
    """Refuse a request that is too old or too far ahead of the venue's clock."""
    timestamp = whole_ms(params.get("timestamp"), "timestamp", -1102)
    window_ms = whole_ms(params.get("recvWindow", DEFAULT_RECV_WINDOW_MS), "recvWindow", -1130)
    if timestamp >= now_ms + EARLY_MS:
        raise Refused(-1021, message="Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > min(window_ms, MAX_RECV_WINDOW_MS):
        raise Refused(-1021)


def whole_ms(value, name: str, code: int) -> int:
    """Return a time of digits alone; refuse anything else, among it what only Python takes for a number."""
    text = str(value)
    if isinstance(value, bool) or not text or text.strip(string.digits):
        raise Refused(code, name)
    return int(text)
