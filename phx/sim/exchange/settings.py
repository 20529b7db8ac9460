"""What an account may choose: leverage, margin type, position mode, multi-assets mode, margin of isolated positions.

Each method takes a request's parameters and returns the answer. Raises Refused; then nothing changed.
"""

from collections.abc import Callable

from phx.instruments import ONE_E8
from phx.sim.contracts import Contract
from phx.sim.exchange import rules, wire
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import BOTH, POSITION_SIDES, Position
from phx.sim.refusals import Refused

SUCCESS = {"code": 200, "msg": "success"}
MARGIN_TYPES = {"ISOLATED": True, "CROSSED": False}


class Settings:
    """The choices of all accounts of an exchange. emit: sends a user event to an account."""

    def __init__(self, contracts: dict[str, Contract], marks_e8: Callable[[], dict[str, int]], emit: Callable):
        self.contracts = contracts
        self.marks_e8 = marks_e8
        self.emit = emit

    def set_leverage(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST leverage: symbol, leverage. Tells ACCOUNT_CONFIG_UPDATE.

        -4028: not between 1 and the contract's largest. -2027: positions and orders are larger than it allows.
        -2028: they would need more margin than there is. -4161: less leverage for an isolated position.
        """
        contract = self._contract(params)
        wanted = rules.whole(params, "leverage")
        if not 1 <= wanted <= contract.max_leverage:
            raise Refused(-4028, wanted)
        settings, marks = account.settings_of(contract.symbol), self.marks_e8()
        if settings.isolated and wanted < settings.leverage and account.held(contract.symbol):
            raise Refused(-4161)
        before = account.initial_margin_e8(contract, marks[contract.symbol])
        available, old = account.available_e8(contract.margin_asset, marks), settings.leverage
        settings.leverage = wanted
        after = account.initial_margin_e8(contract, marks[contract.symbol])
        code = 0
        if after * wanted > contract.max_notional(wanted) * ONE_E8:
            code = -2027
        elif after > before and after - before > available:
            code = -2028
        if code:
            settings.leverage = old
            raise Refused(code)
        now_ms = now_ns // 1_000_000
        self.emit(account, wire.leverage_update(contract.symbol, wanted, now_ms, now_ms))
        maximum = str(contract.max_notional(wanted))
        return {"symbol": contract.symbol, "leverage": wanted, "maxNotionalValue": maximum}

    def set_margin_type(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST marginType: symbol, marginType ISOLATED or CROSSED. Tells ACCOUNT_UPDATE (MARGIN_TYPE_CHANGE).

        -4046: it is that already. -4168: isolated in multi-assets mode. -4047: open orders. -4048: a position.
        """
        contract = self._contract(params)
        isolated = MARGIN_TYPES.get(rules.text(params, "marginType"))
        if isolated is None:
            raise Refused(-1130, "marginType")
        settings = account.settings_of(contract.symbol)
        if settings.isolated == isolated:
            raise Refused(-4046)
        if isolated and account.multi_assets:
            raise Refused(-4168)
        if account.open_orders(contract.symbol).by_id:
            raise Refused(-4047)
        if account.held(contract.symbol):
            raise Refused(-4048)
        settings.isolated = isolated
        self._tell(account, contract.margin_asset, account.positions_of(contract), "MARGIN_TYPE_CHANGE", now_ns)
        return SUCCESS

    def set_position_mode(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST positionSide/dual: dualSidePosition. -4059: no change. -4067: open orders. -4068: positions."""
        hedge = rules.mandatory_flag(params, "dualSidePosition")
        if hedge == account.hedge:
            raise Refused(-4059)
        if account.all_open():
            raise Refused(-4067)
        if account.held():
            raise Refused(-4068)
        account.hedge = hedge
        return SUCCESS

    def set_multi_assets(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST multiAssetsMargin: multiAssetsMargin. Tells ACCOUNT_CONFIG_UPDATE.

        -4171: no change. -4167: an isolated symbol. -4170: open orders. -4172: a negative wallet. -4169: afterwards
        the margin of some asset would not do.
        """
        wanted = rules.mandatory_flag(params, "multiAssetsMargin")
        if wanted == account.multi_assets:
            raise Refused(-4171)
        if wanted and any(settings.isolated for settings in account.settings.values()):
            raise Refused(-4167)
        if account.all_open():
            raise Refused(-4170)
        if wanted and min(account.wallets_e8.values()) < 0:
            raise Refused(-4172)
        account.multi_assets = wanted
        if any(account.available_e8(asset, self.marks_e8()) < 0 for asset in account.wallets_e8):
            account.multi_assets = not wanted
            raise Refused(-4169)
        now_ms = now_ns // 1_000_000
        self.emit(account, wire.multi_assets_update(wanted, now_ms, now_ms))
        return SUCCESS

    def adjust_isolated_margin(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST positionMargin: symbol, positionSide, amount, type 1 (add) or 2 (take away). Tells ACCOUNT_UPDATE.

        -4055: amount not positive. -4049: not isolated. -4054: no position. -4050: more than is available. -4051:
        more than the position's margin can spare, which is what exceeds its initial margin.
        """
        contract = self._contract(params)
        amount = rules.decimal(params, "amount")
        if amount <= 0:
            raise Refused(-4055)
        if rules.places(amount) > 8:
            raise Refused(-1111)
        kind = rules.whole(params, "type")
        if kind not in (1, 2):
            raise Refused(-1130, "type")
        position = account.position(contract, self._position_side(account, params))
        if not position.isolated:
            raise Refused(-4049)
        if not position.lots:
            raise Refused(-4054)
        amount_e8 = int(amount * ONE_E8)
        if kind == 1 and amount_e8 > account.available_e8(contract.margin_asset, self.marks_e8()):
            raise Refused(-4050)
        if kind == 2 and amount_e8 > self._spare_e8(position):
            raise Refused(-4051)
        account.move_margin(position, amount_e8 if kind == 1 else -amount_e8, now_ns // 1_000_000)
        self._tell(account, contract.margin_asset, [position], "MARGIN_TRANSFER", now_ns)
        shown = int(amount) if amount == int(amount) else float(amount)
        return {"code": 200, "msg": "Successfully modify position margin.", "amount": shown, "type": kind}

    def _spare_e8(self, position: Position) -> int:
        mark_e8 = self.marks_e8()[position.contract.symbol]
        needed = abs(position.notional_e8(mark_e8)) // position.leverage
        return position.isolated_e8 + min(0, position.unrealised_e8(mark_e8)) - needed

    def _tell(self, account: Account, asset: str, positions: list[Position], reason: str, now_ns: int) -> None:
        now_ms = now_ns // 1_000_000
        text = wire.account_update(account, asset, positions, self.marks_e8(), reason, now_ms, now_ms)
        self.emit(account, text)

    def _contract(self, params: dict) -> Contract:
        contract = self.contracts.get(rules.text(params, "symbol"))
        if contract is None:
            raise Refused(-1121)
        return contract

    @staticmethod
    def _position_side(account: Account, params: dict) -> str:
        side = rules.text(params, "positionSide", BOTH)
        if side not in POSITION_SIDES:
            raise Refused(-4060)
        if (side == BOTH) == account.hedge:
            raise Refused(-4061)
        return side
