"""An invented recording: a book that drifts, jumps through our quotes now and then, and trades at its best prices."""

import gzip
import json
from pathlib import Path
from random import Random

BEGIN_NS = 1_721_347_020_000_000_000
STEP_NS = 20_000_000
LEVELS = 30


def book_at(mid_ticks: int, dice: Random) -> dict[int, dict[int, int]]:
    return {side: {mid_ticks - side * i: dice.randint(1, 3000) for i in range(1, LEVELS + 1)} for side in (1, -1)}


def write(
    path: Path,
    seconds: float = 20,
    seed: int = 1,
    symbol: str = "BTCUSDT",
    jump_ticks: int = 400,
    jump_s: float = 1.0,
    lose_at: float | None = None,
    snapshots_at: tuple[float, ...] = (0.1,),
    marks: tuple[tuple[float, str, str, int], ...] = (),
) -> Path:
    """Write a recording of a symbol with tick 0.1 and lot 0.001.

    Every jump_s the market jumps by up to jump_ticks. lose_at: when a delta is missing. snapshots_at: when an answer of
    REST /depth stands in the file. marks: (when, mark price, predicted funding rate, seconds from the beginning to the
    next funding time).
    """
    dice, stamp, mid, update_id, trade_id = Random(seed), BEGIN_NS, 640_000, 1_000, 500
    lines, steps, due = [], int(seconds * 1e9 / STEP_NS), list(snapshots_at)
    before: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def put(event: dict, kind: str = "") -> None:
        body = {"stream": f"{symbol.lower()}@{kind}", "data": event} if kind else event
        lines.append(f"{stamp} {json.dumps(body, separators=(',', ':'))}")

    def texts(levels) -> list[list[str]]:
        return [[f"{ticks / 10:.1f}", f"{lots / 1000:.3f}"] for ticks, lots in levels]

    for step in range(steps):
        at_s, now_ms = step * STEP_NS / 1e9, stamp // 10**6
        times = {"E": now_ms, "T": now_ms, "s": symbol}
        mid += dice.randint(-2, 2)
        if step % int(jump_s * 1e9 / STEP_NS) == 0:
            mid += dice.randint(-jump_ticks, jump_ticks)
        book, best = book_at(mid, dice), (mid - 1, mid + 1)
        changes = {
            side: sorted({**dict.fromkeys(before[side], 0), **book[side]}.items(), reverse=side > 0) for side in (1, -1)
        }
        ids = {"U": update_id + 1, "u": update_id + 10, "pu": update_id}
        update_id, before = update_id + 10, book
        sides = {"b": texts(changes[1]), "a": texts(changes[-1])}
        if lose_at is None or not lose_at <= at_s < lose_at + STEP_NS / 1e9:
            put({"e": "depthUpdate", **times, **ids, **sides}, "depth@0ms")
        stamp += 200_000
        (bid, ask), (bid_lots, ask_lots) = texts([(t, 1) for t in best]), (book[1][best[0]], book[-1][best[1]])
        top = {"b": bid[0], "B": f"{bid_lots / 1000:.3f}", "a": ask[0], "A": f"{ask_lots / 1000:.3f}"}
        put({"e": "bookTicker", "u": update_id, "s": symbol, **top, "T": now_ms, "E": now_ms}, "bookTicker")
        stamp += 200_000
        if dice.random() < 0.5:
            maker_buys = dice.random() < 0.5
            trade_id += 1
            price, qty = bid[0] if maker_buys else ask[0], f"{dice.randint(1, 500) / 1000:.3f}"
            put({"e": "trade", **times, "t": trade_id, "p": price, "q": qty, "X": "MARKET", "m": maker_buys}, "trade")
        for when, price, rate, next_s in marks:
            if when <= at_s < when + STEP_NS / 1e9:
                event = {"e": "markPriceUpdate", "E": now_ms, "s": symbol, "p": price, "r": rate}
                put({**event, "T": BEGIN_NS // 10**6 + next_s * 1000}, "markPrice")
        if due and at_s >= due[0]:
            due.pop(0)
            whole = {
                name: texts(sorted(book[side].items(), reverse=side > 0)) for name, side in (("bids", 1), ("asks", -1))
            }
            put({"lastUpdateId": update_id, "E": now_ms, "T": now_ms, **whole})
        stamp += STEP_NS - 400_000
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 1))
    return path
