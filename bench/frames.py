"""Frames of market data as the venue sends them today, in one block with readable bytes behind each."""

import random
from typing import NamedTuple

import numpy as np

SLACK = 256


class Frames(NamedTuple):
    """texts: the frames. blob: all of them, SLACK bytes after each. starts, sizes: where they are in it."""

    texts: list[bytes]
    blob: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


def block(texts: list[bytes]) -> Frames:
    blob = b"".join(text + bytes(SLACK) for text in texts)
    sizes = np.array([len(text) for text in texts], np.uint64)
    starts = np.concatenate([[0], np.cumsum(sizes + np.uint64(SLACK))[:-1]]).astype(np.uint64)
    return Frames(texts, np.frombuffer(blob, np.int8), starts, sizes)


def book_tickers(count: int = 2000, seed: int = 1) -> Frames:
    draw, texts, tick, update_id, ms = random.Random(seed), [], 645_000, 11_671_659_685_961, 1_790_526_538_939
    for _ in range(count):
        tick += draw.randint(-3, 3)
        update_id += draw.randint(1, 4000)
        ms += draw.randint(0, 40)
        texts.append(
            b'{"stream":"btcusdc@bookTicker","data":{"e":"bookTicker","u":%d,"s":"BTCUSDC","ps":"BTCUSDC",'
            b'"b":"%d.%d0","B":"%d.%03d","a":"%d.%d0","A":"%d.%03d","T":%d,"E":%d,"st":1}}'
            % (
                update_id,
                *divmod(tick, 10),
                *divmod(draw.randint(1, 30_000), 1000),
                *divmod(tick + 1, 10),
                *divmod(draw.randint(1, 30_000), 1000),
                ms,
                ms + draw.randint(0, 1),
            )
        )
    return block(texts)


def depths(count: int = 500, levels: int = 20, seed: int = 1) -> Frames:
    draw, texts, tick, update_id, ms = random.Random(seed), [], 645_000, 11_671_659_685_961, 1_790_526_538_939
    for _ in range(count):
        tick += draw.randint(-20, 20)
        first, update_id = update_id + 1, update_id + draw.randint(50, 4000)
        ms += draw.randint(20, 120)
        sides = []
        for side in (-1, 1):
            distances = sorted(draw.sample(range(1, 8000), levels), reverse=side < 0)
            prices = [divmod(tick + side * distance, 10) for distance in distances]
            qtys = [divmod(draw.randint(0, 3) and draw.randint(1, 40_000), 1000) for _ in prices]
            pairs = zip(prices, qtys, strict=True)
            sides.append(b",".join(b'["%d.%d0","%d.%03d"]' % (*price, *qty) for price, qty in pairs))
        texts.append(
            b'{"stream":"btcusdc@depth@0ms","data":{"e":"depthUpdate","E":%d,"T":%d,"s":"BTCUSDC","ps":"BTCUSDC",'
            b'"U":%d,"u":%d,"pu":%d,"b":[%s],"a":[%s],"st":1}}' % (ms + 4, ms, first, update_id, first - 1, *sides)
        )
    return block(texts)
