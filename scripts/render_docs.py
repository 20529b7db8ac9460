"""Render the reference pages from the code: records, metrics, and the parameters at the end of docs/strategy.md.

With --check it only says whether they are current.
"""

import re
import sys
from pathlib import Path

import msgspec

from phx import config, config_source, topology
from phx._core import records
from phx.ops import fields, metrics, reload

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTICE = "Rendered from the code by `make docs`; do not edit.\n"


def struct_of(dtype) -> str:
    """Return the name of the struct that a dtype was asked of."""
    (name,) = [name for name, found in fields.structs().items() if [f.name for f in found] == list(dtype.names)]
    return name


def field_rows(dtype) -> list[str]:
    described = fields.structs()[struct_of(dtype)]
    rows = ["| offset | field | type | meaning |", "|---|---|---|---|"]
    for field in described:
        kind, offset = dtype.fields[field.name][:2]
        shape = f"[{kind.shape[0]}]" if kind.shape else ""
        rows.append(f"| {offset} | `{field.name}` | {kind.base.name}{shape} | {field.comment} |")
    return rows


def records_page() -> str:
    lines = ["# Records", "", NOTICE]
    lines += [
        "Every segment is a file `/dev/shm/phx/<instance>/<name>`: a header, then slots of one record type.",
        "Bid and buy are +1, ask and sell −1. `NO_PRICE`, an absent price, is the smallest int64.",
        "",
        "| segment | writer | readers | record | bytes | slots |",
        "|---|---|---|---|---|---|",
    ]
    suffix = {"symbol": ".<symbol>", "instrument": ".<symbol>", "process": ".<process>", "one": ""}
    for row in topology.SEGMENTS.values():
        readers, struct = ", ".join(row.readers), struct_of(row.record)
        name, size = f"{row.name}{suffix[row.per]}", row.record.itemsize
        lines.append(f"| `{name}` | {row.writer} | {readers} | [{struct}](#{struct.lower()}) | {size} | {row.slots} |")
    kinds = {"SegmentHeader": records.SEGMENT_HEADER}
    kinds |= {struct_of(row.record): row.record for row in topology.SEGMENTS.values()}
    for struct, dtype in kinds.items():
        lines += ["", f"## {struct}", "", f"{dtype.itemsize} bytes.", "", *field_rows(dtype)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    lines = ["# Metrics", "", NOTICE]
    lines += [
        "ops serves them at `http://127.0.0.1:9090/metrics` (`ops.metrics_port`). A histogram has a twin",
        '`…_quantile{quantile="0.5|0.99|0.999|1"}`, finer than its buckets.',
    ]
    tables = [("Symbols", "symbol", [(f"phx_{name}", "gauge", text) for name, text, _ in metrics.SYMBOL_GAUGES])]
    tables[0][2].append(("phx_strategy_mode", "gauge", metrics.MODE_TEXT))
    tables[0][2].extend((f"phx_{name}_total", "counter", text) for name, text, _ in metrics.MODE_COUNTERS)
    tables[0][2].extend((f"phx_{name}", "gauge", text) for name, text, _ in metrics.MARK_OUT_GAUGES)
    tables.append(("Account", "", [(f"phx_{name}", "gauge", text) for name, text, *_ in metrics.ACCOUNT_GAUGES]))
    tables[1][2].append(("phx_deadman_remaining_seconds", "gauge", metrics.DEADMAN_TEXT))
    for kind in fields.COUNTER_STRUCTS:
        rows = [(fields.metric_name(kind, f), type_of(f), f.comment) for f in fields.counter_fields(kind)]
        if kind == "process":
            rows.append(("phx_heartbeat_age_seconds", "gauge", metrics.HEARTBEAT_TEXT))
            rows.append(("phx_alerts_total", "counter", metrics.ALERTS_TEXT))
        tables.append((f"Counters of each {kind}", "process" if kind == "process" else "symbol", rows))
    for title, label, rows in tables:
        lines += ["", f"## {title}", ""]
        lines += [f"Label `{label}`.", ""] if label else []
        lines += ["| metric | type | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in rows]
    return "\n".join(lines) + "\n"


PARAMETERS = "## Every parameter\n"
EXAMPLE = DOCS.parent / "config.yaml.example"
COMMENT = re.compile(r"#\s*(?:\[hot\]\s*)?(?P<range>[^:]+): (?P<meaning>.+)$")


def parameters(struct: type = config.SymbolConfig, path: tuple = ()):
    """Yield (path, field) of every key of a symbol, in the order of the file."""
    for described in msgspec.structs.fields(struct):
        here = (*path, described.encode_name)
        if isinstance(described.type, type) and issubclass(described.type, msgspec.Struct):
            yield from parameters(described.type, here)
        else:
            yield here, described


def parameter_rows() -> list[tuple[str, str, str, str, str]]:
    """Return (parameter, default, range and unit, effect, when it is adopted) as the example states them."""
    text = EXAMPLE.read_text()
    source, lines, rows = config_source.read_yaml(text.encode(), EXAMPLE.name), text.splitlines(), []
    for path, _ in parameters():
        whole = ("symbols", "BTCUSDC", *path)
        line = lines[int(source.lines[whole].rpartition(":")[2]) - 1]
        found = COMMENT.search(line)
        if found is None:
            raise SystemExit(f"config.yaml.example: {'.'.join(path)} needs a comment `range unit: effect`")
        shown = line.split("#")[0].partition(":")[2].strip()
        adopted = "hot" if reload.is_hot(".".join(whole)) else "restart"
        rows.append((".".join(path), shown, found["range"], found["meaning"], adopted))
    return rows


def strategy_page() -> str:
    """Return the page: what people wrote above the parameters stays, the table below is rendered."""
    page = DOCS / "strategy.md"
    written = page.read_text().partition(PARAMETERS)[0] if page.exists() else ""
    lines = [written + PARAMETERS, "The keys of one symbol in `config.yaml`. This table is r" + NOTICE[1:]]
    lines += [
        "Fractions are of the price unless said otherwise. `hot`: adopted by `phx reload` while quoting; `restart`: by",
        "the next start. The values are those of BTCUSDC, which hold for every symbol that leaves a key out (`net_max`",
        "and the sizes must be given).",
        "",
        "| parameter | default | range and unit | what it does | adopted |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {shown} | {span} | {effect} | {when} |" for name, shown, span, effect, when in parameter_rows()
    ]
    return "\n".join(lines) + "\n"


def type_of(field: fields.Field) -> str:
    return "histogram" if fields.is_histogram(field) else "gauge" if fields.is_gauge(field) else "counter"


def pages() -> dict[Path, str]:
    """Return the text of every rendered page."""
    return {
        DOCS / "records.md": records_page(),
        DOCS / "metrics.md": metrics_page(),
        DOCS / "strategy.md": strategy_page(),
    }


def main(arguments: list[str]) -> int:
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is not what the code says: make docs")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages()[path])
        print(f"rendered {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
