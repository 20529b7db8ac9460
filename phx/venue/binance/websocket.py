"""WebSocket connections to the venue: bounded frames, no redirects, and an end that the listener alone is told."""

import asyncio
import contextlib

from picows import WSError, WSListener, ws_connect

LARGEST_FRAME_BYTES = 1 << 20

hearing: set[asyncio.Task] = set()  # a task that nobody holds may be thrown away


async def connect(listener, url: str, **options) -> WSListener:
    """Connect; return the listener that `listener()` makes. Raises WSError, OSError, TimeoutError."""
    transport, made = await ws_connect(
        listener,
        url,
        max_frame_size=LARGEST_FRAME_BYTES,
        max_redirects=0,
        **options,
    )
    task = asyncio.create_task(hear_end(transport))
    hearing.add(task)
    task.add_done_callback(hearing.discard)
    return made


async def hear_end(transport) -> None:
    """Take the reason for a connection's end, which its listener knows, so that nobody else reports it as an error."""
    with contextlib.suppress(WSError, OSError):
        await transport.wait_disconnected()
