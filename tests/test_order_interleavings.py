"""One order told of by five channels in any order, with words lost and doubled: the end is always the same.

The venue's own order of events is fixed within each channel (reply, fast fills, full events, answers to questions,
history); between channels anything may overtake anything. What was lost the last look brings: a question and the
history, as reconciliation asks them.
"""

from dataclasses import dataclass

from gateway_rig import EPOCH, SECOND_NS, Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core import questions
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.enums import Mode, OrderState

VENUE_ID = 9_001
FEE_E8 = 11


@dataclass(frozen=True)
class Story:
    """What truly happened to an order of 10 lots."""

    fills: tuple[int, ...]
    ended: bool  # canceled or expired with the rest
    refused: bool = False


STORIES = [
    Story((), True),
    Story((10,), False),
    Story((4, 6), False),
    Story((4, 3), True),
    Story((1,), True),
    Story((), False, refused=True),
]


class Teller:
    """Tells the core one order's story by every channel."""

    def __init__(self, story: Story):
        self.rig, self.story = Rig(), story
        (order,) = self.rig.quote([(99_990, 10)])
        self.intent = order["intent_id"]

    def fill(self, n: int, fee: int | None, epoch: int = EPOCH, intent: int | None = None) -> bool:
        intent = self.intent if intent is None else intent
        lots = self.story.fills[n]
        return self.rig.core.on_fill(0, epoch, intent, 100 + n, 1, 99_990, lots, fee, True, 1, self.rig.now_ns)

    def accept(self) -> None:
        self.rig.core.on_accept(self.intent, VENUE_ID, 1, self.rig.now_ns)

    def end(self) -> None:
        self.rig.core.note_venue_order_id(self.intent, VENUE_ID, self.rig.now_ns)
        self.rig.core.on_end(self.intent, False, sum(self.story.fills), 1, self.rig.now_ns)

    def history(self) -> None:
        """As reconciliation books it: whose a fill is the venue's order id says, if anybody knows it."""
        for n, lots in enumerate(self.story.fills):
            intent = questions.intent_of(self.rig.core, 0, VENUE_ID)
            if self.fill(n, FEE_E8, EPOCH if intent else 0, intent) and not intent:
                self.rig.core.note_unattributed(0, VENUE_ID, lots)

    def full_fill(self, n: int) -> None:
        self.rig.core.note_venue_order_id(self.intent, VENUE_ID, self.rig.now_ns)
        self.fill(n, FEE_E8)
        self.rig.core.on_reported(self.intent, sum(self.story.fills[: n + 1]), self.rig.now_ns)

    def fast_fill(self, n: int) -> None:
        self.rig.core.note_venue_order_id(self.intent, VENUE_ID, self.rig.now_ns)
        self.fill(n, None)

    def channels(self) -> dict[str, list]:
        core, intent, now_ns = self.rig.core, self.intent, self.rig.now_ns
        if self.story.refused:
            return {"reply": [lambda: core.on_reject(intent, -5022, now_ns)]}
        fills = range(len(self.story.fills))
        over = self.story.ended or sum(self.story.fills) == 10
        return {
            "reply": [self.accept],
            "unanswered": [lambda: core.on_unknown(intent, now_ns)],
            "fast": [lambda n=n: self.fast_fill(n) for n in fills],
            "full": [self.accept, *(lambda n=n: self.full_fill(n) for n in fills), *([self.end] * over)],
            "cancel": [lambda: core.on_cancel_reject(intent, -2011, now_ns)],
            "history": [self.history],
        }

    def last_look(self) -> None:
        if self.story.refused:
            return
        self.rig.now_ns += SECOND_NS
        self.history()
        self.end()

    def state(self) -> tuple:
        self.rig.step()
        order, totals = self.rig.account.table.order(self.intent), self.rig.core.desk(0).totals()
        return order["state"], order["filled_lots"], tuple(totals.values()), self.rig.live()


@given(st.sampled_from(STORIES), st.data())
@settings(max_examples=400, deadline=None)
def test_any_interleaving_with_losses_and_doubles_gives_the_same_end(story, data):
    plain = Teller(story)
    if story.refused:
        plain.rig.core.on_reject(plain.intent, -5022, plain.rig.now_ns)
    plain.last_look()
    teller = Teller(story)
    channels = teller.channels()
    words = [(name, i) for name, channel in channels.items() for i in range(len(channel))]
    kept = [word for word in words if story.refused or data.draw(st.booleans(), label=f"{word} arrives")]
    names = data.draw(st.permutations([name for name, _ in kept]), label="order")
    queues = {name: [i for n, i in kept if n == name] for name in channels}
    for name in names:
        word = channels[name][queues[name].pop(0)]
        for _ in range(data.draw(st.integers(1, 2), label=f"{name} told")):
            word()
    teller.last_look()
    assert teller.state() == plain.state()
    state, filled, totals, live = teller.state()
    assert state == OrderState.ORDER_CLOSED and live == {}
    assert filled == sum(story.fills) and totals[0] == filled and totals[3] == FEE_E8 * len(story.fills)


def test_closing_by_fills_and_closing_by_word_are_the_same_end():
    for story in STORIES:
        teller = Teller(story)
        for channel in teller.channels().values():
            for word in channel:
                word()
        teller.last_look()
        assert teller.state()[0] == OrderState.ORDER_CLOSED


# ---- an amend on its way

OLD, NEW = 100_010, 100_008
MODE_PINNING = int(Mode.MODE_PINNING)


@dataclass(frozen=True)
class Amend:
    """What truly happened to a reduce-only sell of 10 lots that was to become `to` lots two ticks nearer."""

    to: int  # the whole quantity
    before: tuple[int, ...]  # fills before the venue took the amend,
    after: tuple[int, ...]  # and after it
    outcome: str  # done, refused, gone (filled before it came), took (ended, since it would have taken)
    cancelled: bool  # what is left
    refused = False

    @property
    def fills(self) -> tuple[int, ...]:
        return self.before + self.after

    @property
    def qty(self) -> int:
        return self.to if self.outcome == "done" else 10


AMENDS = [
    Amend(10, (), (), "done", True),
    Amend(10, (), (10,), "done", False),
    Amend(4, (), (4,), "done", False),
    Amend(4, (1,), (3,), "done", False),
    Amend(7, (2,), (1, 2), "done", True),
    Amend(12, (5,), (7,), "done", False),
    Amend(8, (1,), (2,), "refused", True),
    Amend(4, (), (10,), "refused", False),
    Amend(4, (3, 7), (), "gone", False),
    Amend(10, (2,), (), "took", False),
]


class AmendTeller(Teller):
    """Tells the core of the amend and of what it met."""

    def __init__(self, story: Amend):
        self.rig, self.story = Rig(), story
        self.rig.hold(10 if story.to <= 10 else 14)
        (order,) = self.rig.placed(asks=[(OLD, 10, True)], mode=MODE_PINNING)
        self.intent = order["intent_id"]
        (amend,) = self.rig.quote(asks=[(NEW, story.to, True)], mode=MODE_PINNING)
        assert (amend["intent_id"], amend["qty_lots"]) == (self.intent, story.to)

    def fill(self, n: int, fee: int | None, epoch: int = EPOCH, intent: int | None = None) -> bool:
        intent = self.intent if intent is None else intent
        price = NEW if n >= len(self.story.before) and self.story.outcome == "done" else OLD
        lots = self.story.fills[n]
        return self.rig.core.on_fill(0, epoch, intent, 100 + n, -1, price, lots, fee, True, 1, self.rig.now_ns)

    def amended(self) -> None:
        on_amended(self.rig.core, self.intent, NEW, self.story.to, 2, self.rig.now_ns)

    def channels(self) -> dict[str, list]:
        core, intent, now_ns, story = self.rig.core, self.intent, self.rig.now_ns, self.story
        code = {"refused": -5043, "gone": -2013}.get(story.outcome, 0)
        before, after = range(len(story.before)), range(len(story.before), len(story.fills))
        answer = {"done": self.amended, "took": self.end}.get(
            story.outcome, lambda: on_amend_reject(core, intent, code, now_ns)
        )
        return {
            "reply": [answer],
            "unanswered": [lambda: core.on_unknown(intent, now_ns)],
            "session": [lambda: core.on_session_lost(now_ns)],
            "asked": [self.accept],
            "fast": [lambda n=n: self.fast_fill(n) for n in (*before, *after)],
            "full": [
                *(lambda n=n: self.full_fill(n) for n in before),
                *([self.amended] * (story.outcome == "done")),
                *(lambda n=n: self.full_fill(n) for n in after),
                *([self.end] * (story.cancelled or story.outcome == "took")),
            ],
            "cancel": [lambda: core.on_cancel_reject(intent, -2011, now_ns)],
            "turn": [self.rig.step],
            "history": [self.history],
        }

    def check(self) -> None:
        """Until it is over it counts with all that the venue may still fill of it."""
        order = self.rig.account.table.order(self.intent)
        if order["state"] != OrderState.ORDER_CLOSED and not order["over"]:
            assert max(order["qty_lots"], order["amend_qty_lots"]) >= self.story.qty


@given(st.sampled_from(AMENDS), st.data())
@settings(max_examples=400, deadline=None)
def test_any_interleaving_about_an_amend_gives_the_same_end(story, data):
    plain, teller = AmendTeller(story), AmendTeller(story)
    plain.last_look()
    channels = teller.channels()
    words = [(name, i) for name, channel in channels.items() for i in range(len(channel))]
    kept = [word for word in words if data.draw(st.booleans(), label=f"{word} arrives")]
    queues = {name: [i for n, i in kept if n == name] for name in channels}
    for name in data.draw(st.permutations([name for name, _ in kept]), label="order"):
        word = channels[name][queues[name].pop(0)]
        for _ in range(data.draw(st.integers(1, 2), label=f"{name} told")):
            word()
            teller.check()
    teller.last_look()
    assert teller.state() == plain.state()
    state, filled, totals, live = teller.state()
    held = 10 if story.to <= 10 else 14
    assert state == OrderState.ORDER_CLOSED and live == {}
    assert filled == sum(story.fills) and totals[0] == held - filled and totals[3] == FEE_E8 * len(story.fills)
    assert teller.rig.account.table.overfilled == 0
