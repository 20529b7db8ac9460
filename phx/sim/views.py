"""Account, balances, positions and contract tables, as REST and the WS-API show them."""

from phx.sim.account import Account, Position
from phx.sim.contracts import padded, plain
from phx.sim.exchange import Exchange
from phx.sim.limits import RATE_LIMITS


class Views:
    """Read-only answers about one exchange."""

    def __init__(self, exchange: Exchange):
        self.exchange = exchange

    def exchange_info(self, now_ms: int) -> dict:
        contracts = self.exchange.contracts.values()
        assets = sorted({c.margin_asset for c in contracts})
        return {
            "timezone": "UTC",
            "serverTime": now_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": RATE_LIMITS,
            "exchangeFilters": [],
            "assets": [{"asset": a, "marginAvailable": True, "autoAssetExchange": "-10000"} for a in assets],
            "symbols": [c.entry for c in contracts],
        }

    def premium_index(self, symbol: str, now_ms: int) -> dict:
        mark = self.exchange.marks[symbol]
        return {
            "symbol": symbol,
            "markPrice": padded(mark.mark_e8, 8),
            "indexPrice": padded(mark.index_e8, 8),
            "estimatedSettlePrice": padded(mark.index_e8, 8),
            "lastFundingRate": padded(mark.rate_e8, 8),
            "interestRate": "0.00010000",
            "nextFundingTime": mark.funding_ms,
            "time": now_ms,
        }

    def book_ticker(self, symbol: str) -> dict:
        contract = self.exchange.contracts[symbol]
        update_id, bid, ask, ts_ms = self.exchange.player.markets[symbol].streams.best or (0, (0, 0), (0, 0), 0)
        return {
            "symbol": symbol,
            "bidPrice": contract.price(bid[0]),
            "bidQty": contract.qty(bid[1]),
            "askPrice": contract.price(ask[0]),
            "askQty": contract.qty(ask[1]),
            "time": ts_ms,
            "lastUpdateId": update_id,
        }

    def price_ticker(self, symbol: str) -> dict:
        streams = self.exchange.player.markets[symbol].streams
        ticks = streams.last_ticks or (streams.best[1][0] if streams.best else 0)
        return {
            "symbol": symbol,
            "price": self.exchange.contracts[symbol].price(ticks),
            "time": self.exchange.now_ms,
        }

    def funding_info(self) -> list[dict]:
        return [
            {
                "symbol": symbol,
                "adjustedFundingRateCap": "0.00300000",
                "adjustedFundingRateFloor": "-0.00300000",
                "fundingIntervalHours": 8,
                "disclaimer": False,
                "updateTime": None,
            }
            for symbol in self.exchange.contracts
        ]

    def brackets(self, symbol: str) -> dict:
        rows, floor = [], 0
        contract = self.exchange.contracts[symbol]
        for number, (cap, rate, leverage) in enumerate(contract.brackets, 1):
            rows.append(
                {
                    "bracket": number,
                    "initialLeverage": leverage,
                    "notionalCap": cap,
                    "notionalFloor": floor,
                    "maintMarginRatio": float(rate),
                    "cum": contract.bracket(cap * 10**8)[1] / 10**8,
                }
            )
            floor = cap
        return {"symbol": symbol, "brackets": rows}

    # ---- the account --------------------------------------------------------------------------------------------

    def _margins(self, account: Account, asset: str) -> dict:
        """Return the sums of one margin asset, in 1e-8."""
        marks = self.exchange.marks_e8()
        unrealised = position_margin = order_margin = maintenance = 0
        for symbol, contract in self.exchange.contracts.items():
            if contract.margin_asset != asset:
                continue
            position = account.position(contract)
            needed = account.initial_margin_e8(contract, marks[symbol])
            held = 0
            if position and position.lots:
                notional = abs(position.notional_e8(marks[symbol]))
                held = notional // position.leverage
                unrealised += position.unrealised_e8(marks[symbol])
                maintenance += self._maintenance_e8(position, notional)
            position_margin += held
            order_margin += max(0, needed - held)
        wallet = account.wallets_e8[asset]
        return {
            "wallet": wallet,
            "unrealised": unrealised,
            "balance": wallet + unrealised,
            "maintenance": maintenance,
            "position": position_margin,
            "orders": order_margin,
            "initial": position_margin + order_margin,
            "available": max(0, wallet + unrealised - position_margin - order_margin),
        }

    @staticmethod
    def _maintenance_e8(position: Position, notional_e8: int) -> int:
        rate, cum_e8, _ = position.contract.bracket(notional_e8)
        return int(notional_e8 * rate) - cum_e8

    def balances(self, account: Account) -> list[dict]:
        rows = []
        for asset in account.wallets_e8:
            m = self._margins(account, asset)
            rows.append(
                {
                    "accountAlias": "SgsR",
                    "asset": asset,
                    "balance": padded(m["wallet"], 8),
                    "crossWalletBalance": padded(m["wallet"], 8),
                    "crossUnPnl": padded(m["unrealised"], 8),
                    "availableBalance": padded(m["available"], 8),
                    "maxWithdrawAmount": padded(m["available"], 8),
                    "marginAvailable": True,
                    "updateTime": self.exchange.now_ms,
                }
            )
        return rows

    def account(self, account: Account, version: int) -> dict:
        """Return account information; version 2 lists every symbol, 3 only those with a position or open orders."""
        margins = {asset: self._margins(account, asset) for asset in account.wallets_e8}
        usdt = margins.get("USDT") or dict.fromkeys(next(iter(margins.values())), 0)
        head = {}
        if version == 2:
            head = {
                "feeTier": 0,
                "feeBurn": False,
                "canTrade": True,
                "canDeposit": True,
                "canWithdraw": True,
                "updateTime": 0,
                "multiAssetsMargin": False,
                "tradeGroupId": -1,
            }
        return head | {
            # Single-asset mode: the totals are those of USDT alone.
            "totalInitialMargin": padded(usdt["initial"], 8),
            "totalMaintMargin": padded(usdt["maintenance"], 8),
            "totalWalletBalance": padded(usdt["wallet"], 8),
            "totalUnrealizedProfit": padded(usdt["unrealised"], 8),
            "totalMarginBalance": padded(usdt["balance"], 8),
            "totalPositionInitialMargin": padded(usdt["position"], 8),
            "totalOpenOrderInitialMargin": padded(usdt["orders"], 8),
            "totalCrossWalletBalance": padded(usdt["wallet"], 8),
            "totalCrossUnPnl": padded(usdt["unrealised"], 8),
            "availableBalance": padded(usdt["available"], 8),
            "maxWithdrawAmount": padded(usdt["available"], 8),
            "assets": [self._asset(asset, m) for asset, m in margins.items()],
            "positions": [
                self._account_position(account, symbol, version)
                for symbol in self.exchange.contracts
                if version == 2 or self._is_live(account, symbol)
            ],
        }

    def _asset(self, asset: str, m: dict) -> dict:
        return {
            "asset": asset,
            "walletBalance": padded(m["wallet"], 8),
            "unrealizedProfit": padded(m["unrealised"], 8),
            "marginBalance": padded(m["balance"], 8),
            "maintMargin": padded(m["maintenance"], 8),
            "initialMargin": padded(m["initial"], 8),
            "positionInitialMargin": padded(m["position"], 8),
            "openOrderInitialMargin": padded(m["orders"], 8),
            "crossWalletBalance": padded(m["wallet"], 8),
            "crossUnPnl": padded(m["unrealised"], 8),
            "availableBalance": padded(m["available"], 8),
            "maxWithdrawAmount": padded(m["available"], 8),
            "marginAvailable": True,
            "updateTime": self.exchange.now_ms,
        }

    def _is_live(self, account: Account, symbol: str) -> bool:
        opened = account.open.get(symbol)
        return bool(account.held(symbol) or (opened and opened.by_id))

    def _figures(self, account: Account, symbol: str) -> tuple[Position, int, dict]:
        """Return position, mark price and margins of a symbol, in 1e-8."""
        contract, mark = self.exchange.contracts[symbol], self.exchange.marks[symbol].mark_e8
        position = account.position(contract)
        notional = abs(position.notional_e8(mark))
        held = notional // position.leverage
        opened = account.open.get(symbol)
        return (
            position,
            mark,
            {
                "position": held,
                "orders": max(0, account.initial_margin_e8(contract, mark) - held),
                "maintenance": self._maintenance_e8(position, notional) if notional else 0,
                "bids": contract.value_e8(opened.ticklots[1]) if opened else 0,
                "asks": contract.value_e8(opened.ticklots[-1]) if opened else 0,
            },
        )

    def _account_position(self, account: Account, symbol: str, version: int) -> dict:
        position, mark, m = self._figures(account, symbol)
        quantity = position.contract.qty(position.lots)
        unrealised = padded(position.unrealised_e8(mark), 8)
        if version == 2:
            return {
                "symbol": symbol,
                "initialMargin": plain(m["position"] + m["orders"], 8),
                "maintMargin": plain(m["maintenance"], 8),
                "unrealizedProfit": unrealised,
                "positionInitialMargin": plain(m["position"], 8),
                "openOrderInitialMargin": plain(m["orders"], 8),
                "leverage": str(position.leverage),
                "isolated": False,
                "entryPrice": plain(position.entry_e8(), 8),
                "breakEvenPrice": plain(position.break_even_e8(), 8),
                "maxNotional": str(position.contract.max_notional(position.leverage)),
                "bidNotional": plain(m["bids"], 8),
                "askNotional": plain(m["asks"], 8),
                "positionSide": "BOTH",
                "positionAmt": quantity,
                "updateTime": position.update_ms,
            }
        return {
            "symbol": symbol,
            "positionSide": "BOTH",
            "positionAmt": quantity,
            "unrealizedProfit": unrealised,
            "isolatedMargin": "0",
            "notional": plain(position.notional_e8(mark), 8),
            "isolatedWallet": "0",
            "initialMargin": plain(m["position"] + m["orders"], 8),
            "maintMargin": plain(m["maintenance"], 8),
            "updateTime": position.update_ms,
        }

    def positions(self, account: Account, version: int, symbol: str = "") -> list[dict]:
        """Return positionRisk rows; version 2 lists flat symbols too."""
        symbols = [symbol] if symbol else list(self.exchange.contracts)
        return [
            self._position_risk(account, name, version)
            for name in symbols
            if version == 2 or self._is_live(account, name)
        ]

    def _position_risk(self, account: Account, symbol: str, version: int) -> dict:
        position, mark, m = self._figures(account, symbol)
        quantity, entry = position.contract.plain_qty(position.lots), plain(position.entry_e8(), 8)
        break_even, mark_text = plain(position.break_even_e8(), 8), padded(mark, 8)
        unrealised, notional = padded(position.unrealised_e8(mark), 8), plain(position.notional_e8(mark), 8)
        if version == 2:
            return {
                "symbol": symbol,
                "positionAmt": position.contract.qty(position.lots),
                "entryPrice": entry,
                "breakEvenPrice": break_even,
                "markPrice": mark_text,
                "unRealizedProfit": unrealised,
                "liquidationPrice": "0",
                "leverage": str(position.leverage),
                "maxNotionalValue": str(position.contract.max_notional(position.leverage)),
                "marginType": "cross",
                "isolatedMargin": "0.00000000",
                "isAutoAddMargin": "false",
                "positionSide": "BOTH",
                "notional": notional,
                "isolatedWallet": "0",
                "updateTime": position.update_ms,
            }
        return {
            "symbol": symbol,
            "positionSide": "BOTH",
            "positionAmt": quantity,
            "entryPrice": entry,
            "breakEvenPrice": break_even,
            "markPrice": mark_text,
            "unRealizedProfit": unrealised,
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": notional,
            "marginAsset": position.contract.margin_asset,
            "isolatedWallet": "0",
            "initialMargin": plain(m["position"] + m["orders"], 8),
            "maintMargin": plain(m["maintenance"], 8),
            "positionInitialMargin": plain(m["position"], 8),
            "openOrderInitialMargin": plain(m["orders"], 8),
            "adl": 1 if position.lots else 0,
            "bidNotional": plain(m["bids"], 8),
            "askNotional": plain(m["asks"], 8),
            "updateTime": position.update_ms,
        }

    def commission_rate(self, account: Account, symbol: str) -> dict:
        return {
            "symbol": symbol,
            "makerCommissionRate": f"{account.maker_fee:.6f}",
            "takerCommissionRate": f"{account.taker_fee:.6f}",
            "rpiCommissionRate": "0.000000",
        }

    def symbol_config(self, account: Account, symbol: str) -> dict:
        contract = self.exchange.contracts[symbol]
        leverage = account.settings_of(symbol).leverage
        return {
            "symbol": symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": leverage,
            "maxNotionalValue": str(contract.max_notional(leverage)),
        }
