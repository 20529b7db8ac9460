"""Whether this account may be traded on: what the venue says, judged check by check.

The gateway runs them before its first order and `phx doctor` for people; both stop at what could cost money. Each check
is a pure function of what was read (standing.py), the configuration and the venue's instruments.
"""

import logging
import time
from collections import defaultdict
from decimal import Decimal

from phx.config import Config
from phx.findings import Finding, Verdict, judged
from phx.gateway import patience
from phx.instruments import Instrument
from phx.params import ParamsError, params_record
from phx.process import StayDown
from phx.venue.binance.errors import BAD_SIGNATURE, KEY_REFUSED, Advice
from phx.venue.binance.rest import Rest
from phx.venue.binance.standing import Standing, standing
from phx.venue.binance.weights import WEIGHT_PER_MINUTE
from phx.venue.interface import AccountRest, CommissionRate, VenueError, VenueReject

USUAL_ORDER_LIMITS = {10: 300, 60: 1200}  # window, s → orders, of an account without a special agreement
WEIGHT_HEADROOM = 0.5  # of the limit: more used by others at this address is a bad start
OFFSET_WARN_NS, OFFSET_FAIL_NS = 250_000_000, 1_000_000_000
FORBIDDEN = (
    "enable_withdrawals",
    "enable_internal_transfer",
    "permits_universal_transfer",
    "enable_margin",
    "enable_spot_and_margin_trading",
    "enable_vanilla_options",
)
NEEDED = ("enable_reading", "enable_futures", "ip_restrict")
# Refusals of a trial order that say nothing about key or configuration, and pass or are waited for while trading.
PASSING = (
    Advice.SYMBOL_CLOSED,
    Advice.LOCKED,
    Advice.MARGIN,
    Advice.PRICE_BAND,
    Advice.REQUOTE,
    Advice.FULL,
    Advice.CLOCK,
)
HOPELESS = (Advice.NOT_ALLOWED, Advice.MODE)  # refusals that a reducing order would meet, too
MONTH_MS = 30 * 86_400_000
AGAIN_S = 2.0

log = logging.getLogger("phx.gateway")


async def examine(
    rest: Rest, config: Config, instruments: dict[str, Instrument], where, thorough: bool, rates: dict | None = None
) -> list[Finding]:
    """Return the findings of every check; those for people only if `thorough`. rates: see admit."""
    found = await standing(rest, instruments, where, thorough)
    if rates is not None:
        rates |= found.rates
    findings = judge(found, config, instruments, thorough)
    findings.append(await equity(rest, config, instruments))
    return findings


async def admit(
    rest: Rest, config: Config, instruments: dict[str, Instrument], where, stopping, rates: dict[str, CommissionRate]
) -> str:
    """Return why the account may only be left, not added to; "" when it may be traded on. Waits for what may heal.

    rates: takes what the account pays, by symbol: that is too dear to be asked twice.
    Raises StayDown for what lasts; but when a position is open, and nothing that was found forbids closing it, a
    gateway that is not there would help nobody.
    """
    said = ""
    while not stopping():
        await patience.reach(rest, stopping)
        findings = await examine(rest, config, instruments, where, thorough=False, rates=rates)
        refused = refusals(findings)
        if not refused:
            for finding in findings:
                if finding.verdict == Verdict.WARN:
                    log.warning("gateway: %s", finding.line)
            return ""
        lasting = [finding for finding in refused if not finding.heals]
        text = ". ".join(finding.line for finding in lasting or refused)
        held = await positions_held(rest, instruments) if lasting else None
        if any(not finding.reduces for finding in lasting):
            raise StayDown(f"{text}. Open, to be closed at the venue: {held}" if held else text)
        if lasting and held == "":
            raise StayDown(text)
        if held and len(lasting) == len(refused):
            return f"{text}. Open: {held}"
        if text != said:
            said = text
            log.warning("gateway: waiting: %s", text)
        await patience.pause(AGAIN_S, stopping)
    return ""


async def positions_held(rest: AccountRest, instruments: dict[str, Instrument]) -> str | None:
    """Return the open positions in these symbols, for people; None when they are not known."""
    try:
        held = [p for p in await rest.positions() if p.symbol in instruments and Decimal(p.qty) != 0]
    except VenueError:
        return None
    return ", ".join(f"{p.symbol} {p.qty}" for p in held)


def judge(found: Standing, config: Config, instruments: dict[str, Instrument], thorough: bool) -> list[Finding]:
    findings = [finding for check in CHECKS for finding in check(found, config, instruments)]
    if thorough:
        findings += [finding for check in FOR_PEOPLE for finding in check(found, config, instruments)]
    return findings


def refusals(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.verdict == Verdict.FAIL]


def unanswered(found: Standing, fact: str, name: str) -> list[Finding]:
    """Return the finding for a fact that is not known: nothing is assumed, so it is worth asking again."""
    error = found.failures.get(fact)
    if error is None:
        return []
    final = isinstance(error, VenueReject) and error.code in (*KEY_REFUSED, BAD_SIGNATURE)
    if final:
        return []  # said once, about the key
    return [Finding(name, Verdict.FAIL, f"not known: {error}", "an answer", "the venue is asked again", heals=True)]


# ---- key and account --------------------------------------------------------------------------------------------


def key(found: Standing, config: Config, instruments) -> list[Finding]:
    for error in found.failures.values():
        if isinstance(error, VenueReject) and error.code in (*KEY_REFUSED, BAD_SIGNATURE):
            advice = "check key, secret, venue.key_type, the address it is restricted to and its futures permission"
            return [Finding("key", Verdict.FAIL, f"code {error.code}: {error.msg}", "accepted", advice)]
    return [Finding("key", Verdict.OK, f"{config.venue.key_type}, accepted")]


def permissions(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.restrictions is None:
        if config.venue.environment == "production":
            return unanswered(found, "permissions", "key permissions")
        return [Finding("key permissions", Verdict.OK, f"{config.venue.environment} has no place to read them")]
    rights = found.restrictions
    wrong = [f"{name} on" for name in FORBIDDEN if getattr(rights, name)]
    wrong += [f"{name} off" for name in NEEDED if not getattr(rights, name)]
    advice = "make a key that can read and trade futures from fixed addresses, and nothing else"
    shown = ", ".join(wrong) or "read, futures, fixed addresses"
    reduces = rights.enable_reading and rights.enable_futures
    return [judged("key permissions", not wrong, shown, "none", advice, reduces=reduces)]


def expiry(found: Standing, config: Config, instruments) -> list[Finding]:
    rights = found.restrictions
    if rights is None or not rights.trading_authority_expiration_time or found.ahead_of_wall_ns is None:
        return []
    now_ms = (time.time_ns() + found.ahead_of_wall_ns) // 1_000_000
    left_ms = rights.trading_authority_expiration_time - now_ms
    advice = "make a new key in time"
    days = f"ends in {left_ms / 86_400_000:.0f} days"
    return [judged("key expiry", left_ms > MONTH_MS, days, "30 days or more", advice, Verdict.WARN)]


def can_trade(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.account is None:
        return unanswered(found, "account", "account")
    good = found.account.can_trade
    return [judged("account", good, "may trade" if good else "may not trade", "may trade", "ask the venue why")]


def position_mode(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.account is None:
        return []
    hedge = found.account.dual_side_position
    advice = "switch it with POST /fapi/v1/positionSide/dual"
    return [judged("position mode", not hedge, "hedge mode" if hedge else "one-way", "one-way", advice)]


def asset_mode(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.account is None:
        return []
    multi = found.account.multi_assets_margin
    advice = "switch it with POST /fapi/v1/multiAssetsMargin: the limits count the quote currency alone"
    shown = "multi-assets" if multi else "single-asset"
    return [judged("asset mode", not multi, shown, "single-asset", advice, reduces=True)]


# ---- contracts --------------------------------------------------------------------------------------------------


def margin_type(found: Standing, config: Config, instruments) -> list[Finding]:
    findings = []
    for symbol in instruments:
        if symbol not in found.symbols:
            findings += unanswered(found, f"contract {symbol}", f"margin type {symbol}")
            continue
        kind = found.symbols[symbol].margin_type
        advice = "switch it with POST /fapi/v1/marginType: isolated margin is liquidated while the account has money"
        findings.append(judged(f"margin type {symbol}", kind == "CROSSED", kind, "CROSSED", advice, reduces=True))
    return findings


def leverage(found: Standing, config: Config, instruments) -> list[Finding]:
    findings = []
    for symbol in instruments:
        if symbol in found.symbols and symbol in found.marks:
            held = found.symbols[symbol]
            needed = config.symbols[symbol].net_max * found.marks[symbol]
            shown = f"{held.leverage}x, positions up to {held.max_notional_value}"
            advice = "orders beyond it are refused (-2027): lower the leverage or net_max"
            good = Decimal(held.max_notional_value) >= needed
            findings.append(judged(f"leverage {symbol}", good, shown, f"{needed:.0f}", advice, Verdict.WARN))
    return findings


def fees(found: Standing, config: Config, instruments) -> list[Finding]:
    findings = []
    base = Decimal(str(config.venue.base_maker_fee)), Decimal(str(config.venue.base_taker_fee))
    for symbol in instruments:
        if (rate := found.rates.get(symbol)) is None:
            continue
        maker, taker = Decimal(rate.maker), Decimal(rate.taker)
        earned = Decimal(str(config.symbols[symbol].quoting.min_spread))
        good = maker <= base[0] and taker <= base[1] and 2 * maker <= earned
        advice = "a round trip at the narrowest spread loses money: raise quoting.min_spread"
        if 2 * maker <= earned:
            advice = "dearer than venue.base_maker_fee, base_taker_fee: correct them"
        expected = f"maker at most {min(base[0], earned / 2):f}, taker {base[1]:f}"
        findings.append(
            judged(f"fees {symbol}", good, f"maker {maker:f}, taker {taker:f}", expected, advice, Verdict.WARN)
        )
    return findings


def order_accepted(found: Standing, config: Config, instruments) -> list[Finding]:
    findings = []
    for symbol in instruments:
        name = f"order {symbol}"
        if found.accepted.get(symbol):
            findings.append(Finding(name, Verdict.OK, "post-only, self-trade prevention: accepted on trial"))
            continue
        fact = name if name in found.failures else f"mark price {symbol}"
        error = found.failures.get(fact)
        if isinstance(error, VenueReject) and error.code not in (*KEY_REFUSED, BAD_SIGNATURE):
            verdict = Verdict.WARN if error.advice in PASSING else Verdict.FAIL
            shown = f"refused on trial, code {error.code}: {error.msg}"
            reduces = error.advice not in HOPELESS
            findings.append(Finding(name, verdict, shown, "accepted", str(error.advice), reduces=reduces))
        else:
            findings += unanswered(found, fact, name)
    return findings


def grid(found: Standing, config: Config, instruments: dict[str, Instrument]) -> list[Finding]:
    """Judge whether configured sizes still fit the venue's filters, which it changes now and then."""
    findings = []
    for symbol, instrument in instruments.items():
        try:
            params_record(config.symbols[symbol], config, instrument, 0)
            found_ = f"tick {instrument.tick_size}, lot {instrument.lot_size}, from {instrument.min_notional}"
            findings.append(Finding(f"filters {symbol}", Verdict.OK, found_))
        except ParamsError as error:
            advice = "correct the configuration to the venue's filters"
            wrong = "; ".join(error.errors)
            findings.append(judged(f"filters {symbol}", False, wrong, "sizes that fit", advice, reduces=True))
    return findings


def status(found: Standing, config: Config, instruments: dict[str, Instrument]) -> list[Finding]:
    advice = "no order is accepted until it trades again"
    return [
        judged(f"status {symbol}", instrument.status == "TRADING", instrument.status, "TRADING", advice, Verdict.WARN)
        for symbol, instrument in instruments.items()
    ]


# ---- limits and clock -------------------------------------------------------------------------------------------


def order_limits(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.order_limits is None:
        return unanswered(found, "order limits", "order limits")
    less = {s: n for s, n in USUAL_ORDER_LIMITS.items() if found.order_limits.get(s, n) < n}
    shown = ", ".join(f"{n} in {s} s" for s, n in sorted(found.order_limits.items()))
    expected = ", ".join(f"{n} in {s} s" for s, n in USUAL_ORDER_LIMITS.items())
    advice = "adopted: fewer orders are placed and moved than elsewhere"
    return [judged("order limits", not less, shown, expected, advice, Verdict.WARN)]


def weight(found: Standing, config: Config, instruments) -> list[Finding]:
    used, most = found.weight_used, int(WEIGHT_PER_MINUTE * WEIGHT_HEADROOM)
    advice = "others use this address: give phx one of its own"
    return [
        judged("rate limit", used <= most, f"{used} of {WEIGHT_PER_MINUTE}", f"at most {most}", advice, Verdict.WARN)
    ]


def round_trip(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.ahead_of_wall_ns is None:
        return unanswered(found, "clock", "venue")
    most_ms, took_ms = config.venue.recv_window_ms / 2, found.round_trip_ns / 1e6
    advice = "requests would arrive after recvWindow: a nearer host, or less load"
    return [
        judged("round trip", took_ms <= most_ms, f"{took_ms:.1f} ms", f"at most {most_ms:.0f} ms", advice, heals=True)
    ]


async def equity(rest: Rest, config: Config, instruments: dict[str, Instrument]) -> Finding:
    try:
        await check_equity(rest, config, instruments)
    except StayDown as error:
        return Finding("equity", Verdict.FAIL, str(error), reduces=True)
    except VenueError as error:
        return Finding(
            "equity", Verdict.FAIL, f"not known: {error}", "an answer", "the venue is asked again", heals=True
        )
    return Finding("equity", Verdict.OK, "bears a stop at full inventory of each symbol")


async def check_equity(rest: AccountRest, config: Config, instruments: dict[str, Instrument]) -> None:
    """Refuse to trade with stops that could take more of the account than is allowed: a stop loss in percent of the
    position says nothing about the account behind it."""
    marks = {symbol: Decimal(await rest.mark_price(symbol)) for symbol in instruments}
    equity = defaultdict(Decimal, {balance.asset: Decimal(balance.wallet) for balance in await rest.balances()})
    for position in await rest.positions():
        if position.symbol in instruments:
            gain = (marks[position.symbol] - Decimal(position.entry_price)) * Decimal(position.qty)
            equity[instruments[position.symbol].quote_asset] += gain
    for symbol, instrument in instruments.items():
        entry, has = config.symbols[symbol], equity[instrument.quote_asset]
        loss = Decimal(str(entry.stop.loss)) * entry.net_max * marks[symbol]
        share = Decimal(str(entry.risk.max_equity_loss))
        if loss > share * has:
            raise StayDown(
                f"{symbol}: a stop at full inventory loses {loss:.2f} (stop.loss {entry.stop.loss} x net_max "
                f"{entry.net_max} x {marks[symbol]}), more than risk.max_equity_loss {share} of the equity "
                f"{has:.2f} {instrument.quote_asset}: lower net_max or stop.loss, or add funds"
            )


# ---- for people -------------------------------------------------------------------------------------------------


def clock(found: Standing, config: Config, instruments) -> list[Finding]:
    """Judge our wall clock. phx signs with the venue's time whatever ours says, so the gateway does not mind it."""
    if found.ahead_of_wall_ns is None:
        return []
    off_ns = abs(found.ahead_of_wall_ns)
    verdict = Verdict.FAIL if off_ns >= OFFSET_FAIL_NS else Verdict.WARN
    shown = f"{found.ahead_of_wall_ns / 1e6:+.1f} ms to the venue, known to {found.round_trip_ns / 2e6:.1f} ms"
    return [judged("clock", off_ns < OFFSET_WARN_NS, shown, "below 250 ms", "synchronise it (chrony)", verdict)]


def sizes(found: Standing, config: Config, instruments: dict[str, Instrument]) -> list[Finding]:
    """Judge the configured sizes at the price of now: small ones fall below the venue's smallest order value."""
    findings = []
    for symbol, instrument in instruments.items():
        if symbol in found.marks:
            try:
                price_ticks = instrument.ticks_floor(found.marks[symbol])
                made = params_record(config.symbols[symbol], config, instrument, 0, price_ticks)
                shown = f"fit at a price of {found.marks[symbol]:f}"
                if config.limits.canary < 1:
                    near, far = (instrument.qty_text(int(made[f"{group}_size_lots"])) for group in ("near", "far"))
                    most = instrument.qty_text(int(made["net_max_lots"]))
                    shown += f"; canary {config.limits.canary}: layers of {near} and {far}, at most {most} held"
                findings.append(Finding(f"sizes {symbol}", Verdict.OK, shown))
            except ParamsError as error:
                findings.append(Finding(f"sizes {symbol}", Verdict.FAIL, "; ".join(error.errors), "sizes that fit"))
    return findings


def foreign_orders(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.orders is None:
        return unanswered(found, "open orders", "orders of others")
    prefix = f"phx{config.venue.environment[0]}-"
    foreign = [f"{o.symbol} {o.coid or o.venue_order_id}" for o in found.orders if not o.coid.startswith(prefix)]
    advice = "cancel-all, kill and the dead man's switch take them too: give phx a sub-account of its own"
    shown = f"{len(foreign)}: {', '.join(foreign[:3])}" if foreign else "none"
    return [judged("orders of others", not foreign, shown, "none", advice, Verdict.WARN)]


def foreign_positions(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.positions is None:
        return unanswered(found, "positions", "positions elsewhere")
    foreign = [f"{p.symbol} {p.qty}" for p in found.positions if p.symbol not in instruments and Decimal(p.qty) != 0]
    advice = "they use the same margin and are in no limit of phx: give it a sub-account of its own"
    shown = ", ".join(foreign) or "none"
    return [judged("positions elsewhere", not foreign, shown, "none", advice, Verdict.WARN)]


def trading_rules(found: Standing, config: Config, instruments) -> list[Finding]:
    if found.locked is None:
        return unanswered(found, "trading rules", "trading rules")
    ours = [f"{symbol} {'+'.join(rules)}" for symbol, rules in found.locked.items() if symbol in instruments]
    advice = "the venue takes only reducing orders there until the lock ends (-4400)"
    return [judged("trading rules", not ours, ", ".join(ours) or "no lock", "no lock", advice, Verdict.WARN)]


CHECKS = (
    key,
    permissions,
    expiry,
    can_trade,
    position_mode,
    asset_mode,
    margin_type,
    leverage,
    fees,
    order_accepted,
    grid,
    status,
    order_limits,
    weight,
    round_trip,
)
FOR_PEOPLE = (clock, sizes, foreign_orders, foreign_positions, trading_rules)
