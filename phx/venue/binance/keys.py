"""Credentials: where they come from, who may read them, how they sign, and that they never show.

Only gateway and guardian load them. Sources, in this order: PHX_API_KEY and PHX_API_SECRET in the environment (removed
from it at once), the file in which `phx up` handed those on (key_handover.py), the file that venue.key_file names,
which only its owner may read, or for the simulated venue a key made on the spot.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from phx import hardening, key_handover
from phx.durable import write_whole
from phx.process import StayDown

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class Secret:
    """Bytes that show as *** wherever they are printed, formatted, logged or pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes):
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes. The caller keeps them out of logs, errors, shared memory and files."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self):
        return Secret, (b"***",)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo) -> "Secret":
        return self

    def __eq__(self, other) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None


class Credentials:
    """An API key with what signs for it. key_type: "hmac" (secret text) or "ed25519" (secret is a PKCS#8 PEM)."""

    def __init__(self, api_key: str, secret: bytes, key_type: str = "hmac"):
        self.api_key = Secret(api_key.encode("ascii"))
        self.secret = Secret(secret)
        self.key_type = key_type
        hardening.keep_out_of_swap(self.secret.reveal())
        if key_type == "ed25519":
            self._private_key = read_ed25519(secret)
        else:
            self._keyed = hmac.new(secret, digestmod=hashlib.sha256)  # copied per signature: the key is hashed once

    def __repr__(self) -> str:
        return f"Credentials({self.key_type}, ***)"

    def __reduce__(self):
        raise TypeError("credentials are not pickled")

    def sign(self, payload: bytes) -> str:
        """Return the signature text of a payload: hex for HMAC, base64 for Ed25519 (to be percent-encoded in a URL)."""
        if self.key_type == "ed25519":
            return base64.b64encode(self._private_key.sign(payload)).decode()
        keyed = self._keyed.copy()
        keyed.update(payload)
        return keyed.hexdigest()


def read_ed25519(pem: bytes) -> Ed25519PrivateKey:
    """Return the private key of an unencrypted PKCS#8 PEM. Raises StayDown without quoting any of it."""
    try:
        # An environment variable cannot hold line ends in every shell.
        key = load_pem_private_key(pem.replace(b"\\n", b"\n"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise StayDown("the API secret is no unencrypted PKCS#8 PEM, which venue.key_type ed25519 needs") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StayDown(f"the API secret is a {type(key).__name__}, expected an Ed25519 private key")
    return key


class KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The key file's JSON."""

    api_key: str
    secret: str


def load(config) -> Credentials:
    """Return the credentials of the configured venue. Raises StayDown that says what to do."""
    credentials = found(config)
    bind(config.run_folder(), credentials.api_key, config.venue.environment)
    return credentials


def bind(run_folder: Path, api_key: Secret, environment: str) -> None:
    """Remember where a key belongs, by its fingerprint; refuse one that was used in another environment before."""
    path = run_folder / "key_environments.json"
    fingerprint = hashlib.sha256(api_key.reveal()).hexdigest()[:16]
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        known = {}
    except UNREADABLE as error:
        raise StayDown(f"{path}: {error}; remove it to let keys choose their environment anew") from None
    belongs = known.get(fingerprint)
    if belongs == environment:
        return
    if belongs is not None:
        raise StayDown(
            f"the API key {fingerprint} belongs to {belongs}, venue.environment is {environment}: "
            f"use a key of its own there ({path})"
        )
    run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(known | {fingerprint: environment}))


def found(config) -> Credentials:
    """Return the credentials from the first source that has them. Raises StayDown that says what to do."""
    from_environment = [os.environ.pop(name, "") for name in key_handover.VARIABLES]
    handed = os.environ.pop(key_handover.PATH_VARIABLE, "")
    venue = config.venue
    if venue.environment == "sim" and not venue.key_file:
        # Real keys are never shown to the simulator, even when they happen to be in the environment.
        return made(read_key_file(sim_key_file(config.run_folder())), "hmac")
    if all(from_environment) and venue.environment != "sim":
        return made(KeyFile(*from_environment), venue.key_type)
    if handed and venue.environment != "sim" and Path(handed).exists():
        return made(read_key_file(Path(handed)), venue.key_type)
    if venue.key_file:
        return made(read_key_file(Path(venue.key_file)), venue.key_type)
    names = " and ".join(key_handover.VARIABLES)
    raise StayDown(
        f"no API key for {venue.environment}: set {names}, or venue.key_file to a file of "
        'mode 600 that holds {"api_key": "…", "secret": "…"}'
    )


def made(key: KeyFile, key_type: str) -> Credentials:
    if not key.api_key.isascii() or not key.api_key.isprintable() or not key.api_key or not key.secret:
        raise StayDown("the API key or secret is empty or not plain text")
    return Credentials(key.api_key, key.secret.encode(), key_type)


def read_key_file(path: Path) -> KeyFile:
    """Return what a key file holds, after proving that nobody else can read it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise StayDown(f"key file {path}: {error.strerror}; expected a plain file of mode 600") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise StayDown(f"key file {path}: not a plain file")
        if status.st_uid != os.geteuid():
            raise StayDown(f"key file {path}: owned by uid {status.st_uid}, expected {os.geteuid()}")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o177:
            raise StayDown(f"key file {path}: mode {mode:o}, expected 600 (chmod 600 {path})")
        body = os.read(fd, 16384)
    finally:
        os.close(fd)
    try:
        return msgspec.json.decode(body, type=KeyFile)
    except UNREADABLE:
        raise StayDown(f'key file {path}: expected {{"api_key": "…", "secret": "…"}}') from None


def sim_key_file(run_folder: Path) -> Path:
    """Return the simulator's key file, made with random content by whoever comes first; it appears whole."""
    path = run_folder / "sim.key"
    if path.exists():
        return path
    run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = run_folder / f"sim.key.tmp{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        key = KeyFile(api_key=secrets.token_hex(32), secret=secrets.token_hex(32))
        os.write(fd, msgspec.json.encode(key))
        os.link(temporary, path)  # refuses to replace what another process made meanwhile
    except FileExistsError:
        pass
    finally:
        os.close(fd)
        temporary.unlink()
    return path
