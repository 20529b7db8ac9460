"""A position at the simulated venue and what its symbol is set to. Money is an integer of 1e-8 quote."""

from dataclasses import dataclass, field

from phx.sim.contracts import Contract

DEFAULT_LEVERAGE = 20
BOTH, LONG, SHORT = "BOTH", "LONG", "SHORT"
POSITION_SIDES = (BOTH, LONG, SHORT)


@dataclass(slots=True)
class SymbolSettings:
    """What an account has chosen for a symbol; shared by the symbol's positions."""

    leverage: int = DEFAULT_LEVERAGE
    isolated: bool = False


@dataclass(slots=True)
class Position:
    """One position. side: BOTH in one-way mode (signed lots), LONG (lots ≥ 0) or SHORT (lots ≤ 0) in hedge mode.

    cost_e8: what the open quantity cost, always positive. fees_e8: the fees paid for it. isolated_e8: the isolated
    wallet, the part of the account's wallet that stands for this position alone; 0 under cross margin.
    """

    contract: Contract
    settings: SymbolSettings = field(default_factory=SymbolSettings)
    side: str = BOTH
    lots: int = 0
    cost_e8: int = 0
    fees_e8: int = 0
    isolated_e8: int = 0
    realised_e8: int = 0  # before fees, since the account began
    update_ms: int = 0

    @property
    def leverage(self) -> int:
        return self.settings.leverage

    @property
    def isolated(self) -> bool:
        return self.settings.isolated

    def apply(self, side: int, lots: int, price_ticks: int, fee_e8: int) -> int:
        """Book a fill; return the realised profit of what it closed. The entry price moves only when adding.

        Under isolated margin what is opened brings its initial margin, what is closed takes its share away.
        """
        held = abs(self.lots)
        closed = min(lots, held) if side * self.lots < 0 else 0
        opened = lots - closed
        realised = 0
        if closed:
            direction = 1 if self.lots > 0 else -1
            cost = self.cost_e8 * closed // held
            realised = direction * (self.contract.value_e8(price_ticks * closed) - cost)
            self.cost_e8 -= cost
            self.fees_e8 -= self.fees_e8 * closed // held
            self.isolated_e8 -= self.isolated_e8 * closed // held
            self.realised_e8 += realised
        if opened:
            value_e8 = self.contract.value_e8(price_ticks * opened)
            self.cost_e8 += value_e8
            self.fees_e8 += fee_e8 * opened // lots
            if self.isolated:
                self.isolated_e8 += value_e8 // self.leverage
        self.lots += side * lots
        return realised

    def entry_e8(self) -> int:
        """Return the entry price in 1e-8, 0 when flat."""
        return self._per_unit_e8(self.cost_e8)

    def break_even_e8(self) -> int:
        """Return the price at which closing would pay back the entry fees, in 1e-8."""
        return self._per_unit_e8(self.cost_e8 + (self.fees_e8 if self.lots > 0 else -self.fees_e8))

    def unrealised_e8(self, mark_e8: int) -> int:
        return self.notional_e8(mark_e8) - (self.cost_e8 if self.lots > 0 else -self.cost_e8)

    def notional_e8(self, mark_e8: int) -> int:
        """Return the signed value at the mark price."""
        return int(self.lots * self.contract.instrument.lot_size * mark_e8)

    def maintenance_e8(self, mark_e8: int) -> int:
        """Return the margin below which the position is liquidated."""
        notional_e8 = abs(self.notional_e8(mark_e8))
        if not notional_e8:
            return 0
        rate, cum_e8, _ = self.contract.bracket(notional_e8)
        return int(notional_e8 * rate) - cum_e8

    def _per_unit_e8(self, amount_e8: int) -> int:
        return round(amount_e8 / (abs(self.lots) * self.contract.instrument.lot_size)) if self.lots else 0
