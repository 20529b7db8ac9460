"""The configuration that an instance was started with, kept beside its segments: the ways out must work when the file
that it came from has been spoilt since."""

import contextlib
import re
from pathlib import Path

import msgspec

from phx.config import Config, Global
from phx.durable import write_durably
from phx.overrides import OverrideRefused, read_private

NAME = "started.json"
SHM_DIR = re.compile(rb"^\s*shm_dir:\s*[\"']?([^\"'#\s]+)", re.M)  # found in a text that is no YAML, too


class Started(msgspec.Struct):
    """path: of the file. config: as it was checked and scaled."""

    path: str
    config: dict


def keep(config: Config, path: Path) -> None:
    """Leave the configuration for as long as the instance has shared memory."""
    tree = msgspec.to_builtins(config)
    tree["global"]["run_dir"] = str(config.run_folder())  # whoever asks may stand in another folder
    write_durably(config.shm_folder() / NAME, msgspec.json.encode(Started(str(path), tree)))


def find(path: Path, environ) -> Config | None:
    """Return what the instance of a configuration file was started with; None when it is not one that is found."""
    roots = {Global().shm_dir, environ.get("PHX__GLOBAL__SHM_DIR", "")}
    with contextlib.suppress(OSError):
        roots |= {root.decode(errors="replace") for root in SHM_DIR.findall(path.read_bytes())}
    found = [config for root in filter(None, roots) for config in of_file(path, Path(root))]
    wanted = environ.get("PHX__GLOBAL__INSTANCE")
    fit = [config for config in found if wanted in (None, config.global_.instance)]
    return fit[0] if len(fit) == 1 else None


def of_file(path: Path, root: Path) -> list[Config]:
    """Return the configurations of all instances below a folder that were started by this file."""
    found = []
    for kept in sorted(root.glob(f"*/{NAME}")):
        with contextlib.suppress(OSError, OverrideRefused, msgspec.DecodeError, UnicodeDecodeError):
            started = msgspec.json.decode(read_private(kept), type=Started)
            if started.path == str(path):
                found.append(msgspec.convert(started.config, Config, strict=False))
    return found
