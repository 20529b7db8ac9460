"""The project's rules that no linter knows: who may import whom, purity of the core, size and names of files."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PHX = ROOT / "phx"
STAGES = ("feed", "quoter", "gateway", "guardian")

# Top to bottom: a module imports from its own layer's package and from the layers below. Stages never import each
# other, nor do sim and replay.
LAYERS = (
    ("__main__",),
    ("ops", "sim", "replay"),
    STAGES,
    ("venue",),
    (),  # everything else at the top of phx: config, instruments, topology, segment, process, params, recording, ...
    ("_core",),
)
BANNED_NAMES = ("utils", "util", "manager", "helper", "helpers", "misc", "common")
LONGEST_FILE = 600
ONE_DECLARATION = "phx/_core/records.pxd"  # every layout in one place is worth more than a short file
IMPURE = ("time", "os", "random", "socket", "secrets", "datetime", "asyncio", "threading", "subprocess", "mmap")
CLOCKS = re.compile(
    r"\b(clock_gettime|gettimeofday|rdtscp?|__builtin_ia32_rdtscp?)\b|"
    r"\b(time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|mono_ns|utc_ns|boot_ns)\s*\("
)
MACHINE_WORDS = re.compile(r"(?<![\w.])/(root|home|Users|work|mnt)/(?!phx)")  # a path of somebody's own machine


def files(*suffixes: str, under: Path = PHX) -> list[Path]:
    """Return the sources that people wrote; generated C stands beside its .pyx and is not among them."""
    generated = {path.with_suffix(".c") for path in under.rglob("*.pyx")}
    skipped = {".venv", "build", ".git", "run"}
    return sorted(
        path
        for path in under.rglob("*")
        if path.suffix in suffixes and path not in generated and not skipped & set(path.relative_to(under).parts)
    )


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Return the full names of the modules a file imports or cimports, inside functions too."""
    text = path.read_text()
    if path.suffix == ".py":
        found = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = module_of(path).split(".")[: -node.level or None] if node.level else []
                source = ".".join([*base, *([node.module] if node.module else [])])
                found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
        return found
    found = set(re.findall(r"^\s*c?import\s+([\w.]+)", text, re.MULTILINE))
    several = re.compile(r"^\s*from\s+([\w.]+)\s+c?import\s+(?:\(([^)]*)\)|([^(\n]+))", re.MULTILINE)
    for source, in_brackets, in_line in several.findall(text):
        names = re.sub(r"#.*", "", in_brackets or in_line).split(",")
        found |= {source} | {f"{source}.{name.split()[0]}" for name in names if name.strip()}
    return found


def layer_of(module: str) -> int:
    part = module.split(".")[1] if "." in module else ""
    for depth, names in enumerate(LAYERS):
        if part in names:
            return depth
    return LAYERS.index(())


def rooms(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", files(".py", ".pyx", ".pxd"), ids=lambda path: str(path.relative_to(PHX)))
def test_imports_go_down_the_layers_only(path):
    me = module_of(path)
    for other in imports_of(path):
        if not other.startswith("phx.") or other == "phx":
            continue
        assert layer_of(other) >= layer_of(me), f"{me} imports {other}, which is above it"
        for group in (STAGES, ("sim", "replay")):
            if rooms(me) in group and rooms(other) in group:
                assert rooms(me) == rooms(other), f"{me} imports {other}: the way between them is a segment"


def core_files() -> list[Path]:
    edge = PHX / "_core" / "edge"
    return [path for path in files(".pyx", ".pxd", ".py", ".h", under=PHX / "_core") if edge not in path.parents]


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(PHX)))
def test_the_core_is_pure(path):
    if path.suffix != ".h":
        for other in imports_of(path):
            assert not other.startswith("phx.") or other.startswith("phx._core"), f"imports {other}"
            assert not other.startswith("phx._core.edge"), f"imports {other}: only shells may"
            assert other.split(".")[0] not in IMPURE, f"imports {other}"
            assert not other.startswith(("posix", "libc.time", "cpython.time")), f"imports {other}"
    code = re.sub(r"#.*", "", path.read_text()) if path.suffix != ".h" else path.read_text()
    assert not CLOCKS.search(code), f"reads a clock: {CLOCKS.search(code).group()}"
    for call in ("open(", "print(", "rand()", "socket("):
        assert not re.search(rf"(?<![\w.]){re.escape(call)}", code), f"calls {call}"


def test_every_compiled_source_is_in_the_core():
    assert [path for path in files(".pyx", ".pxd") if PHX / "_core" not in path.parents] == []


@pytest.mark.parametrize("folder", ["phx", "tests", "bench", "scripts"])
def test_no_file_is_longer_than_one_reads_in_a_sitting(folder):
    found = {
        str(path.relative_to(ROOT)): length
        for path in files(".py", ".pyx", ".pxd", ".h", ".c", under=ROOT / folder)
        if (length := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    found.pop(ONE_DECLARATION, None)
    assert found == {}


def test_no_file_is_named_after_nothing():
    for path in files(".py", ".pyx", ".pxd", ".h", under=PHX):
        words = re.split(r"[_.]", path.stem)
        assert not set(words) & set(BANNED_NAMES), path


@pytest.mark.parametrize("folder", ["phx", "tests", "bench", "scripts", "docs", "deploy"])
def test_no_text_speaks_of_the_machine_it_was_written_on(folder):
    found = {}
    for path in files(".py", ".pyx", ".pxd", ".h", ".c", ".md", ".yaml", ".conf", ".json", under=ROOT / folder):
        if path != Path(__file__).resolve() and (match := MACHINE_WORDS.search(path.read_text())):
            found[str(path.relative_to(ROOT))] = match.group()
    assert found == {}


@pytest.mark.parametrize("path", files(".py", ".pyx"), ids=lambda path: str(path.relative_to(PHX)))
def test_a_module_begins_by_saying_what_it_is_for(path):
    text = path.read_text()
    if path.name != "__init__.py" or text.strip():
        assert text.lstrip().startswith('"""'), f"{path.name} has no docstring"


def test_the_rules_themselves_catch_an_offender(tmp_path):
    """The parsers of this file, on sources that break the rules."""
    python = tmp_path / "a.py"
    python.write_text("import time\nfrom phx.gateway import process\ndef f():\n    import phx.sim.server\n")
    assert imports_of(python) == {"time", "phx.gateway", "phx.gateway.process", "phx.sim.server"}
    cython = tmp_path / "b.pyx"
    cython.write_text(
        "from phx._core.edge.clock cimport mono_ns\ncimport numpy as np\nfrom phx._core import (records,\n  ring)\n"
    )
    assert {"phx._core.edge.clock", "numpy", "phx._core", "phx._core.records", "phx._core.ring"} <= imports_of(cython)
    assert CLOCKS.search("clock_gettime(CLOCK_MONOTONIC, &t)") and CLOCKS.search("now = mono_ns()")
    assert not CLOCKS.search("recv_mono_ns = event.recv_mono_ns")
    assert layer_of("phx.sim.server") < layer_of("phx.feed.process") < layer_of("phx.venue") < layer_of("phx.config")
