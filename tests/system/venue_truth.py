"""What the simulated venue's own history says about a run, computed here from its orders and fills alone."""

from dataclasses import dataclass

from phx.instruments import ONE_E8, Instrument


@dataclass
class Books:
    """Average-cost accounting in tick·lots, fill by fill: the reference for the gateway's own totals."""

    position_lots: int = 0
    open_cost_ticklots: int = 0
    realised_ticklots: int = 0
    volume_ticklots: int = 0
    fees_e8: int = 0
    fills: int = 0

    def apply(self, side: int, price_ticks: int, lots: int, fee_e8: int) -> None:
        closing = min(lots, max(0, -side * self.position_lots))
        if closing:
            # Rounded towards zero, so that a short's books are a long's with the sign changed.
            cost = -side * (abs(self.open_cost_ticklots) * closing // abs(self.position_lots))
            self.realised_ticklots += -side * closing * price_ticks - cost
            self.open_cost_ticklots -= cost
        self.open_cost_ticklots += side * (lots - closing) * price_ticks
        self.position_lots += side * lots
        self.volume_ticklots += lots * price_ticks
        self.fees_e8 += fee_e8
        self.fills += 1


def side_of(order: dict) -> int:
    return 1 if order["side"] == "BUY" else -1


def fee_e8(fill: dict) -> int:
    return round(float(fill["fee"]) * ONE_E8)


def fills_of(orders: list[dict]) -> list[tuple[dict, dict]]:
    """Return (order, fill) of every fill in the order of the venue's trade ids."""
    return sorted(((o, f) for o in orders for f in o["fills"]), key=lambda pair: pair[1]["id"])


def books_of(orders: list[dict], instrument: Instrument) -> Books:
    """Return the totals that the venue's fills lead to."""
    books = Books()
    for order, fill in fills_of(orders):
        books.apply(side_of(order), instrument.ticks(fill["price"]), instrument.lots(fill["qty"]), fee_e8(fill))
    return books


def largest_worst_cases(orders: list[dict], instrument: Instrument) -> dict[int, int]:
    """Return side → the largest position that open orders could have led to at any moment of the history, in lots.

    Times are whole milliseconds; within one, orders are taken to leave last and to come first, so that what is returned
    is never less than what really was.
    """
    steps = []  # time, rank within it, change of the side's open lots, change of the position
    for order in orders:
        side, lots = side_of(order), instrument.lots(order["origQty"])
        steps.append((order["time"], 0, side, lots, 0))
        for fill in order["fills"]:
            qty = instrument.lots(fill["qty"])
            steps.append((fill["time"], 1, side, -qty, side * qty))
            lots -= qty
        if order["status"] not in ("NEW", "PARTIALLY_FILLED"):
            steps.append((order["updateTime"], 2, side, -lots, 0))
    steps.sort(key=lambda step: step[:2])
    open_lots, position, largest = {1: 0, -1: 0}, 0, {1: 0, -1: 0}
    for _, _, side, change, filled in steps:
        open_lots[side] += change
        position += filled
        for s in (1, -1):
            largest[s] = max(largest[s], s * position + open_lots[s])
    return largest


def that_could_add(orders: list[dict], instrument: Instrument) -> list[dict]:
    """Return the orders that could take a position further from zero when they were accepted.

    Those that could not: with everything open on their side they are no more than the position. Within a millisecond
    orders leave and fill first.
    """
    steps = []  # time, rank within it, order, change of the side's open lots, change of the position
    for order in orders:
        side, lots = side_of(order), instrument.lots(order["origQty"])
        steps.append((order["time"], 1, order, lots, 0))
        for fill in order["fills"]:
            qty = instrument.lots(fill["qty"])
            steps.append((fill["time"], 0 if fill["time"] > order["time"] else 2, order, -qty, side * qty))
            lots -= qty
        if order["status"] not in ("NEW", "PARTIALLY_FILLED"):
            steps.append((order["updateTime"], 0 if order["updateTime"] > order["time"] else 2, order, -lots, 0))
    steps.sort(key=lambda step: step[:2])
    open_lots, position, found = {1: 0, -1: 0}, 0, []
    for _, rank, order, change, filled in steps:
        side = side_of(order)
        open_lots[side] += change
        position += filled
        if rank == 1 and not order["reduceOnly"] and open_lots[side] > max(0, -side * position):
            found.append(order)
    return found
