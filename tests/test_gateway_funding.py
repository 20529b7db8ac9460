"""Funding reaches the books exactly once: by the account's stream, by the venue's history, by both, over lives."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from conftest import isolated
from test_gateway_shell import Shell, trade_of

from phx.gateway import epoch as lives
from phx.gateway import funding
from phx.gateway.funding import FundingBooks
from phx.gateway.startup import restore_books
from phx.sim.process import Servers, build
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.interface import Balance, Income, Position, VenueDown, VenueReject

HOUR_MS = 3_600_000
PAID_MS = 1_000 * HOUR_MS  # when funding is paid; the stream tells of it three seconds later
TOLD_MS = PAID_MS + 3_000


def row(number: int, amount: str = "-0.5", ts_ms: int = PAID_MS, **fields) -> Income:
    values = {"kind": "FUNDING_FEE", "symbol": "SYM0", "asset": "USDC"} | fields
    return Income(amount=amount, transaction=number, ts_ms=ts_ms, **values)


class History:
    """What the venue's history shows, by kind and time, at most `page` rows at a time."""

    def __init__(self, *rows: Income, page: int = 1000):
        self.rows, self.page = list(rows), page

    def __call__(self, kind: str, start_ms: int, end_ms: int) -> list[Income]:
        assert 0 <= end_ms - start_ms < 7 * 24 * HOUR_MS
        found = [r for r in self.rows if r.kind == kind and start_ms <= r.ts_ms <= end_ms]
        return sorted(found, key=lambda r: r.ts_ms)[: self.page]


class Life(Shell):
    """One life of a gateway at a venue with this history; `now_ms` is the venue's time."""

    def __init__(self, history: History, now_ms: int = PAID_MS - HOUR_MS):
        super().__init__(income=history, positions=[Position("SYM0", "0", "0", "BOTH", 1)])
        self.now_ms = now_ms
        self.venue.clock = SimpleNamespace(timestamp_ms=lambda: self.now_ms)
        self.funding = self.reconciliation.funding
        self.written = None

    def begin(self, former: lives.Inherited | None = None) -> "Life":
        asyncio.run(restore_books(self.reconciliation, {"SYM0": former} if former else {}))
        return self

    def tell(self, amount: str = "-0.5", ts_ms: int = TOLD_MS, symbol: str = "SYM0") -> None:
        named = f'"S":"{symbol}",' if symbol else ""
        self.hear(
            f'{{"e":"ACCOUNT_UPDATE","T":{ts_ms},"E":{ts_ms},"a":{{"m":"FUNDING_FEE",{named}'
            f'"B":[{{"a":"USDC","wb":"1000","cw":"1000","bc":"{amount}"}}],"P":[]}}}}'
        )

    def read(self, now_ms: int = PAID_MS + 10_000) -> None:
        self.now_ms = now_ms
        asyncio.run(self.funding.read())

    @property
    def booked_e8(self) -> int:
        return self.core.desk(0).totals()["funding_e8"]

    def left(self) -> lives.Inherited:
        """What the next life reads from disk."""
        desk = self.core.desk(0)
        books = {"SYM0": lives.Inherited(desk.totals(), set(), desk.newest_trade_id, self.now_ms)}
        books["SYM0"].funding = self.funding.kept["SYM0"]
        return msgspec.json.decode(msgspec.json.encode(books), type=lives.Books)["SYM0"]


# ---- one life ------------------------------------------------------------------------------------------------------


def test_what_the_stream_tells_is_booked_at_once_and_by_the_history_no_second_time():
    life = Life(History(row(7))).begin()
    life.tell()
    assert life.booked_e8 == -50_000_000
    life.read()
    life.read()
    assert life.booked_e8 == -50_000_000


def test_what_the_history_told_first_is_not_booked_by_the_stream():
    life = Life(History(row(7))).begin()
    life.read()
    assert life.booked_e8 == -50_000_000
    life.tell()
    life.tell()
    assert life.booked_e8 == -50_000_000


def test_a_payment_told_by_both_connections_of_a_roll_is_booked_once():
    life = Life(History()).begin()
    for ts_ms in (TOLD_MS, TOLD_MS, TOLD_MS + 8 * HOUR_MS):
        life.tell(ts_ms=ts_ms)
    assert life.booked_e8 == -100_000_000


def test_equal_payments_of_two_funding_times_are_two():
    later = PAID_MS + HOUR_MS
    life = Life(History(row(7), row(8, ts_ms=later))).begin()
    life.tell()
    life.read(later + 10_000)
    assert life.booked_e8 == -100_000_000


def test_a_special_payment_may_have_the_number_of_a_regular_one():
    life = Life(History(row(7), row(7, "0.00000001", kind="SPECIAL_FUNDING_FEE"))).begin()
    life.read()
    assert life.booked_e8 == -49_999_999


def test_a_venue_that_knows_no_special_payments_tells_the_regular_ones():
    history = History(row(7))
    life = Life(lambda kind, *span: history(kind, *span) if kind == funding.REGULAR else VenueReject(-1130, "no", 400))
    assert life.begin().booked_e8 == 0
    life.read()
    assert life.booked_e8 == -50_000_000


@pytest.mark.parametrize("foreign", [{"symbol": "XRPUSDC"}, {"asset": "BNB"}, {"symbol": ""}])
def test_payments_for_other_positions_and_in_other_currencies_are_not_ours(foreign):
    life = Life(History(row(7, **foreign))).begin()
    life.read()
    assert life.booked_e8 == 0


def test_where_the_stream_names_no_symbol_the_history_is_asked_whose_it_was():
    life = Life(History(row(7))).begin()
    life.tell(symbol="")
    assert life.booked_e8 == 0 and life.funding.wanted.is_set()
    life.read()
    assert life.booked_e8 == -50_000_000
    assert life.core.wallet_e8 == 1000 * 10**8


def test_what_the_stream_tells_of_several_positions_at_once_is_left_to_the_history():
    life = Life(History(row(7))).begin()
    held = ",".join(f'{{"s":"{s}","pa":"1","ep":"1","ps":"BOTH"}}' for s in ("SYM0", "SYM1"))
    life.hear(
        f'{{"e":"ACCOUNT_UPDATE","T":{TOLD_MS},"E":{TOLD_MS},"a":{{"m":"FUNDING_FEE",'
        f'"B":[{{"a":"USDC","wb":"1000","cw":"1000","bc":"-0.8"}}],"P":[{held}]}}}}'
    )
    assert life.booked_e8 == 0
    life.read()
    assert life.booked_e8 == -50_000_000


def test_more_rows_than_one_answer_holds_are_all_read():
    rows = [row(i, "0.00000001", PAID_MS + i // 2) for i in range(1, 30)]
    life = Life(History(*rows, page=4)).begin()
    funding.PAGE, page = 4, funding.PAGE
    try:
        life.read()
    finally:
        funding.PAGE = page
    assert life.booked_e8 == len(rows)


async def test_after_a_stream_that_was_down_the_history_is_read_soon():
    life = Life(History(row(7)))
    life.now_ms = PAID_MS + 40_000  # the next regular look is minutes away
    life.funding.restore("SYM0", None, PAID_MS - HOUR_MS)
    running = asyncio.create_task(life.funding.run())
    await asyncio.sleep(0.01)
    assert life.booked_e8 == 0
    life.core.wallet_e8 = 1000 * 10**8
    life.venue.answers["balances"] = [Balance("USDC", "1000", "0")]
    await life.reconciliation.everything()
    assert not life.funding.wanted.is_set()  # nothing moved the wallet: that history weighs more than all the rest
    life.venue.answers["balances"] = [Balance("USDC", "999.5", "0")]
    await life.reconciliation.everything()
    async with asyncio.timeout(5):
        while not life.booked_e8:
            await asyncio.sleep(0.001)
    running.cancel()


def test_a_wallet_that_moved_without_a_word_has_the_history_read():
    life = Life(History(row(7)))
    life.core.wallet_e8 = 1000 * 10**8
    balances = [Balance("USDT", "5", "5"), Balance("USDC", "999.5", "0")]
    life.venue.answers["balances"] = balances
    asyncio.run(life.reconciliation.compare_wallet())
    assert not life.funding.wanted.is_set()  # the word may be on its way
    life.core.wallet_e8 += 1
    asyncio.run(life.reconciliation.compare_wallet())
    assert not life.funding.wanted.is_set() and life.core.wallet_e8 == 1000 * 10**8 + 1
    asyncio.run(life.reconciliation.compare_wallet())
    assert life.funding.wanted.is_set() and life.core.wallet_e8 == 99_950_000_000
    life.funding.wanted.clear()
    for life.venue.answers["balances"] in (balances, balances, [], []):
        asyncio.run(life.reconciliation.compare_wallet())
    assert not life.funding.wanted.is_set() and life.core.wallet_e8 == 99_950_000_000


def test_a_wallet_that_fills_without_a_word_have_moved_is_taken_and_no_history_read():
    life = Life(History(row(7)))
    life.core.wallet_e8 = 1000 * 10**8
    life.venue.answers["balances"] = [Balance("USDC", "999.5", "0")]
    life.reconciliation.book(life.instruments["SYM0"], trade_of(5))
    asyncio.run(life.reconciliation.everything())
    for _ in range(2):
        asyncio.run(life.reconciliation.compare_wallet())
    assert life.core.wallet_e8 == 99_950_000_000 and not life.funding.wanted.is_set()
    life.venue.answers["balances"] = [Balance("USDC", "998", "0")]  # and once more, now by what nobody knows
    for _ in range(3):
        asyncio.run(life.reconciliation.compare_wallet())
    assert life.funding.wanted.is_set()


async def test_a_history_that_does_not_answer_ends_nothing(monkeypatch):
    monkeypatch.setattr(funding, "APART_S", 0.0)
    life = Life(VenueDown("no answer"))
    running = asyncio.create_task(life.funding.run())
    for _ in range(2):
        asked = len(life.venue.asked)
        life.funding.wanted.set()
        async with asyncio.timeout(5):
            while len(life.venue.asked) == asked:
                await asyncio.sleep(0.001)
    assert not running.done()
    running.cancel()


def test_after_each_funding_time_the_history_is_read_within_ten_seconds():
    assert any(3.3 < look < 9 for look in funding.LOOKS_S) and max(funding.LOOKS_S) - 3600 == min(funding.LOOKS_S)


# ---- over lives ----------------------------------------------------------------------------------------------------


def test_a_payment_between_two_lives_is_booked_by_the_second():
    first = Life(History()).begin()
    second = Life(History(row(7)), PAID_MS + HOUR_MS).begin(first.left())
    assert second.booked_e8 == -50_000_000
    third = Life(History(row(7)), PAID_MS + 2 * HOUR_MS).begin(second.left())
    assert third.booked_e8 == -50_000_000


def test_a_payment_that_the_first_life_heard_of_is_not_booked_again_by_the_second():
    first = Life(History()).begin()
    first.now_ms = TOLD_MS
    first.tell()
    second = Life(History(row(7)), PAID_MS + HOUR_MS).begin(first.left())
    assert second.booked_e8 == -50_000_000
    second.tell()
    assert second.booked_e8 == -50_000_000


def test_a_row_that_comes_long_after_its_time_is_booked_all_the_same():
    first = Life(History()).begin()
    first.read(PAID_MS + 6 * HOUR_MS)
    second = Life(History(row(7)), PAID_MS + 7 * HOUR_MS).begin(first.left())
    assert second.booked_e8 == -50_000_000


def test_weeks_without_a_life_are_read_week_by_week():
    first = Life(History()).begin()
    rows = [row(i, "0.1", PAID_MS + i * 24 * HOUR_MS) for i in range(30)]
    second = Life(History(*rows), PAID_MS + 31 * 24 * HOUR_MS).begin(first.left())
    assert second.booked_e8 == 30 * 10_000_000


def test_what_was_paid_before_the_books_began_is_in_no_total():
    assert Life(History(row(7)), PAID_MS + HOUR_MS).begin().booked_e8 == 0


def test_books_without_a_word_about_funding_go_on_from_where_they_end():
    older = lives.Inherited(dict.fromkeys(lives.TOTALS, 0) | {"funding_e8": 11}, set(), 0, PAID_MS - 1)
    text = msgspec.json.encode(older).replace(b',"funding":null', b"")
    assert b'"funding"' not in text
    former = msgspec.json.decode(text, type=lives.Inherited)
    life = Life(History(row(7), row(6, ts_ms=PAID_MS - 2)), PAID_MS + HOUR_MS).begin(former)
    assert life.booked_e8 == 11 - 50_000_000


def test_killed_between_booking_and_writing_the_history_books_it_again_and_once():
    """Shared memory holds a payment that the file does not: what it says of funding does not count."""
    first = Life(History()).begin()
    on_disk = {"SYM0": first.left()}
    first.tell()
    in_memory = {"SYM0": lives.Inherited(first.core.desk(0).totals() | {"fills": 3}, set(), 0, TOLD_MS)}
    found = lives.newest_books(on_disk, in_memory)["SYM0"]
    assert (found.totals["funding_e8"], found.totals["fills"]) == (0, 3)
    assert Life(History(row(7)), PAID_MS + HOUR_MS).begin(found).booked_e8 == -50_000_000


def test_a_start_that_fails_half_way_and_is_tried_again_books_once():
    first = Life(History()).begin()
    former, answers = first.left(), [VenueDown("no answer")]
    history = History(row(7))
    second = Life(lambda kind, *span: answers.pop() if answers and kind == funding.SPECIAL else history(kind, *span))
    second.now_ms = PAID_MS + HOUR_MS
    with pytest.raises(VenueDown):
        second.begin(former)
    assert second.begin(former).booked_e8 == -50_000_000


def test_a_venue_that_refuses_its_history_keeps_nobody_from_trading(caplog):
    life = Life(VenueReject(-1102, "no", 400)).begin()
    life.tell()
    assert life.booked_e8 == -50_000_000 and "only what the stream tells" in caplog.text


# ---- at the simulated venue ----------------------------------------------------------------------------------------


async def test_the_simulated_venues_history_is_exactly_what_its_wallet_paid(tmp_path: Path):
    with isolated(tmp_path) as config:
        venue = build(config)
        async with Servers(venue, config.sim.port):
            rest = Rest(endpoints(config), keys.load(config), share=1.0)
            await rest.server_time()
            instruments = await rest.exchange_info({"BTCUSDC": 0})
            life = Shell()
            books = FundingBooks(life.core, rest, instruments)
            books.restore("BTCUSDC", None, rest.clock.timestamp_ms() - 60_000)
            exchange = venue.exchange
            account, contract = exchange.accounts[1], exchange.contracts["BTCUSDC"]
            account.position(contract).lots = -30
            before_e8 = account.wallets_e8["USDC"]
            for i, rate in enumerate((0.0001, -0.00003, 0.00000001)):
                due_ms = rest.clock.timestamp_ms() - 10_000
                exchange.funding.settle(contract, rate, 6_400_100_000_000 + i, due_ms)
                exchange.funding.book_due(due_ms + 3000)
            await books.read()
            await books.read()
            await rest.close()
    assert len(account.incomes) == 3
    assert life.core.desk(0).totals()["funding_e8"] == account.wallets_e8["USDC"] - before_e8 != 0
