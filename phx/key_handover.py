"""How a key from the environment of `phx up` or `phx run` reaches gateway and guardian, and nobody else.

An environment is inherited by every child and shown in /proc, so the starter moves the key out of it into a file of
mode 0600 beside the segments: in memory, gone with them when the instance ends. Only the two that hold keys are told
where it is. The simulated venue gets no real key, so for it the variables are only forgotten.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

import msgspec

from phx.hardening import harden
from phx.segment import private_folder

VARIABLES = ("PHX_API_KEY", "PHX_API_SECRET")
PATH_VARIABLE = "PHX_KEY_FILE"


def path(config) -> Path:
    return config.shm_folder() / "venue.key"


def give(config, environ: MutableMapping[str, str]) -> None:
    """Take the key out of `environ` and, where the venue wants one, write it for gateway and guardian."""
    found = [environ.pop(name, "") for name in VARIABLES]
    environ.pop(PATH_VARIABLE, None)
    if any(found):
        harden()  # what the kernel still shows of our first environment is for no other process of this user
    target = path(config)
    target.unlink(missing_ok=True)
    if not all(found) or config.venue.environment == "sim":
        return
    private_folder(target.parent)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, msgspec.json.encode({"api_key": found[0], "secret": found[1]}))
    finally:
        os.close(fd)
