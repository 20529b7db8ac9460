"""Listen keys: which account a private stream belongs to, and until when."""

import secrets
import string

from phx.sim.exchange.account import Account
from phx.sim.refusals import Refused

LIFE_MS = 3_600_000
ALPHANUMERICS = string.ascii_letters + string.digits


class ListenKeys:
    """One active key per account; asking again returns and extends it."""

    def __init__(self):
        self._by_owner: dict[int, str] = {}
        self._until_ms: dict[str, int] = {}
        self._owner: dict[str, int] = {}

    def start(self, account: Account, now_ms: int) -> str:
        key = self._by_owner.get(account.owner)
        if key is None or self._until_ms[key] <= now_ms:
            key = "".join(secrets.choice(ALPHANUMERICS) for _ in range(64))
            self._by_owner[account.owner] = key
            self._owner[key] = account.owner
        self._until_ms[key] = now_ms + LIFE_MS
        return key

    def extend(self, account: Account, now_ms: int) -> str:
        key = self._by_owner.get(account.owner)
        if key is None or self._until_ms[key] <= now_ms:
            raise Refused(-1125)
        self._until_ms[key] = now_ms + LIFE_MS
        return key

    def close(self, account: Account) -> None:
        self._forget(self._by_owner.get(account.owner))

    def key_of(self, account: Account) -> str | None:
        return self._by_owner.get(account.owner)

    def owner_of(self, key: str) -> int:
        """Return whose key it is, 0 if nobody's."""
        return self._owner.get(key, 0)

    def expire(self, now_ms: int) -> list[str]:
        """Forget and return the keys whose life is over."""
        over = [key for key, until in self._until_ms.items() if until <= now_ms]
        for key in over:
            self._forget(key)
        return over

    def _forget(self, key: str | None) -> None:
        if key in self._until_ms:
            del self._until_ms[key]
            owner = self._owner.pop(key)
            # The owner may have started another one since this one's life was over.
            if self._by_owner.get(owner) == key:
                del self._by_owner[owner]
