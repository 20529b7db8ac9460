"""Acts on connections and listen keys."""

import picows

from phx.sim.exchange import wire
from phx.sim.faults.acting import accounts_meant
from phx.sim.faults.switchboard import Active


def meant(venue, active: Active) -> list:
    return [connection for connection in list(venue.connections) if active["route"] in ("", connection.route)]


def disconnect(venue, active: Active, now_ns: int, overlay) -> None:
    for connection in meant(venue, active):
        connection.reset()


def end_of_life(venue, active: Active, now_ns: int, overlay) -> None:
    for connection in meant(venue, active):
        connection.close(picows.WSCloseCode.GOING_AWAY, "")


def half_open(venue, active: Active, now_ns: int, overlay) -> None:
    frozen = meant(venue, active)
    for connection in frozen:
        connection.frozen = True
    # What was not sent is lost; a client that still believes in the connection has no other way to find out.
    active.undo.append(lambda: [connection.reset() for connection in frozen])


def key_expired(venue, active: Active, now_ns: int, overlay) -> None:
    for account, key in keys_meant(venue, active):
        venue.listen_keys.close(account)
        venue.hub.send(key, wire.listen_key_expired(key, venue.now_ms()))
        venue.hub.listeners.pop(key, None)


def key_lost(venue, active: Active, now_ns: int, overlay) -> None:
    for account, key in keys_meant(venue, active):
        venue.listen_keys.close(account)
        venue.hub.listeners.pop(key, None)


def keys_meant(venue, active: Active) -> list:
    found = [(account, venue.listen_keys.key_of(account)) for account in accounts_meant(venue, active)]
    return [(account, key) for account, key in found if key is not None]
