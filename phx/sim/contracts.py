"""The contracts the simulated venue lists: filters as exchangeInfo shows them, decimal text the way it is printed."""

from decimal import Decimal

from phx.instruments import ONE_E8, Instrument
from phx.venue.binance.listed import entries

NO_ID = 255  # of a contract that the configuration does not name

# (largest notional, maintenance margin rate, largest leverage); beyond the last one no position is allowed. From the
# venue's table of 2026.
BRACKETS = {
    "BTC": (
        (50_000, "0.004", 125), (500_000, "0.005", 100), (10_000_000, "0.01", 50), (80_000_000, "0.025", 20),
        (150_000_000, "0.05", 10), (300_000_000, "0.1", 5), (450_000_000, "0.125", 4), (600_000_000, "0.15", 3),
        (800_000_000, "0.25", 2), (1_000_000_000, "0.5", 1),
    ),
    "ETH": (
        (50_000, "0.004", 125), (500_000, "0.005", 100), (1_000_000, "0.0065", 75), (5_000_000, "0.01", 50),
        (50_000_000, "0.02", 20), (100_000_000, "0.05", 10), (150_000_000, "0.1", 5), (300_000_000, "0.125", 4),
        (400_000_000, "0.15", 3), (500_000_000, "0.25", 2), (800_000_000, "0.5", 1),
    ),
    "SOL": (
        (10_000, "0.005", 100), (50_000, "0.0065", 75), (200_000, "0.01", 50), (500_000, "0.012", 40),
        (1_000_000, "0.02", 25), (2_000_000, "0.025", 20), (5_000_000, "0.05", 10), (15_000_000, "0.1", 5),
        (20_000_000, "0.125", 4), (50_000_000, "0.25", 2), (100_000_000, "0.5", 1),
    ),
}  # fmt: skip
# The table is the same below, up to 10,000 at 75 times; what follows is that of smaller contracts.
OTHER_BRACKETS = (
    (10_000, "0.005", 75), (50_000, "0.0065", 50), (500_000, "0.01", 40), (5_000_000, "0.05", 10),
    (10_000_000, "0.1", 5), (20_000_000, "0.125", 4), (50_000_000, "0.25", 2), (100_000_000, "0.5", 1),
)  # fmt: skip


class Contract:
    """One listed contract. Texts come padded (market streams, acks, TRADE_LITE) or plain (user events, queries)."""

    def __init__(self, entry: dict, symbol_id: int = 0):
        self.entry = entry
        self.symbol = entry["symbol"]
        self.filters = {f["filterType"]: f for f in entry["filters"]}
        price, lot = self.filters["PRICE_FILTER"], self.filters["LOT_SIZE"]
        self.instrument = Instrument(
            symbol=self.symbol,
            symbol_id=symbol_id,
            tick_size=Decimal(price["tickSize"]),
            lot_size=Decimal(lot["stepSize"]),
            min_price=Decimal(price["minPrice"]),
            max_price=Decimal(price["maxPrice"]),
            min_qty=Decimal(lot["minQty"]),
            max_qty=Decimal(lot["maxQty"]),
            min_notional=Decimal(self.filters["MIN_NOTIONAL"]["notional"]),
            price_precision=entry["pricePrecision"],
            qty_precision=entry["quantityPrecision"],
            max_orders=self.filters["MAX_NUM_ORDERS"]["limit"],
            percent_up=Decimal(self.filters["PERCENT_PRICE"]["multiplierUp"]),
            percent_down=Decimal(self.filters["PERCENT_PRICE"]["multiplierDown"]),
            base_asset=entry["baseAsset"],
            quote_asset=entry["quoteAsset"],
            status=entry["status"],
        )
        self.order_filters = self.instrument  # what orders are held to; the book keeps its grid when these change
        self.margin_asset = entry["marginAsset"]
        self.ticklot_e8 = self.instrument.ticklot_e8
        self.market_max_lots = int(Decimal(self.filters["MARKET_LOT_SIZE"]["maxQty"]) / self.instrument.lot_size)
        self.take_bound = Decimal(entry["marketTakeBound"])
        self.liquidation_fee = Decimal(entry["liquidationFee"])
        self.max_amendments = entry.get("maxMoveOrderLimit", 10_000)
        self._price_unit = int(self.instrument.tick_size.scaleb(entry["pricePrecision"]))
        self._qty_unit = int(self.instrument.lot_size.scaleb(entry["quantityPrecision"]))
        self._price_decimals = entry["pricePrecision"]
        self._qty_decimals = entry["quantityPrecision"]
        self.zero_price = padded(0, self._price_decimals)
        brackets = BRACKETS.get(entry["baseAsset"], OTHER_BRACKETS)
        self.brackets = [(cap, Decimal(rate), leverage) for cap, rate, leverage in brackets]

    def price(self, ticks: int) -> str:
        """Return a price padded to the contract's pricePrecision."""
        return padded(ticks * self._price_unit, self._price_decimals)

    def qty(self, lots: int) -> str:
        """Return a quantity padded to the contract's quantityPrecision."""
        return padded(lots * self._qty_unit, self._qty_decimals)

    def plain_price(self, ticks: int) -> str:
        return plain(ticks * self._price_unit, self._price_decimals)

    def plain_qty(self, lots: int) -> str:
        return plain(lots * self._qty_unit, self._qty_decimals)

    def value_e8(self, ticklots: int) -> int:
        """Return tick·lot in 1e-8 of the margin asset."""
        return ticklots * self.ticklot_e8

    def value(self, ticklots: int, decimals: int) -> str:
        """Return tick·lot in the margin asset, cut off at a number of decimals."""
        value_e8 = self.value_e8(ticklots)
        return padded(value_e8 // 10 ** (8 - decimals) if decimals <= 8 else value_e8 * 10 ** (decimals - 8), decimals)

    def full_value(self, ticklots: int) -> str:
        """Return tick·lot with the decimals of price and quantity together."""
        return self.value(ticklots, self._price_decimals + self._qty_decimals)

    def plain_value(self, ticklots: int) -> str:
        return plain(ticklots * self.ticklot_e8, 8)

    def average_e8(self, ticklots: int, lots: int) -> int:
        """Return the average price of a quantity, in 1e-8 of the quote asset per unit of the base asset."""
        return round(ticklots * int(self.instrument.tick_size * ONE_E8) / lots) if lots else 0

    def bracket(self, notional_e8: int) -> tuple[Decimal, int, int]:
        """Return (maintenance rate, subtracted amount in 1e-8, bracket number from 1) for a notional value."""
        cum, floor, last_rate = Decimal(0), 0, Decimal(0)
        for number, (cap, rate, _) in enumerate(self.brackets, 1):
            cum += floor * (rate - last_rate)
            if notional_e8 <= cap * ONE_E8 or number == len(self.brackets):
                return rate, int(cum * ONE_E8), number
            floor, last_rate = cap, rate
        raise AssertionError("a contract has brackets")

    @property
    def max_leverage(self) -> int:
        return max(leverage for _, _, leverage in self.brackets)

    def max_notional(self, leverage: int) -> int:
        """Return the largest position value allowed at a leverage."""
        allowed = [cap for cap, _, most in self.brackets if most >= leverage]
        return allowed[-1] if allowed else self.brackets[0][0]


def padded(value: int, decimals: int) -> str:
    """Return value · 10^-decimals with exactly that many decimals."""
    if decimals == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def plain(value: int, decimals: int) -> str:
    """Return value · 10^-decimals without trailing zeros."""
    text = padded(value, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


def template() -> dict:
    """Return a captured entry to make others from."""
    return next(entry for entry in entries() if entry["symbol"] == "BTCUSDT")


def listed(ids: dict[str, int]) -> dict[str, Contract]:
    """Return all contracts of the table by symbol; `ids` gives the symbols of the configuration their integer."""
    return {entry["symbol"]: Contract(entry, ids.get(entry["symbol"], NO_ID)) for entry in entries()}
