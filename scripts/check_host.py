"""Check, before anything is installed, that this host can build phx; as root on Debian or Ubuntu, make it so.

Run with any python3 and nothing else: it is the first thing that `make` does on a fresh machine.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig

NEEDED = (3, 11)


def missing():
    """Return (what is missing, the Debian package that has it) for everything the build needs."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    headers = os.path.join(sysconfig.get_path("include"), "Python.h")
    checks = (
        ("a C compiler", "gcc", shutil.which("gcc") or shutil.which("cc")),
        ("the C library's headers", "libc6-dev", os.path.exists("/usr/include/stdio.h")),
        ("Python's headers", version + "-dev", os.path.exists(headers)),
        ("Python's venv module", version + "-venv", importlib.util.find_spec("ensurepip")),
        ("make", "make", shutil.which("make")),
    )
    return [(what, package) for what, package, found in checks if not found]


def install(packages):
    """Install packages with apt; return whether that is possible here and worked."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print("installing " + " ".join(packages))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.call(["apt-get", "update", "-qq"], env=environment)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    return subprocess.call(command, env=environment, stdout=subprocess.DEVNULL) == 0


def other_python():
    """Return the name of a newer python on the path, or None."""
    for minor in range(20, NEEDED[1] - 1, -1):
        if shutil.which(f"python3.{minor}"):
            return f"python3.{minor}"
    return None


def main():
    """Return 0 when phx can be built here, else 1 with one line that says what to do."""
    if sys.version_info < NEEDED:
        newer = other_python()
        hint = "run: make PYTHON=" + newer if newer else "install python3.11 or newer"
        print(f"phx needs Python 3.11 or newer, this is {sys.version_info[0]}.{sys.version_info[1]}; {hint}")
        return 1
    lacking = missing()
    packages = [package for _, package in lacking]
    if lacking and install(packages):
        importlib.invalidate_caches()
        lacking = missing()
        packages = [package for _, package in lacking]
    if lacking:
        what = ", ".join(what for what, _ in lacking)
        print(f"missing: {what}; run: sudo apt-get install -y {' '.join(packages)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
