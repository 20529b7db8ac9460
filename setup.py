"""Build the compiled core: every .pyx under phx/_core becomes one extension module.

PHX_DEBUG=1   bounds checks and C asserts, no optimisation
PHX_NATIVE=1  tune for this machine's CPU (the result does not run on an older one)
PHX_ONLY=engine,phx._core.binance.decode   build only these modules (short or full names)
"""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("PHX_DEBUG") == "1"
NATIVE = os.environ.get("PHX_NATIVE") == "1"
ONLY = {name for name in os.environ.get("PHX_ONLY", "").split(",") if name}

# -ffp-contract=off: a replayed decision is compared bit for bit, so no fused multiply-add may slip in.
FLAGS = ["-fvisibility=hidden", "-fno-semantic-interposition", "-ffp-contract=off", "-fwrapv", "-g0"]
FLAGS += ["-O0", "-UNDEBUG"] if DEBUG else ["-O3"]
FLAGS += ["-march=native"] if NATIVE else []

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": DEBUG,
    "embedsignature": True,
    "auto_pickle": False,
    "autotestdict": False,
}


def extensions():
    found = []
    for source in sorted(Path("phx/_core").rglob("*.pyx")):
        name = ".".join(source.with_suffix("").parts)
        if ONLY and name not in ONLY and source.stem not in ONLY:
            continue
        found.append(
            Extension(
                name,
                [str(source)],
                include_dirs=["phx/_core", numpy.get_include()],
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
                depends=[str(header) for header in Path("phx/_core").rglob("*.h")],
                extra_compile_args=FLAGS,
            )
        )
    return found


if __name__ == "__main__":
    setup(ext_modules=cythonize(extensions(), nthreads=2, compiler_directives=DIRECTIVES, quiet=True))
