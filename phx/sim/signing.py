"""Who signed a request: HMAC-SHA256 or Ed25519 over the bytes as sent, with the venue's timing rules."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from phx.sim.account import Account
from phx.sim.refusals import Refused

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
EARLY_MS = 1000


class Key:
    """An API key of an account. The secret is text for HMAC, or a PEM private key whose public half checks."""

    def __init__(self, api_key: str, secret: str, account: Account):
        self.api_key = api_key
        self.account = account
        self.public_key: Ed25519PublicKey | None = None
        self._secret = secret.encode()
        if secret.lstrip().startswith("-----BEGIN"):
            self.public_key = load_pem_private_key(self._secret, password=None).public_key()

    def signed(self, payload: bytes, signature: str) -> bool:
        if self.public_key is None:
            expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        try:
            self.public_key.verify(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class Keys:
    """The keys the venue knows."""

    def __init__(self, keys: Iterable[Key]):
        self._keys = {key.api_key: key for key in keys}

    def of(self, api_key: str | None) -> Key:
        """Return a known key; -2014 without one, -2015 for an unknown one."""
        if not api_key or not isinstance(api_key, str):
            raise Refused(-2014)
        key = self._keys.get(api_key)
        if key is None:
            raise Refused(-2015)
        return key

    def check(self, key: Key, payloads: Iterable[bytes], signature: str | None) -> None:
        """Refuse a request whose signature fits none of the forms its payload may have been signed in."""
        if not signature or not isinstance(signature, str):
            raise Refused(-1102, "signature")
        if not any(key.signed(payload, signature) for payload in payloads):
            raise Refused(-1022)


def check_time(params: dict, now_ms: int) -> None:
    """Refuse a request that is too old or too far ahead of the venue's clock."""
    try:
        timestamp = int(params["timestamp"])
    except (KeyError, ValueError, TypeError):
        raise Refused(-1102, "timestamp") from None
    try:
        window_ms = int(params.get("recvWindow", DEFAULT_RECV_WINDOW_MS))
    except (ValueError, TypeError):
        raise Refused(-1102, "recvWindow") from None
    if timestamp >= now_ms + EARLY_MS:
        raise Refused(-1021, message="Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > min(window_ms, MAX_RECV_WINDOW_MS):
        raise Refused(-1021)
