"""Who listens to which stream, and which path of the venue carries it. A message is encoded once for all listeners."""

PUBLIC_KINDS = ("bookTicker", "depth", "rpiDepth", "trade")


def path_of(stream: str) -> str:
    """Return the path that carries a stream: public, market or private; private streams are listen keys."""
    _, at, kind = stream.partition("@")
    if stream.startswith("!"):
        return "public" if stream == "!bookTicker" else "market"
    if not at:
        return "market" if stream == "tradingSession" else "private"
    return "public" if kind.startswith(PUBLIC_KINDS) else "market"


class Hub:
    """Stream name → the connections that asked for it. A connection has send(stream, payload)."""

    def __init__(self):
        self.listeners: dict[str, dict] = {}  # connections in the order they came
        self._named: tuple[str, bytes] | None = None
        self._enveloped = b""

    def subscribe(self, stream: str, connection) -> None:
        self.listeners.setdefault(stream, {})[connection] = None

    def unsubscribe(self, stream: str, connection) -> None:
        listening = self.listeners.get(stream)
        if listening:
            listening.pop(connection, None)
            if not listening:
                del self.listeners[stream]

    def wanted(self, stream: str) -> bool:
        return stream in self.listeners

    def send(self, stream: str, text: str) -> None:
        """Send a payload to everybody who listens."""
        payload = text.encode()
        for connection in list(self.listeners.get(stream, ())):
            connection.send(stream, payload)

    def in_envelope(self, stream: str, payload: bytes) -> bytes:
        """Return a payload as combined streams carry it. Made once for the listeners of one message."""
        if self._named is None or self._named[1] is not payload or self._named[0] != stream:
            self._named = stream, payload
            self._enveloped = b'{"stream":"%b","data":%b}' % (stream.encode(), payload)
        return self._enveloped
