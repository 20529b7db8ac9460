"""Acts that change what the venue goes by while they last: limits, filters, contracts, choices of accounts."""

from decimal import Decimal

import msgspec

from phx.sim.exchange import wire
from phx.sim.faults.acting import accounts_meant, contracts_meant
from phx.sim.faults.switchboard import Active

NEVER_MS = 10**15
DELISTED = 7  # expiry reason of orders in a contract that stops trading


def overload(venue, active: Active, now_ns: int, overlay) -> None:
    overlay.lay(active, venue.exchange, "overloaded", lambda before: True)


def limits(venue, active: Active, now_ns: int, overlay) -> None:
    found = venue.exchange.limits
    windows = [found.weight] if active["what"] in ("", "weight") else []
    if active["what"] in ("", "orders"):
        for account in venue.exchange.accounts.values():
            windows += [found.orders[account.owner].in_10s, found.orders[account.owner].in_1m]
    for window in windows:
        overlay.lay(active, window, "limit", lambda before: shrunk(before, active))


def listed_limits(venue, active: Active, now_ns: int, overlay) -> None:
    limits(venue, active, now_ns, overlay)
    kind = {"weight": "REQUEST_WEIGHT", "orders": "ORDERS"}.get(active["what"])
    overlay.lay(
        active,
        venue.exchange.limits,
        "listed",
        lambda before: [
            row | {"limit": shrunk(row["limit"], active)} if kind in (None, row["rateLimitType"]) else row
            for row in before
        ],
    )


def shrunk(limit: int, active: Active) -> int:
    return max(1, int(limit * active["share"]))


def clock_skew(venue, active: Active, now_ns: int, overlay) -> None:
    """Do nothing: the clock asks what is on."""


def skew_ms(active: Active, now_ms: int) -> float:
    """Return how far a fault has moved the venue's clock by now."""
    passed_s, ramp_s = (now_ms - active.from_ms) / 1000, active["ramp_s"]
    return active["skew_ms"] * (min(1.0, passed_s / ramp_s) if ramp_s else 1.0)


def countdown_late(venue, active: Active, now_ns: int, overlay) -> None:
    late_ms = round(active["late_s"] * 1000) or NEVER_MS
    overlay.lay(active, venue.exchange, "countdown_lag_ms", lambda before: max(before, late_ms))


# ---- contracts


def filters(venue, active: Active, now_ns: int, overlay) -> None:
    tick, step, notional = active["tick"], active["step"], active["notional"]
    factors = {"tickSize": tick, "stepSize": step, "minQty": step, "notional": notional}

    def coarser(held):
        return msgspec.structs.replace(
            held,
            tick_size=held.tick_size * tick,
            lot_size=held.lot_size * step,
            min_qty=held.min_qty * step,
            min_notional=held.min_notional * notional,
        )

    def shown(entry: dict) -> dict:
        rows = [
            row | {name: str(Decimal(row[name]) * factor) for name, factor in factors.items() if name in row}
            for row in entry["filters"]
        ]
        return entry | {"filters": rows}

    for contract in contracts_meant(venue, active):
        overlay.lay(active, contract, "order_filters", coarser)
        overlay.lay(active, contract, "entry", shown)


def band(venue, active: Active, now_ns: int, overlay) -> None:
    width = Decimal(str(active["width"]))
    new = {"multiplierUp": str(1 + width), "multiplierDown": str(1 - width)}
    for contract in contracts_meant(venue, active):
        overlay.lay(
            active,
            contract,
            "order_filters",
            lambda held: msgspec.structs.replace(held, percent_up=1 + width, percent_down=1 - width),
        )
        overlay.lay(active, contract, "entry", lambda entry: with_filter(entry, "PERCENT_PRICE", new))


def with_filter(entry: dict, kind: str, new: dict) -> dict:
    """Return a contract's entry with fields of one filter changed, or with that filter where it had none."""
    rows = [row | new if row["filterType"] == kind else row for row in entry["filters"]]
    if all(row["filterType"] != kind for row in rows):
        rows.append({"filterType": kind} | new)
    return entry | {"filters": rows}


def halt(venue, active: Active, now_ns: int, overlay) -> None:
    exchange, contracts = venue.exchange, contracts_meant(venue, active)

    def tell() -> None:
        for contract in contracts:
            exchange.all_markets.publish_contract(contract, venue.now_ms())

    for contract in contracts:
        overlay.lay(active, contract, "entry", lambda entry: entry | {"status": active["status"]})
        for account in exchange.accounts.values():
            exchange.expire_all(account, contract.symbol, DELISTED, now_ns)
    tell()
    active.undo.append(tell)


def risk_control(venue, active: Active, now_ns: int, overlay) -> None:
    kind, new = "POSITION_RISK_CONTROL", {"positionControlSide": active["controlled"]}
    for contract in contracts_meant(venue, active):
        overlay.lay(active, contract, "filters", lambda held: held | {kind: held.get(kind, {}) | new})
        overlay.lay(active, contract, "entry", lambda entry: with_filter(entry, kind, new))


# ---- choices of accounts


def hedge_mode(venue, active: Active, now_ns: int, overlay) -> None:
    for account in accounts_meant(venue, active):
        overlay.lay(active, account, "hedge", lambda before: not before)


def multi_assets(venue, active: Active, now_ns: int, overlay) -> None:
    def tell() -> None:
        now_ms = venue.now_ms()
        for account in accounts_meant(venue, active):
            venue.emit(account, wire.multi_assets_update(account.multi_assets, now_ms, now_ms))

    for account in accounts_meant(venue, active):
        overlay.lay(active, account, "multi_assets", lambda before: not before)
    tell()
    active.undo.append(tell)


def leverage(venue, active: Active, now_ns: int, overlay) -> None:
    found = [
        (account, contract.symbol, account.settings_of(contract.symbol))
        for account in accounts_meant(venue, active)
        for contract in contracts_meant(venue, active)
    ]

    def tell() -> None:
        now_ms = venue.now_ms()
        for account, symbol, settings in found:
            venue.emit(account, wire.leverage_update(symbol, settings.leverage, now_ms, now_ms))

    for _, _, settings in found:
        overlay.lay(active, settings, "leverage", lambda before: active["leverage"])
    tell()
    active.undo.append(tell)


def margin_type(venue, active: Active, now_ns: int, overlay) -> None:
    found = [
        (account, contract) for account in accounts_meant(venue, active) for contract in contracts_meant(venue, active)
    ]

    def move_margins() -> None:
        """Give isolated positions their initial margin, and cross ones none of their own."""
        marks_e8 = venue.exchange.marks_e8()
        for account, contract in found:
            for position in account.held(contract.symbol):
                value_e8 = abs(position.notional_e8(marks_e8[contract.symbol]))
                wanted_e8 = value_e8 // position.leverage if position.isolated else 0
                account.move_margin(position, wanted_e8 - position.isolated_e8, venue.now_ms())

    for account, contract in found:
        overlay.lay(active, account.settings_of(contract.symbol), "isolated", lambda before: not before)
    move_margins()
    active.undo.append(move_margins)
