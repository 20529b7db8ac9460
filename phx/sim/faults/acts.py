"""Faults that are done to the venue rather than to a message: begun when switched on, taken back when over."""

from phx.sim.faults import conditions, connections, orders, snapshots
from phx.sim.faults.overlay import Overlay
from phx.sim.faults.switchboard import Active

# name → what begins it: (venue, fault, now_ns, overlay). What an act changes of attributes it lays over them; what else
# is to be done at its end it adds to the fault's `undo`.
BEGIN = {
    act.__name__: act
    for act in (
        connections.disconnect, connections.end_of_life, connections.half_open, connections.key_expired,
        connections.key_lost,
        conditions.overload, conditions.limits, conditions.listed_limits, conditions.clock_skew,
        conditions.countdown_late, conditions.filters, conditions.band, conditions.halt, conditions.risk_control,
        conditions.hedge_mode, conditions.multi_assets, conditions.leverage, conditions.margin_type,
        orders.foreign_order, orders.foreign_cancel, orders.expire_orders, orders.liquidation, orders.adl,
        orders.settlement,
        snapshots.stale_snapshot,
    )
}  # fmt: skip


class Acts:
    """Carries out acts and takes them back."""

    def __init__(self, venue):
        self.venue = venue
        self.overlay = Overlay()

    def begin(self, active: Active, now_ns: int) -> None:
        """Carry out an act. Raises FaultError when it cannot be done to this venue."""
        BEGIN[active.name](self.venue, active, now_ns, self.overlay)

    def end(self, active: Active) -> None:
        """Take back what an act changed."""
        self.overlay.lift(active)
        for undo in active.undo:
            undo()
        active.undo.clear()
