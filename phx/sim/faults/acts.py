"""Faults that are done to the venue rather than to a message: connections, keys, limits, clock, contracts, orders."""

from decimal import Decimal

import picows

from phx.sim import wire
from phx.sim.account import Account
from phx.sim.contracts import Contract
from phx.sim.faults.switchboard import Active, FaultError
from phx.sim.refusals import Refused

LONG_MS = 7 * 86_400_000
SETTLED = 7  # expiry reason of orders in a contract that stops trading


class Acts:
    """What switching a fault on, letting its time come again, and switching it off do to a venue."""

    def __init__(self, venue):
        self.venue = venue
        self.refused_routes: dict[int, str] = {}  # by the fault that refuses them
        self._before: dict[int, object] = {}  # what a fault has changed, by the fault

    def begin(self, active: Active, now_ns: int) -> None:
        """Carry out an act. Raises FaultError when it cannot be done to this venue."""
        getattr(self, f"_{active.fault.name}")(active, now_ns)

    def end(self, active: Active) -> None:
        """Take back what an act changed."""
        undo = getattr(self, f"_end_{active.fault.name}", None)
        if undo is not None and active.begun:
            undo(active)
        self._before.pop(id(active), None)

    # ---- connections

    def _meant(self, active: Active) -> list:
        route = active["route"]
        return [connection for connection in list(self.venue.connections) if route in ("", connection.route)]

    def _disconnect(self, active: Active, now_ns: int) -> None:
        for connection in self._meant(active):
            connection.transport.disconnect(graceful=False)

    def _end_of_life(self, active: Active, now_ns: int) -> None:
        for connection in self._meant(active):
            connection.close(picows.WSCloseCode.GOING_AWAY, "")

    def _half_open(self, active: Active, now_ns: int) -> None:
        frozen = self._meant(active)
        for connection in frozen:
            connection.frozen = True
        self._before[id(active)] = frozen

    def _end_half_open(self, active: Active) -> None:
        # What was not sent is lost; a client that still believes in the connection has no other way to find out.
        for connection in self._before[id(active)]:
            connection.transport.disconnect(graceful=False)

    def _refuse_connections(self, active: Active, now_ns: int) -> None:
        self.refused_routes[id(active)] = active["route"]

    def _end_refuse_connections(self, active: Active) -> None:
        del self.refused_routes[id(active)]

    def refuses(self, route: str) -> bool:
        return any(refused in ("", route) for refused in self.refused_routes.values())

    # ---- keys

    def _key_expired(self, active: Active, now_ns: int) -> None:
        self._end_keys(active, tell=True)

    def _key_lost(self, active: Active, now_ns: int) -> None:
        self._end_keys(active, tell=False)

    def _end_keys(self, active: Active, tell: bool) -> None:
        for account in self._accounts(active):
            key = self.venue.listen_keys.key_of(account)
            if key is None:
                continue
            self.venue.listen_keys.close(account)
            if tell:
                self.venue.hub.send(key, wire.listen_key_expired(key, self.venue.now_ms()))
            self.venue.hub.listeners.pop(key, None)

    def _accounts(self, active: Active) -> list[Account]:
        accounts = self.venue.exchange.accounts
        return [account for owner, account in accounts.items() if active["account"] in (0, owner)]

    # ---- limits, clock

    def _ban(self, active: Active, now_ns: int) -> None:
        self.venue.exchange.limits.ban.until_ms = active.until_ms or now_ns // 1_000_000 + LONG_MS

    def _end_ban(self, active: Active) -> None:
        self.venue.exchange.limits.ban.until_ms = 0

    def _closed_door(self, active: Active, now_ns: int) -> None:
        self.venue.exchange.limits.ban.blocked_until_ms = active.until_ms or now_ns // 1_000_000 + LONG_MS

    def _end_closed_door(self, active: Active) -> None:
        self.venue.exchange.limits.ban.blocked_until_ms = 0

    def _overload(self, active: Active, now_ns: int) -> None:
        self.venue.exchange.overloaded = True

    def _end_overload(self, active: Active) -> None:
        self.venue.exchange.overloaded = False

    def _limits(self, active: Active, now_ns: int) -> None:
        limits = self.venue.exchange.limits
        windows = [limits.weight]
        for account in self.venue.exchange.accounts.values():
            of_account = limits.orders[account.owner]
            windows += [of_account.in_10s, of_account.in_1m]
        self._before[id(active)] = [(window, window.limit) for window in windows]
        for window in windows:
            window.limit = max(1, int(window.limit * active["share"]))

    def _end_limits(self, active: Active) -> None:
        for window, limit in self._before[id(active)]:
            window.limit = limit

    def _clock_skew(self, active: Active, now_ns: int) -> None:
        self.venue.skew_ms += round(active["skew_ms"])

    def _end_clock_skew(self, active: Active) -> None:
        self.venue.skew_ms -= round(active["skew_ms"])

    # ---- contracts

    def _contracts(self, active: Active) -> list[Contract]:
        contracts = self.venue.exchange.contracts
        if active["symbol"] and active["symbol"] not in contracts:
            raise FaultError(f"fault {active.fault.name}: symbol {active['symbol']}, listed are {', '.join(contracts)}")
        return [contracts[active["symbol"]]] if active["symbol"] else list(contracts.values())

    def _filters(self, active: Active, now_ns: int) -> None:
        factors = [active[name] for name in ("tick", "step", "notional")]
        if min(factors) < 1:
            raise FaultError(f"fault filters: tick, step, notional {factors}: expected factors of 1 or more")
        changed = [(contract, contract.order_filters, contract.entry) for contract in self._contracts(active)]
        for contract, _, _ in changed:
            contract.coarsen(*factors)
        self._before[id(active)] = changed

    def _end_filters(self, active: Active) -> None:
        for contract, order_filters, entry in self._before[id(active)]:
            contract.order_filters, contract.entry = order_filters, entry

    def _halt(self, active: Active, now_ns: int) -> None:
        exchange = self.venue.exchange
        contracts = self._contracts(active)
        self._before[id(active)] = [(contract, contract.entry["status"]) for contract in contracts]
        for contract in contracts:
            self._set_status(contract, active["status"])
            for account in exchange.accounts.values():
                exchange.expire_all(account, contract.symbol, SETTLED, now_ns)

    def _end_halt(self, active: Active) -> None:
        for contract, status in self._before[id(active)]:
            self._set_status(contract, status)

    def _set_status(self, contract: Contract, status: str) -> None:
        contract.entry = contract.entry | {"status": status}
        self.venue.exchange.all_markets.publish_contract(contract, self.venue.now_ms())

    # ---- orders nobody sent

    def _foreign_order(self, active: Active, now_ns: int) -> None:
        exchange = self.venue.exchange
        contract = self._contracts(active)[0]
        account = self._accounts(active)[0]
        lots = int(Decimal(active["qty"]) / contract.instrument.lot_size) if active["qty"] else self._small(contract)
        wanted = {
            "symbol": contract.symbol,
            "side": active["side"],
            "type": "LIMIT" if active["price"] else "MARKET",
            "quantity": contract.qty(lots),
            "newClientOrderId": f"web_{active.random.getrandbits(64):016x}",
        }
        if active["price"]:
            wanted |= {"price": active["price"], "timeInForce": "GTC"}
        try:
            exchange.place(account, wanted, now_ns)
        except Refused as refusal:
            raise FaultError(f"fault foreign_order: {refusal}") from None

    def _small(self, contract: Contract) -> int:
        """Return a quantity that just meets the smallest notional."""
        instrument = contract.instrument
        mark_e8 = self.venue.exchange.marks[contract.symbol].mark_e8
        least = instrument.min_notional * 10**8 / mark_e8 / instrument.lot_size
        return max(int(instrument.min_qty / instrument.lot_size), int(least * 11 / 10) + 1)

    def _liquidation(self, active: Active, now_ns: int) -> None:
        for account, position in self._held(active):
            self.venue.exchange.liquidator.close(account, position, now_ns)

    def _adl(self, active: Active, now_ns: int) -> None:
        exchange = self.venue.exchange
        for account, position in self._held(active):
            contract = position.contract
            ticks = round(exchange.marks[contract.symbol].mark_e8 / (contract.instrument.tick_size * 10**8))
            exchange.forced.deleverage(account, contract.symbol, position.side, ticks, now_ns)

    def _held(self, active: Active) -> list:
        found = [
            (account, position)
            for account in self._accounts(active)
            for position in account.held(active["symbol"])
            if position.lots
        ]
        if not found:
            raise FaultError(f"fault {active.fault.name}: no position in {active['symbol'] or 'any symbol'}")
        return found

    def _hedge_mode(self, active: Active, now_ns: int) -> None:
        for account in self._accounts(active):
            account.hedge = not account.hedge

    def _end_hedge_mode(self, active: Active) -> None:
        self._hedge_mode(active, 0)
