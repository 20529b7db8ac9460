"""The one recovery path, for cold start, crash and reconnect alike: nothing is assumed, everything is proven.

lock → epoch + 1 → clock → own orders cancelled → account checks → dead man's switch armed → user stream → no open order
proven → positions and fills → ready. The lock is taken by the process, the books are the feed's and quoter's business.
"""

import asyncio
import logging
import time

from phx.gateway.account import e8, open_cost_ticklots
from phx.gateway.epoch import Books
from phx.gateway.reconcile import Reconciliation, cancel_own, prove_none_open, trades_since
from phx.instruments import Instrument
from phx.venue.interface import AccountRest, VenueError, VenueReject

USER_STREAM_S = 30.0  # a user stream that takes longer is worth a line
PROOF_S = 10.0
PROVE_S = 5.0  # between two looks whether to go on proving
EARLIER_S = 120.0  # trades are read from this long before the former life's last word,
OLDEST_S = 6.9 * 86_400  # and from no earlier than the venue tells
LARGEST_PAGE = 1000  # trades in one answer

log = logging.getLogger("phx.gateway")


async def learn_fees(rest: AccountRest, core, instruments: dict[str, Instrument], rates) -> None:
    """Tell every desk what the account pays, so that what an order may lose is known before it fills.

    rates: what is known already, by symbol; the venue is asked for the others.
    """
    for symbol, instrument in instruments.items():
        if symbol not in rates:
            rates[symbol] = await rest.commission_rate(symbol)
        rate = rates[symbol]
        core.desk(instrument.symbol_id).set_fees(e8(rate.maker), e8(rate.taker))


async def wait_for(condition, timeout_s: float, stopping) -> bool:
    """Return whether a condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline or stopping():
            return False
        await asyncio.sleep(0.01)
    return True


async def clear(rest: AccountRest, symbols, prefix: str) -> None:
    """Cancel what a life that died left open, on all symbols at once; what fails here is done again by the proof."""
    work = (cancel_own(rest, symbol, prefix) for symbol in symbols)
    for symbol, outcome in zip(symbols, await asyncio.gather(*work, return_exceptions=True), strict=True):
        if isinstance(outcome, VenueError):
            log.warning("gateway: cancelling what the former life left of %s: %s", symbol, outcome)
        elif isinstance(outcome, BaseException):
            raise outcome


async def prove_empty(rest: AccountRest, symbols, prefix: str, until_mono_ns: int, stopping) -> None:
    """Cancel every own order and prove that none is open and none can come any more, however long that takes."""
    said = False
    while not stopping():
        if await prove_none_open(rest, symbols, prefix, until_mono_ns, time.monotonic_ns() + int(PROVE_S * 1e9)):
            return
        if not said:
            log.warning("gateway: not proven yet that no own order is open; cancelling and asking until it is")
            said = True


async def wait_for_stream(is_up, stopping) -> None:
    """Wait for the account's stream, which connects by itself, however long that takes."""
    while not await wait_for(is_up, USER_STREAM_S, stopping) and not stopping():
        log.warning("gateway: no user stream yet; nothing is traded without it")


async def restore_books(reconciliation: Reconciliation, inherited: Books) -> None:
    """Set every position, with the fills and the funding that nobody heard of, and check it against the venue's."""
    rest, core, funding = reconciliation.rest, reconciliation.core, reconciliation.funding
    wallet = {balance.asset: balance.wallet for balance in await rest.balances()}
    positions = {p.symbol: p for p in await rest.positions() if p.side == "BOTH"}
    for symbol, instrument in reconciliation.instruments.items():
        core.wallet_e8 = e8(wallet.get(instrument.quote_asset, "0"))
        position = positions.get(symbol)
        lots = instrument.lots(position.qty) if position else 0
        former = inherited.get(symbol)
        desk = core.desk(instrument.symbol_id)
        if former is None:
            newest = [trade.trade_id for trade in await rest.user_trades(symbol, limit=LARGEST_PAGE)]
            cost = open_cost_ticklots(instrument, lots, position.entry_price) if lots else 0
            totals = dict.fromkeys(desk.totals(), 0) | {"position_lots": lots, "open_cost_ticklots": cost}
            desk.restore(totals, max(newest, default=0))
            funding.restore(symbol, None, rest.clock.timestamp_ms())
            log.info("%s: position %d lots, taken from the venue", symbol, lots)
            continue
        # Trades may be booked out of order: those older than the newest count one by one, as far as ids are known.
        before = min(former.trade_ids, default=former.newest_trade_id + 1) - 1
        desk.restore(former.totals, before)
        for trade_id in sorted(former.trade_ids):
            desk.know_trade(trade_id, trade_id not in former.fees_missing)
        funding.restore(symbol, former.funding, former.ts_ms)
        ago_s = min(time.time() - former.ts_ms / 1000 + EARLIER_S, OLDEST_S)
        trades = await trades_since(rest, symbol, rest.clock.timestamp_ms() - int(ago_s * 1000))
        booked = sum(reconciliation.book(instrument, trade) for trade in trades if trade.trade_id > before)
        if desk.position_lots != lots:
            cost = open_cost_ticklots(instrument, lots, position.entry_price) if lots else 0
            log.error("%s: position %d lots, the venue says %d", symbol, desk.position_lots, lots)
            core.on_position(instrument.symbol_id, lots, cost, time.monotonic_ns())
        log.info("%s: position %d lots, continued from the former life, %d fills missed", symbol, lots, booked)
    await reconciliation.attribute()
    try:
        await funding.read()
    except VenueReject as error:
        log.error("gateway: the history of funding is not to be had, only what the stream tells is booked: %s", error)
