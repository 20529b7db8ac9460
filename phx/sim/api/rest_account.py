"""The REST endpoints about the account: balances, positions, settings, limits, income, listen keys, the API key."""

from collections.abc import Callable

from phx.sim.api import account_views, market_views
from phx.sim.api.request import Call, Endpoint, Security, by_symbol, every_symbol, per_symbol
from phx.sim.contracts import padded
from phx.sim.exchange import rules
from phx.sim.exchange.settings import SUCCESS
from phx.sim.keys.signing import TRADE as MAY_TRADE

INCOME_ROWS = 100
HISTORY_MS = 30 * 24 * 3_600_000


def setting(name: str) -> Callable[[Call], dict]:
    """Return a handler that changes one of an account's settings."""
    return lambda call: getattr(call.exchange.settings, name)(call.account, call.params, call.now_ns)


def fee_burn(call: Call) -> dict:
    call.account.fee_burn = rules.mandatory_flag(call.params, "feeBurn")
    return SUCCESS


def income(call: Call) -> list:
    symbol, kind, limit = call.optional_symbol(), rules.text(call.params, "incomeType", ""), call.limit(INCOME_ROWS)
    start_ms, end_ms = call.span()
    rows = [
        row
        for row in call.account.income_rows()
        if symbol in ("", row["symbol"]) and kind in ("", row["incomeType"]) and start_ms <= row["time"] <= end_ms
    ]
    return rows[:limit]


def margin_history(call: Call) -> list:
    """Answer what moved into and out of isolated positions, newest first."""
    symbol, kind, limit = call.symbol(), rules.whole(call.params, "type", 0), call.limit(500)
    start_ms, end_ms = call.span(HISTORY_MS)
    rows = [
        {
            "symbol": change.symbol,
            "type": change.kind,
            "deltaType": "USER_ADJUST",
            "amount": padded(change.amount_e8, 8),
            "asset": change.asset,
            "time": change.time_ms,
            "positionSide": change.position_side,
        }
        for change in call.account.margin_changes
        if change.symbol == symbol and kind in (0, change.kind) and start_ms <= change.time_ms <= end_ms
    ]
    return rows[::-1][:limit]


def order_limits(call: Call) -> list:
    rows = call.exchange.limits.order_rows(call.now_ms, call.account.owner)[1:]
    return [{k: v for k, v in row.items() if k != "count"} for row in rows]


def trading_status(call: Call) -> dict:
    call.optional_symbol()
    return {"indicators": {}, "updateTime": call.now_ms}


def restrictions(call: Call) -> dict:
    """Answer what the API key may do. This one lives at the venue's main host, not at that of the futures."""
    return {
        "ipRestrict": bool(call.key.addresses),
        "createTime": call.venue.started_ms,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": MAY_TRADE in call.key.permissions,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }


def listen_key_start(call: Call) -> dict:
    return {"listenKey": call.venue.listen_keys.start(call.account, call.now_ms)}


def listen_key_extend(call: Call) -> dict:
    return {"listenKey": call.venue.listen_keys.extend(call.account, call.now_ms)}


def listen_key_close(call: Call) -> dict:
    call.venue.listen_keys.close(call.account)
    return {}


def balances(call: Call) -> list:
    return account_views.balances(call.exchange, call.account)


def account(version: int) -> Callable[[Call], dict]:
    return lambda call: account_views.account_information(call.exchange, call.account, version)


def positions(version: int) -> Callable[[Call], list]:
    return lambda call: account_views.position_risks(call.exchange, call.account, version, call.symbols())


KEY_ONLY, SIGNED, TRADE = Security.KEY_ONLY, Security.SIGNED, Security.TRADE
ENDPOINTS = {
    ("GET", "/fapi/v1/commissionRate"): Endpoint(
        lambda call: account_views.commission_rate(call.account, call.contract()), 20, SIGNED
    ),
    ("GET", "/fapi/v1/accountConfig"): Endpoint(lambda call: account_views.account_config(call.account), 5, SIGNED),
    ("GET", "/fapi/v1/symbolConfig"): Endpoint(
        every_symbol(lambda call, symbol: account_views.symbol_config(call.account, call.exchange.contracts[symbol])),
        5,
        SIGNED,
    ),
    ("GET", "/fapi/v1/leverageBracket"): Endpoint(
        every_symbol(lambda call, symbol: market_views.brackets(call.exchange, symbol)), 1, SIGNED
    ),
    ("POST", "/fapi/v1/leverage"): Endpoint(setting("set_leverage"), 1, TRADE),
    ("POST", "/fapi/v1/marginType"): Endpoint(setting("set_margin_type"), 1, TRADE),
    ("POST", "/fapi/v1/positionMargin"): Endpoint(setting("adjust_isolated_margin"), 1, TRADE),
    ("GET", "/fapi/v1/positionMargin/history"): Endpoint(margin_history, 1, TRADE),
    ("GET", "/fapi/v1/positionSide/dual"): Endpoint(lambda call: {"dualSidePosition": call.account.hedge}, 30, SIGNED),
    ("POST", "/fapi/v1/positionSide/dual"): Endpoint(setting("set_position_mode"), 1, TRADE),
    ("GET", "/fapi/v1/multiAssetsMargin"): Endpoint(
        lambda call: {"multiAssetsMargin": call.account.multi_assets}, 30, SIGNED
    ),
    ("POST", "/fapi/v1/multiAssetsMargin"): Endpoint(setting("set_multi_assets"), 1, TRADE),
    ("GET", "/fapi/v1/feeBurn"): Endpoint(lambda call: {"feeBurn": call.account.fee_burn}, 30, SIGNED),
    ("POST", "/fapi/v1/feeBurn"): Endpoint(fee_burn, 1, TRADE),
    ("GET", "/fapi/v1/rateLimit/order"): Endpoint(order_limits, 1, SIGNED),
    ("GET", "/fapi/v1/apiTradingStatus"): Endpoint(trading_status, by_symbol(1, 10), SIGNED),
    ("GET", "/fapi/v1/adlQuantile"): Endpoint(
        per_symbol(lambda call, symbol: account_views.adl_quantiles(call.exchange, call.account, symbol)), 5, SIGNED
    ),
    ("GET", "/fapi/v1/income"): Endpoint(income, 30, SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(restrictions, 1, SIGNED),
    ("POST", "/fapi/v1/listenKey"): Endpoint(listen_key_start, 1, KEY_ONLY),
    ("PUT", "/fapi/v1/listenKey"): Endpoint(listen_key_extend, 1, KEY_ONLY),
    ("DELETE", "/fapi/v1/listenKey"): Endpoint(listen_key_close, 1, KEY_ONLY),
}
for _version in (2, 3):
    ENDPOINTS["GET", f"/fapi/v{_version}/account"] = Endpoint(account(_version), 5, SIGNED)
    ENDPOINTS["GET", f"/fapi/v{_version}/balance"] = Endpoint(balances, 5, SIGNED)
    ENDPOINTS["GET", f"/fapi/v{_version}/positionRisk"] = Endpoint(positions(_version), 5, SIGNED)
