"""Runs inside supervisord: a child that ended is replaced at once, not when supervisord next looks, once a second.

supervisord waits for its sockets; a signal alone does not end that wait. So SIGCHLD writes into a pipe that it waits
for like for any other socket. A process that must not come back so soon pauses itself before it ends.
"""

import contextlib
import os
import signal


class ChildEnded:
    """The pipe as supervisord's loop wants its sockets. Starting anew what was reaped is that loop's next step."""

    def __init__(self, supervisord):
        self.supervisord = supervisord
        self.fd, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        self.supervisord.reap()

    def handle_error(self) -> None:
        self.supervisord.options.logger.warn("reaper: could not look for ended children; the next look is in a second")


def install(supervisord, **settings) -> object:
    """Have supervisord wait for the pipe too. Called by it as the factory of an RPC interface, which has no methods."""
    ended = ChildEnded(supervisord)
    supervisord.options.get_socket_map()[ended.fd] = ended
    return object()
