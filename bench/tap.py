"""A tap on the venue's WebSocket port: relays every byte and stamps ticks going out and orders coming in.

A process of its own, so that it disturbs nobody's loop. It judges from outside, by bytes alone: a chunk of a market
stream that holds a bookTicker, and a chunk of an order connection that is too long for a ping.
"""

import multiprocessing
import selectors
import socket
import time

ORDER_BYTES = 120  # a masked ping or pong is shorter, a place, modify or cancel longer
TICK = b'"bookTicker"'


class Tap:
    """Use as a context: between `port` and the venue while inside; then `ticks_ns` and `orders_ns` are known."""

    def __init__(self, venue_port: int):
        self.venue_port = venue_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ticks_ns: list[int] = []
        self.orders_ns: list[int] = []

    def __enter__(self) -> "Tap":
        context = multiprocessing.get_context("fork")
        self.results, theirs = context.Pipe(duplex=False)
        self.quit, quitting = socket.socketpair()
        self.process = context.Process(target=self._relay, args=(theirs, quitting), daemon=True)
        self.process.start()
        self.listener.close()
        return self

    def __exit__(self, *error):
        self.quit.send(b"q")
        self.ticks_ns, self.orders_ns = self.results.recv()
        self.process.join(10)

    def _relay(self, results, quitting) -> None:
        ticks, orders = [], []
        turns = selectors.DefaultSelector()
        turns.register(self.listener, selectors.EVENT_READ, None)
        turns.register(quitting, selectors.EVENT_READ, quitting)
        while True:
            for ready, _ in turns.select():
                if ready.fileobj is quitting:
                    results.send((ticks, orders))
                    return
                if ready.fileobj is self.listener:
                    self._connect(turns)
                    continue
                source, line = ready.fileobj, ready.data
                chunk = self._read(source)
                if not chunk:
                    for end in (source, line.other):
                        turns.unregister(end)
                        end.close()
                    break  # later events of this turn may be of the other end
                if line.from_client:
                    line.judge(chunk)
                    if line.carries == "orders" and not chunk.startswith(b"GET") and len(chunk) > ORDER_BYTES:
                        orders.append(time.monotonic_ns())
                line.other.sendall(chunk)
                if not line.from_client and TICK in chunk:
                    ticks.append(time.monotonic_ns())

    def _connect(self, turns) -> None:
        client, _ = self.listener.accept()
        venue = socket.create_connection(("127.0.0.1", self.venue_port))
        for end in (client, venue):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        turns.register(client, selectors.EVENT_READ, Line(venue, from_client=True))
        turns.register(venue, selectors.EVENT_READ, Line(client, from_client=False))

    @staticmethod
    def _read(source) -> bytes:
        try:
            return source.recv(1 << 20)
        except ConnectionResetError:
            return b""


class Line:
    """One direction of a connection: where its bytes go, and what the client asked for in its first line."""

    def __init__(self, other, from_client: bool):
        self.other = other
        self.from_client = from_client
        self.carries = ""

    def judge(self, chunk: bytes) -> None:
        if not self.carries:
            self.carries = "orders" if b"/ws-fapi" in chunk.split(b"\r\n", 1)[0] else "streams"


def answers_us(ticks_ns: list[int], orders_ns: list[int], quiet_ns: int = 5_000_000) -> list[float]:
    """Return for the first order of each burst the time since the tick before it, µs, sorted.

    A burst begins after quiet_ns without orders; the tick before it is the newest that had left by then.
    """
    found, tick, last_order = [], -1, 0
    for order_ns in orders_ns:
        while tick + 1 < len(ticks_ns) and ticks_ns[tick + 1] <= order_ns:
            tick += 1
        if tick >= 0 and order_ns - last_order > quiet_ns:
            found.append((order_ns - ticks_ns[tick]) / 1000)
        last_order = order_ns
    return sorted(found)
