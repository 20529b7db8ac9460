"""The API keys of the simulated venue that the configuration lists, besides the one every account has."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm

from phx.config import SimKey
from phx.process import StayDown
from phx.sim.exchange.account import Account
from phx.sim.keys.signing import Key
from phx.venue.binance.keys import read_key_file


def listed_keys(entries: Iterable[SimKey], accounts: Mapping[int, Account]) -> list[Key]:
    """Return the keys of a list. Raises StayDown for an unusable file and for an account that is not there."""
    keys = []
    for entry in entries:
        if entry.account not in accounts:
            raise StayDown(f"{entry.file}: account {entry.account} is not among the venue's {len(accounts)}")
        found = read_key_file(Path(entry.file))
        try:
            secret = found.secret.replace("\\n", "\n")  # as some write a PEM into JSON
            keys.append(Key(found.api_key, secret, accounts[entry.account], entry.rights, entry.addresses))
        except (ValueError, UnsupportedAlgorithm):
            raise StayDown(f"key file {entry.file}: its secret is no PEM of an Ed25519 or RSA key") from None
    return keys
