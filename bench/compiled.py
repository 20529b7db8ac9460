"""Compile the floors (C) and the loops (Cython over our modules) that the benchmarks measure, with the same flags.

The results go to build/bench and are made anew when a source is younger.
"""

import ctypes
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
CORE = ROOT / "phx" / "_core"
BUILT = ROOT / "build" / "bench"
FLAGS = ["-O3", "-fPIC", "-shared", "-fvisibility=default", "-fwrapv", "-ffp-contract=off", "-g0"]
FLAGS += ["-march=native"] if os.environ.get("PHX_NATIVE") == "1" else []


def is_younger(target: Path, sources) -> bool:
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)


def floor(name: str, *link: str) -> ctypes.CDLL:
    """Return bench/floors/<name>.c as a loaded library. link: further arguments for the linker."""
    source = BENCH / "floors" / f"{name}.c"
    target = BUILT / f"{name}.so"
    if not is_younger(target, [source, *(BENCH / "floors").glob("*.h"), *CORE.glob("*.h")]):
        BUILT.mkdir(parents=True, exist_ok=True)
        command = ["cc", *FLAGS, f"-I{CORE}", f"-I{BENCH / 'floors'}", str(source), "-o", str(target), *link]
        subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


def loops(name: str):
    """Return bench/loops/<name>.pyx as an imported module: tight loops over the phx modules it cimports."""
    source = BENCH / "loops" / f"{name}.pyx"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = BUILT / f"{name}{suffix}"
    if not is_younger(target, [source, *CORE.rglob("*.pxd"), *CORE.rglob("*.h"), *(BENCH / "floors").glob("*.h")]):
        BUILT.mkdir(parents=True, exist_ok=True)
        generated = BUILT / f"{name}.c"
        directives = "boundscheck=False,wraparound=False,cdivision=True,initializedcheck=False"
        cython = [sys.executable, "-m", "cython", "-3", "-X", directives, "-I", str(ROOT)]
        subprocess.run([*cython, str(source), "-o", str(generated)], check=True, cwd=ROOT)
        places = [sysconfig.get_path("include"), str(CORE), str(BENCH / "floors"), numpy.get_include()]
        includes = [f"-I{place}" for place in places]
        macro = "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION"
        subprocess.run(["cc", *FLAGS, "-w", macro, *includes, str(generated), "-o", str(target)], check=True)
    spec = importlib.util.spec_from_file_location(name, target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
