"""Which actions of one turn share a request, where the venue takes them by REST.

Ten cancels of a symbol in one request cost the weight of one. Five orders in one request cost five of the ten
seconds' order count, as they would alone, but one of the minute's instead of five; and five units of weight, which
single orders do not cost. So orders share a request only when the minute is what runs out first. Fewer than five may
be charged like five, and go alone; so does everything that takes, which waits for nobody.
"""

from collections.abc import Iterable
from itertools import groupby

from phx._core.action import ActionKind, TimeInForce
from phx.venue.binance.rest import CANCEL_BATCH, PLACE_BATCH, PLACE_BATCH_WEIGHT


def affordable(weight_left: int, orders_left: int) -> int:
    """Return how many batches of orders pay: each saves the larger part of one budget for the smaller of the other.

    weight_left: of what orders may use this minute. orders_left: of the minute's count.
    """
    saved = PLACE_BATCH - 1
    return weight_left // PLACE_BATCH_WEIGHT if saved * weight_left > PLACE_BATCH_WEIGHT * orders_left else 0


def batched(actions: Iterable[dict], place_batches: int) -> list[list[dict]]:
    """Return actions in the groups that go in one request each; at most so many batches of orders.

    Groups and what is in them keep the order of the actions, except that a cancel joins the cancels before it.
    """
    groups: list[list[dict]] = []
    cancels: dict[int, list[dict]] = {}  # of each symbol, the newest group
    for action in actions:
        symbol_id, cancel = action["symbol_id"], action["kind"] == ActionKind.ACTION_CANCEL
        if cancel and 0 < len(cancels.get(symbol_id, ())) < CANCEL_BATCH:
            cancels[symbol_id].append(action)
            continue
        groups.append([action])
        if cancel:
            cancels[symbol_id] = groups[-1]
    return joined(groups, place_batches)


def joined(groups: list[list[dict]], place_batches: int) -> list[list[dict]]:
    """Return the groups with neighbouring quotes of one kind joined by fives."""
    found: list[list[dict]] = []
    for kind, neighbours in groupby(groups, key=quote_kind):
        left = list(neighbours)
        while kind is not None and place_batches > 0 and len(left) >= PLACE_BATCH:
            found.append([action for (action,) in left[:PLACE_BATCH]])
            left, place_batches = left[PLACE_BATCH:], place_batches - 1
        found += left
    return found


def quote_kind(group: list[dict]) -> tuple[int, int] | None:
    """Return what quotes must have in common to share a request; None for what is no quote."""
    action = group[0]
    if action["kind"] != ActionKind.ACTION_PLACE or action["time_in_force"] != TimeInForce.GTX:
        return None
    return action["symbol_id"], action["reduce_only"]
