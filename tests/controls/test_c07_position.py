"""C07: with every live, pending and unknown order filled the position stays within its limit, whatever happens."""

from gateway_rig import MS_NS, Rig
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

LIMIT = 100


class Venue(RuleBasedStateMachine):
    """Random ladders, fills, refusals, silence and ends; the worst case is added up here, from what was sent."""

    def __init__(self):
        super().__init__()
        self.rig = Rig(net_max_lots=LIMIT)
        self.open: dict[int, list] = {}  # intent → [side, lots left]; what the venue may still fill
        self.position = 0
        self.worst_ever = 0

    def follow(self, actions):
        for action in actions:
            if action["kind"] == 1:
                self.open[action["intent_id"]] = [action["side"], action["qty_lots"]]

    @rule(
        bids=st.lists(st.tuples(st.integers(99_900, 99_998), st.integers(6, 40)), max_size=5),
        asks=st.lists(st.tuples(st.integers(100_002, 100_100), st.integers(6, 40)), max_size=5),
    )
    def quote(self, bids, asks):
        self.rig.wait(50 * MS_NS)
        self.follow(self.rig.quote(sorted(bids, reverse=True), sorted(asks)))

    @rule(pick=st.integers(0, 50), part=st.integers(1, 40))
    def fill(self, pick, part):
        if self.open:
            intent = sorted(self.open)[pick % len(self.open)]
            side, left = self.open[intent]
            lots = min(part, left)
            action = {"symbol_id": 0, "intent_id": intent, "side": side, "price_ticks": 100_000, "qty_lots": lots}
            self.rig.fill(action)
            self.position += side * lots
            self.open[intent][1] -= lots
            if not self.open[intent][1]:
                del self.open[intent]

    @rule(pick=st.integers(0, 50), how=st.sampled_from(["accept", "reject", "unknown", "end", "cancel_reject"]))
    def answer(self, pick, how):
        if self.open:
            intent, core, now = sorted(self.open)[pick % len(self.open)], self.rig.core, self.rig.now_ns
            if how == "accept":
                core.on_accept(intent, 1, 1, now)
            elif how == "unknown":
                core.on_unknown(intent, now)
            elif how == "cancel_reject":
                core.on_cancel_reject(intent, -2011, now)
            elif how == "end":
                core.on_end(intent, False, 0, 1, now)
                del self.open[intent]
            elif core.account.table.order(intent)["state"] == 1:
                core.on_reject(intent, -5022, now)
                del self.open[intent]
            self.follow(self.rig.step())

    @rule(ms=st.integers(1, 3000))
    def silence(self, ms):
        self.rig.wait(ms * MS_NS)
        self.follow(self.rig.step())

    @invariant()
    def the_worst_case_is_within_the_limit(self):
        buys = sum(left for side, left in self.open.values() if side > 0)
        sells = sum(left for side, left in self.open.values() if side < 0)
        assert self.position + buys <= LIMIT and self.position - sells >= -LIMIT
        assert self.rig.core.desk(0).position_lots == self.position
        live = self.rig.live()
        assert set(self.open) == set(live), "the venue's orders and the table's are the same"
        assert all(live[i]["qty_lots"] - live[i]["filled_lots"] == left for i, (_, left) in self.open.items())


TestVenue = Venue.TestCase
TestVenue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
