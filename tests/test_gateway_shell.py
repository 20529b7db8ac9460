"""The gateway's shell around its core: the account's stream, answers, reconciliation, what one life leaves the next."""

import asyncio
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from gateway_rig import EPOCH, SECOND_NS, Rig

from phx._core import questions, records
from phx._core.coid import format_coid
from phx._core.enums import OrderState
from phx._core.ring import RingWriter
from phx.gateway import epoch as lives
from phx.gateway.account import Orders, e8, open_cost_ticklots
from phx.gateway.reconcile import Reconciliation, cancel_own
from phx.gateway.replies import Replies
from phx.gateway.startup import restore_books
from phx.gateway.user_events import UserEvents
from phx.instruments import Instrument, InstrumentError
from phx.segment import Segment
from phx.venue.binance.messages import api_reply, user_event
from phx.venue.interface import Order, Position, UserTrade, VenueDown, VenueReject

INSTRUMENT = Instrument(
    symbol="SYM0",
    symbol_id=0,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_price=Decimal("0.1"),
    max_price=Decimal("1000000"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal("1000"),
    min_notional=Decimal("50"),
    price_precision=1,
    qty_precision=3,
)


def coid(intent_id: int, epoch: int = EPOCH) -> str:
    return format_coid("sim", 0, epoch, intent_id)


class FakeVenue:
    """Answers as a script says; a script value that is an exception is raised."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []
        self.clock = SimpleNamespace(timestamp_ms=lambda: 1_000_000)

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self.asked.append((name, *args))
            answer = self.answers.get(name, [])
            answer = answer(*args) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Shell(Rig):
    def __init__(self, **answers):
        super().__init__()
        unknown = {"order_by_id": VenueReject(-2013, "Order does not exist.", 400)}
        self.venue = FakeVenue(**unknown | answers)
        self.instruments = {"SYM0": INSTRUMENT}
        self.orders = Orders("s", {"SYM0": 0}, EPOCH)
        self.zombies, self.forced, self.clocks, self.limits = [], [], [], []
        self.replies = Replies(
            self.core,
            self.instruments,
            self.orders,
            lambda: self.clocks.append(1),
            lambda *limit: self.limits.append(limit),
        )
        self.events = UserEvents(
            self.core,
            self.instruments,
            self.orders,
            lambda *zombie: self.zombies.append(zombie),
            lambda *forced: self.forced.append(forced),
        )
        self.reconciliation = Reconciliation(
            self.core,
            self.venue,
            self.instruments,
            self.orders,
            self.replies,
            "sim",
            2000,
            self.events.venue_positions,
        )
        self.events.on_funding = self.reconciliation.funding.told

    def hear(self, frame: str) -> None:
        self.events.handle(user_event(frame.encode()), self.now_ns)

    def update(self, order: dict, execution: str, status: str, **fields) -> None:
        """An ORDER_TRADE_UPDATE in the venue's wire form."""
        values = {"l": "0", "z": "0", "L": "0", "n": "0", "t": 0, "c": coid(order["intent_id"])} | fields
        side = "BUY" if order["side"] > 0 else "SELL"
        self.hear(
            f'{{"e":"ORDER_TRADE_UPDATE","T":1776789210247,"E":1776789210247,"o":{{"s":"SYM0","c":"{values["c"]}",'
            f'"S":"{side}","o":"LIMIT","f":"GTX","q":"0.01","p":"9999","ap":"0","sp":"0","x":"{execution}",'
            f'"X":"{status}","i":58846581664,"l":"{values["l"]}","z":"{values["z"]}","L":"{values["L"]}",'
            f'"n":"{values["n"]}","N":"USDC","T":1776789210247,"t":{values["t"]},"b":"0","a":"0","m":true,"R":false,'
            f'"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,'
            f'"V":"EXPIRE_MAKER","pm":"NONE","gtd":0,"er":"0"}}}}'
        )

    def answer(self, request_id: int, body: str, status: int = 200) -> None:
        self.replies.handle(api_reply(f'{{"id":{request_id},"status":{status},{body}}}'.encode()), self.now_ns)

    def row(self, intent_id: int, status: str, executed: str = "0.000") -> str:
        return (
            f'"result":{{"orderId":77,"symbol":"SYM0","status":"{status}","clientOrderId":"{coid(intent_id)}",'
            f'"price":"9999.0","origQty":"0.010","executedQty":"{executed}","cumQty":"0","timeInForce":"GTX",'
            f'"type":"LIMIT","reduceOnly":false,"side":"BUY","updateTime":1765337013071}}'
        )


def order_of(intent_id: int, status: str = "NEW", filled: str = "0", epoch: int = EPOCH) -> Order:
    return Order("SYM0", coid(intent_id, epoch), 77, 1, status, "9999", "0.01", filled, "LIMIT", "GTX", False, 1)


def trade_of(trade_id: int, qty: str = "0.004", order_id: int = 77) -> UserTrade:
    return UserTrade("SYM0", trade_id, order_id, 1, "9999.0", qty, "0.001", "USDC", "0", True, 1)


@pytest.fixture
def shell() -> Shell:
    return Shell()


# ---- the account's stream ------------------------------------------------------------------------------------------


def test_a_whole_life_of_an_order_as_the_stream_tells_it(shell):
    (order,) = shell.quote([(99_990, 10)])
    shell.update(order, "NEW", "NEW")
    assert shell.live()[order["intent_id"]]["state"] == OrderState.ORDER_OPEN
    shell.update(order, "TRADE", "PARTIALLY_FILLED", l="0.004", z="0.004", L="9999", n="0.00123", t=501)
    shell.update(order, "CANCELED", "CANCELED", z="0.004")
    totals = shell.core.desk(0).totals()
    assert (totals["position_lots"], totals["fees_e8"], totals["open_cost_ticklots"]) == (4, 123_000, 4 * 99_990)
    assert shell.live() == {}


def test_the_fast_notice_and_the_full_one_book_a_fill_once_with_its_fee(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.hear(
        '{"e":"TRADE_LITE","E":1788231624647,"T":1788231624647,"s":"SYM0","q":"0.010","p":"9999.0","m":true,'
        f'"c":"{coid(order["intent_id"])}","S":"BUY","L":"9999.0","l":"0.010","t":871685788,"i":81873278124}}'
    )
    shell.update(order, "TRADE", "FILLED", l="0.01", z="0.01", L="9999", n="-0.002", t=871685788)
    totals = shell.core.desk(0).totals()
    assert (totals["position_lots"], totals["fills"], totals["fees_e8"]) == (10, 1, -200_000)


def test_an_order_of_a_former_life_that_appears_is_reported(shell):
    shell.update({"intent_id": 5, "side": 1}, "NEW", "NEW", c=coid(5, EPOCH - 1))
    assert shell.zombies == [("SYM0", coid(5, EPOCH - 1))]


def test_another_phx_on_the_account_is_found_by_a_name_that_we_have_not_given_yet(shell):
    rivals = []
    shell.events.on_rival = lambda symbol, name: rivals.append(name)
    (order,) = shell.quote([(99_990, 10)])
    ours, next_of_ours = coid(order["intent_id"]), coid(order["intent_id"] + 1)
    for name in (ours, coid(9, EPOCH - 1)):  # an order of ours, and one of a former life that comes late
        shell.update(order, "NEW", "NEW", c=name)
    assert rivals == []
    shell.update(order, "CANCELED", "CANCELED", c=coid(9, EPOCH + 1))  # an end is no new order
    shell.update(order, "NEW", "NEW", c=next_of_ours)
    shell.update(order, "NEW", "NEW", c=coid(1, EPOCH + 1))
    assert rivals == [next_of_ours, coid(1, EPOCH + 1)]
    assert {name for _, name in shell.zombies}.isdisjoint(rivals)


def test_a_fill_of_the_venue_itself_is_booked_and_reported(shell):
    shell.update({"intent_id": 5, "side": -1}, "TRADE", "FILLED", c="autoclose-123", l="0.01", L="9999", t=9)
    assert shell.forced == [("SYM0", "autoclose-123")] and shell.core.desk(0).position_lots == -10


def test_an_execution_that_nobody_knows_is_not_trusted(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.update(order, "TELEPORTED", "SOMEWHERE")
    assert order["intent_id"] in shell.live()


def test_other_symbols_are_none_of_our_business(shell):
    shell.hear(
        '{"e":"TRADE_LITE","E":1,"T":1,"s":"XRPUSDC","q":"1","p":"2","m":true,"c":"x","S":"BUY","L":"2","l":"1",'
        '"t":1,"i":1}'
    )
    assert shell.core.desk(0).position_lots == 0


# ---- answers -------------------------------------------------------------------------------------------------------


def test_replies_find_their_order_by_the_request_id(shell):
    (order,) = shell.quote([(99_990, 10)])
    intent = order["intent_id"]
    shell.answer(intent * 4 + 1, shell.row(intent, "NEW"))
    assert shell.live()[intent]["state"] == OrderState.ORDER_OPEN
    shell.quote([])
    shell.answer(intent * 4 + 3, shell.row(intent, "CANCELED", "0.004"))
    shell.wait(SECOND_NS)
    assert set(questions.missing_fills(shell.core, shell.now_ns)) == {0}
    shell.fill(order, 4)
    assert shell.live() == {} and questions.missing_fills(shell.core, shell.now_ns) == {}


def test_a_status_that_nobody_knows_is_not_trusted_to_be_an_end(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.quote([])
    shell.answer(order["intent_id"] * 4 + 3, shell.row(order["intent_id"], "PENDING_CANCEL"))
    assert shell.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    shell.replies.stated(order_of(order["intent_id"], "RESTING"), shell.now_ns)
    assert shell.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN


@pytest.mark.parametrize(
    ("status", "msg", "limit"),
    [(429, "Too many requests.", (False, 0)), (418, "banned until 1659146400000", (True, 1_659_146_400_000))],
)
def test_a_rate_limit_told_on_the_order_session_is_passed_on(shell, status, msg, limit):
    (order,) = shell.quote([(99_990, 10)])
    shell.answer(order["intent_id"] * 4 + 1, f'"error":{{"code":-1003,"msg":"{msg}"}}', status)
    assert shell.limits == [limit] and shell.live() == {}


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        (400, -2019, None),
        (400, -5022, None),
        (503, -1000, OrderState.ORDER_UNKNOWN),
        (400, -1008, OrderState.ORDER_UNKNOWN),
        (408, -1007, OrderState.ORDER_UNKNOWN),
        (400, -4116, OrderState.ORDER_UNKNOWN),
    ],
)
def test_a_refusal_closes_and_an_open_end_stays_unknown(shell, status, code, state):
    (order,) = shell.quote([(99_990, 10)])
    shell.answer(order["intent_id"] * 4 + 1, f'"error":{{"code":{code},"msg":"x"}}', status)
    live = shell.live()
    assert (live[order["intent_id"]]["state"] if live else None) == state


def test_a_refused_timestamp_synchronises_the_clock(shell):
    (order,) = shell.quote([(99_990, 10)])
    shell.answer(order["intent_id"] * 4 + 1, '"error":{"code":-1021,"msg":"x"}', 400)
    assert shell.clocks == [1]


def test_errors_by_rest_mean_what_they_say(shell):
    first, second = shell.quote([(99_990, 10), (99_980, 10)])
    shell.replies.failed(1, first["intent_id"], VenueReject(-2019, "x", 400), shell.now_ns)
    shell.replies.failed(1, second["intent_id"], VenueDown("gone"), shell.now_ns)
    assert [o["state"] for o in shell.live().values()] == [OrderState.ORDER_UNKNOWN]


# ---- reconciliation ------------------------------------------------------------------------------------------------


def unknown_order(shell: Shell) -> int:
    """An order without an answer, sent long ago by the real clock, which the questions are asked by."""
    shell.now_ns = time.monotonic_ns() - 10 * SECOND_NS
    shell.market()
    shell.prove()
    (order,) = shell.quote([(99_990, 10)])
    shell.core.on_unknown(order["intent_id"], shell.now_ns)
    return order["intent_id"]


def test_no_such_order_long_after_the_send_proves_absence():
    shell = Shell(order_status=VenueReject(-2013, "Order does not exist.", 400))
    intent = unknown_order(shell)
    asyncio.run(shell.reconciliation.ask_questions())
    assert ("order_status", "SYM0", coid(intent)) in shell.venue.asked
    assert shell.live() == {}


def test_no_such_order_proves_nothing_without_the_stream_that_would_have_told():
    shell = Shell(order_status=VenueReject(-2013, "Order does not exist.", 400))
    intent = unknown_order(shell)
    shell.core.user_stream_up = False
    asyncio.run(shell.reconciliation.ask_questions())
    assert shell.live()[intent]["state"] == OrderState.ORDER_UNKNOWN
    shell.core.user_stream_up = True
    asyncio.run(shell.reconciliation.ask_questions())  # asked just now: not again so soon
    assert shell.live()[intent]["state"] == OrderState.ORDER_UNKNOWN
    asyncio.run(shell.reconciliation.ask(intent, 0))
    assert shell.live() == {}


@pytest.mark.parametrize("listed", [True, False])
def test_no_such_order_about_an_acknowledged_one_is_believed_only_with_the_list_of_open_orders(listed):
    shell = Shell(order_status=VenueReject(-2013, "Order does not exist.", 400))
    intent = unknown_order(shell)
    shell.core.on_accept(intent, 77, 1, shell.now_ns)
    shell.venue.answers["open_orders"] = [order_of(intent)] if listed else []
    asyncio.run(shell.reconciliation.ask_questions())
    assert bool(shell.live()) == listed


def test_many_acknowledged_orders_that_are_gone_cost_one_look_at_list_and_history():
    class Slow(FakeVenue):
        def __getattr__(self, name):
            answer = super().__getattr__(name)

            async def call(*args, **kwargs):
                await asyncio.sleep(0.01)
                return await answer(*args, **kwargs)

            return call

    shell = Shell()
    shell.reconciliation.rest = venue = Slow(order_status=VenueReject(-2013, "Order does not exist.", 400))
    shell.now_ns = time.monotonic_ns() - 10 * SECOND_NS
    shell.market()
    shell.prove()
    orders = shell.quote([(99_990 - i, 10) for i in range(3)])
    for order in orders:
        shell.core.on_unknown(order["intent_id"], shell.now_ns)
        shell.core.on_accept(order["intent_id"], 77 + order["intent_id"], 1, shell.now_ns)
    assert len(shell.live()) == 3

    first, *others = (order["intent_id"] for order in orders)

    async def ask_all():
        await asyncio.gather(*(shell.reconciliation.ask(intent, 0) for intent in others))
        await shell.reconciliation.ask(first, 0)

    asyncio.run(ask_all())
    assert shell.live() == {}
    asked = [name for name, *_ in venue.asked]
    assert (asked.count("order_status"), asked.count("open_orders"), asked.count("user_trades")) == (3, 1, 1)


def test_no_such_order_soon_after_the_send_proves_nothing():
    shell = Shell(order_status=VenueReject(-2013, "Order does not exist.", 400))
    shell.now_ns = time.monotonic_ns()
    shell.market()
    shell.prove()
    (order,) = shell.quote([(99_990, 10)])
    shell.core.on_unknown(order["intent_id"], shell.now_ns)
    asyncio.run(shell.reconciliation.ask(order["intent_id"], 0))
    assert ("order_status", "SYM0", coid(order["intent_id"])) in shell.venue.asked
    assert shell.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN


def test_a_filled_order_whose_fills_were_lost_is_settled_from_the_history():
    shell = Shell(order_status=lambda *_: order_of(intent, "FILLED", "0.01"), user_trades=[])
    intent = unknown_order(shell)
    asyncio.run(shell.reconciliation.ask_questions())
    assert shell.live()[intent]["state"] == OrderState.ORDER_UNKNOWN and shell.core.desk(0).position_lots == 0
    shell.venue.answers["user_trades"] = [trade_of(1, "0.004"), trade_of(2, "0.006")]
    asyncio.run(shell.reconciliation.read_trades("SYM0"))
    asyncio.run(shell.reconciliation.read_trades("SYM0"))
    assert shell.live() == {}
    totals = shell.core.desk(0).totals()
    assert (totals["position_lots"], totals["fills"], totals["fees_e8"]) == (10, 2, 200_000)


def test_orders_that_should_not_be_open_are_cancelled_and_foreign_ones_left_alone():
    foreign = Order("SYM0", "web_1", 5, 1, "NEW", "9999", "0.01", "0", "LIMIT", "GTC", False, 1)
    shell = Shell(open_orders=[order_of(900), order_of(3, epoch=EPOCH - 1), foreign])
    asyncio.run(shell.reconciliation.compare_open_orders())
    cancelled = [asked[2] for asked in shell.venue.asked if asked[0] == "cancel"]
    assert cancelled == [coid(900), coid(3, EPOCH - 1)]


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED", "NEW"])
def test_an_order_that_ended_without_a_word_is_told_once_and_one_that_lives_is_not(status):
    shell = Shell(open_orders=[], order_status=lambda *asked: order_of(intent_id, status), user_trades=[])
    (order,) = shell.placed([(99_990, 10)])
    intent_id, told = order["intent_id"], []
    shell.reconciliation.on_untold = told.append
    asyncio.run(shell.reconciliation.compare_open_orders())
    asyncio.run(shell.reconciliation.compare_open_orders())
    assert told == ([] if status == "NEW" else ["SYM0"])


def test_the_venues_position_is_taken_only_after_two_looks():
    shell = Shell(positions=[Position("SYM0", "0.005", "9999.5", "BOTH", 1)], user_trades=[])
    asyncio.run(shell.reconciliation.compare_positions())
    assert shell.core.desk(0).position_lots == 0
    asyncio.run(shell.reconciliation.compare_positions())
    totals = shell.core.desk(0).totals()
    assert (totals["position_lots"], totals["open_cost_ticklots"]) == (5, 499_975)


def test_no_position_is_taken_from_an_account_in_hedge_mode():
    shell = Shell(positions=[Position("SYM0", "0.005", "9999.5", "LONG", 1)], user_trades=[], position_mode=True)
    told = []
    shell.reconciliation.on_hedge_mode = lambda: told.append("hedge mode")
    shell.core.on_position(0, 7, 700_000, 0)
    for _ in range(5):
        asyncio.run(shell.reconciliation.compare_positions())
    assert shell.core.desk(0).position_lots == 7 and told
    shell.venue.answers |= {"position_mode": False, "positions": [Position("SYM0", "0.005", "9999.5", "BOTH", 1)]}
    for _ in range(2):
        asyncio.run(shell.reconciliation.compare_positions())
    assert shell.core.desk(0).position_lots == 5


def test_own_orders_are_cancelled_at_once_only_when_no_others_are_there():
    venue = FakeVenue(open_orders=[order_of(1)])
    assert asyncio.run(cancel_own(venue, "SYM0", "phxs-")) == 1
    assert ("cancel_all", "SYM0") in venue.asked
    foreign = Order("SYM0", "web_1", 5, 1, "NEW", "9999", "0.01", "0", "LIMIT", "GTC", False, 1)
    gone = VenueReject(-2011, "Unknown order sent.", 400)
    venue = FakeVenue(
        open_orders=[*map(order_of, range(1, 13)), foreign], cancel_batch=lambda symbol, coids: [gone] * len(coids)
    )
    assert asyncio.run(cancel_own(venue, "SYM0", "phxs-")) == 12
    by_tens = [[coid(i) for i in ids] for ids in (range(1, 11), range(11, 13))]
    assert [a for a in venue.asked if a[0].startswith("cancel")] == [("cancel_batch", "SYM0", b) for b in by_tens]


# ---- lives ---------------------------------------------------------------------------------------------------------


def test_every_life_has_a_larger_number_that_is_on_disk_first(tmp_path):
    assert [lives.next_epoch(tmp_path) for _ in range(3)] == [1, 2, 3]
    assert (tmp_path / "epoch").read_text() == "3"


def test_only_a_life_that_said_so_ended_cleanly_and_it_counts_once(tmp_path):
    assert lives.ended_cleanly(tmp_path)  # there was none before
    lives.next_epoch(tmp_path)
    assert not lives.ended_cleanly(tmp_path)
    lives.mark_clean(tmp_path, 1)
    assert lives.ended_cleanly(tmp_path) and not lives.ended_cleanly(tmp_path)


def left_behind(shell, folder):
    """What a gateway that is killed now leaves to the next one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, dtype, slots, ring in (
        ("own.SYM0", records.OWN, 8, shell.symbols[0].own),
        ("journal", records.JOURNAL, 64, shell.journal),
    ):
        segment = Segment.create(folder, name, dtype, slots)
        writer = RingWriter(segment.memory, dtype)
        for record in ring.all():
            writer.write(record)
    return lives.inherit(folder, {"SYM0": 0})["SYM0"]


def test_totals_and_booked_trades_are_inherited_from_shared_memory(tmp_path):
    folder = tmp_path / "shm"
    folder.mkdir(mode=0o700)
    assert lives.inherit(folder, {"SYM0": 0}) == {}
    shell = Shell()
    (order,) = shell.placed([(99_990, 10)])
    shell.fill(order, 4, fee_e8=9, trade_id=321)
    shell.step()
    inherited = left_behind(shell, folder)
    assert inherited.totals["position_lots"] == 4 and inherited.totals["fees_e8"] == 9
    assert inherited.trade_ids == {321} and inherited.newest_trade_id == 321


def test_a_fill_that_the_totals_do_not_hold_yet_is_not_inherited_as_booked(tmp_path):
    """Killed between the journal's entry of a fill and the own record that carries it."""
    shell = Shell()
    (order,) = shell.placed([(99_990, 10)])
    shell.fill(order, 4, trade_id=321)
    shell.step()
    shell.fill(order, 6, trade_id=322)
    inherited = left_behind(shell, tmp_path)
    assert inherited.totals["position_lots"] == 4
    assert inherited.trade_ids == {321} and inherited.newest_trade_id == 321


def test_a_fee_that_was_not_told_yet_is_booked_by_the_next_life(tmp_path):
    """Killed between the quick word of a fill, which names no fee, and the full one."""
    shell = Shell()
    (order,) = shell.placed([(99_990, 12)])
    for trade_id in (321, 322, 323):
        shell.fill(order, 4, price=100_000, fee_e8=None, trade_id=trade_id)
    shell.fill(order, 4, price=100_000, fee_e8=100_000, trade_id=322)
    shell.step()
    former = left_behind(shell, tmp_path)
    assert former.trade_ids == {321, 322, 323} and former.fees_missing == {321, 323}
    history = [trade_of(i, "0.004") for i in (321, 322, 323)]
    after = Shell(user_trades=history, positions=[Position("SYM0", "0.012", "10000", "BOTH", 1)])
    asyncio.run(restore_books(after.reconciliation, {"SYM0": former}))
    totals = after.core.desk(0).totals()
    assert (totals["fills"], totals["position_lots"], totals["fees_e8"]) == (3, 12, 3 * 100_000)
    # That life is killed too; its journal holds late fees only, of trades among others that its totals hold as well.
    after.step()
    third = Shell(user_trades=history, positions=[Position("SYM0", "0.012", "10000", "BOTH", 1)])
    asyncio.run(restore_books(third.reconciliation, {"SYM0": left_behind(after, tmp_path / "after")}))
    assert third.core.desk(0).totals() == totals


def test_fills_of_a_dead_time_are_booked_once_whether_or_not_the_life_before_had_any(tmp_path):
    history = [trade_of(i, "0.004") for i in (321, 322, 323)]
    shell = Shell()
    (order,) = shell.placed([(99_990, 10)])
    shell.fill(order, 4, price=100_000, fee_e8=100_000, trade_id=321)
    shell.step()
    first = left_behind(shell, tmp_path / "first")
    second = Shell(user_trades=history[:2], positions=[Position("SYM0", "0.008", "10000", "BOTH", 1)])
    asyncio.run(restore_books(second.reconciliation, {"SYM0": first}))
    assert second.core.desk(0).totals()["fills"] == 2
    # A life without a single fill knows what it began with.
    quiet = Shell()
    quiet.core.desk(0).restore(second.core.desk(0).totals(), second.core.desk(0).newest_trade_id)
    quiet.step()
    third = Shell(user_trades=history, positions=[Position("SYM0", "0.012", "10000", "BOTH", 1)])
    asyncio.run(restore_books(third.reconciliation, {"SYM0": left_behind(quiet, tmp_path / "quiet")}))
    totals = third.core.desk(0).totals()
    assert (totals["fills"], totals["position_lots"], totals["fees_e8"]) == (3, 12, 3 * 100_000)


def test_amounts_are_exact_and_nonsense_is_refused():
    assert e8("0.123456789") == 12_345_678 and e8("-0.00000001") == -1
    assert open_cost_ticklots(INSTRUMENT, -3, "9999.95") == -299_998
    with pytest.raises(InstrumentError):
        e8("NaN?")


# ---- numbers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e30", "-1e999999", "", "abc"])
def test_a_number_that_is_none_is_refused_by_name_and_ends_no_loop(text):
    for convert in (e8, INSTRUMENT.ticks, INSTRUMENT.lots):
        with pytest.raises(InstrumentError):
            convert(text)
