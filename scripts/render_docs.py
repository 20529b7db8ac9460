"""Render docs/records.md and docs/metrics.md from the code; with --check only say whether they are current."""

import sys
from pathlib import Path

from phx import topology
from phx._core import records
from phx.ops import fields, metrics

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
        tables.append((f"Counters of each {kind}", "process" if kind == "process" else "symbol", rows))
    for title, label, rows in tables:
        lines += ["", f"## {title}", ""]
        lines += [f"Label `{label}`.", ""] if label else []
        lines += ["| metric | type | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in rows]
    return "\n".join(lines) + "\n"


def type_of(field: fields.Field) -> str:
    return "histogram" if fields.is_histogram(field) else "gauge" if fields.is_gauge(field) else "counter"


def pages() -> dict[Path, str]:
    """Return the text of every rendered page."""
    return {DOCS / "records.md": records_page(), DOCS / "metrics.md": metrics_page()}


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
