"""Bytes that go to a socket as they are, and connections that break off."""

import socket
import struct

LINGER_NOT = struct.pack("ii", 1, 0)  # what is unsent is thrown away, and the peer is told so


class Raw(bytes):
    """Bytes for the socket as they are, whatever frames are around them. is_last: the connection is reset after it."""

    is_last = False


class Torn(Raw):
    is_last = True


def reset(transport) -> None:
    """Break a TCP connection off, so that the peer's next read fails."""
    if transport is None or transport.is_closing():
        return
    own = transport.get_extra_info("socket")
    if own is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    transport.abort()
