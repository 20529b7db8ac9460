"""What a connection of the simulated venue writes: whole frames, in order, once a turn of the loop."""

import asyncio

import pytest

from phx.sim.api.connection import Connection, Timing, text_head
from phx.sim.faults.wire import Raw


class Wire:
    """Stands for picows' transport and the one below it; keeps what was written."""

    is_disconnected = False

    def __init__(self):
        self.written = []
        self.underlying_transport = self

    def set_write_buffer_limits(self, high):
        pass

    def write(self, data):
        self.written.append(bytes(data))

    def send_close(self, code, reason):
        self.written.append(b"close %d" % code)

    def disconnect(self, graceful=True):
        pass


def after(act):
    """Return what a connection wrote in the turns of the loop in which `act` was called with it, and in the next."""

    async def turns():
        wire, connection = Wire(), Connection(Timing(), set(), "public")
        connection.on_ws_connected(wire)
        act(connection)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.on_ws_disconnected(wire)
        return wire.written

    return asyncio.run(turns())


def test_messages_of_one_turn_are_written_at_once_and_in_order():
    assert after(lambda one: [one.write(b"first"), one.write(b"second")]) == [b"\x81\x05first\x81\x06second"]


def test_what_was_sent_before_goes_before_a_close_and_nothing_after_it():
    def act(one):
        one.write(b"last words")
        one.close(1008, "enough")
        one.write(b"too late")

    assert after(act) == [b"\x81\x0alast words", b"close 1008"]


def test_bytes_that_are_no_message_keep_their_place():
    raw = Raw(b"\x81\x7f")
    assert after(lambda one: [one.write(b"a"), one.write(raw), one.write(b"b")])[:2] == [b"\x81\x01a", b"\x81\x7f"]


def test_nothing_passes_a_frozen_connection():
    def act(one):
        one.write(b"a")
        one.frozen = True

    assert after(act) == []


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_head_of_a_message_tells_its_size(size, head):
    assert text_head(size) == head
