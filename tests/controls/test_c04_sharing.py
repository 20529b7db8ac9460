"""C04 under a storm: eight symbols want more than the venue takes, and everything that matters more comes first."""

from gateway_rig import MS_NS, NO_PRICE, SECOND_NS, Rig, places
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import RejectReason
from phx._core.throttle import SlidingWindows

SYMBOLS = 8
LIMITS = {10: 300, 60: 1200}


def most_in(sent: list[int], window_ns: int) -> int:
    start = most = 0
    for end, time_ns in enumerate(sent):
        while time_ns - sent[start] >= window_ns:
            start += 1
        most = max(most, end - start + 1)
    return most


class Storm:
    """Every symbol's ladder moves with every turn; the venue counts and refuses nothing it may count."""

    def __init__(self, **params):
        self.rig = Rig(symbols=SYMBOLS, **params)
        self.sent: list[tuple[int, dict]] = []
        self.turn = 0

    def run(self, seconds: float, every_ns: int = 50 * MS_NS, quiet=()) -> None:
        rig = self.rig
        for _ in range(int(seconds * SECOND_NS / every_ns)):
            rig.wait(every_ns)
            self.turn += 1
            price = 99_000 + 2 * (self.turn % 400)
            for symbol in range(SYMBOLS):
                if symbol not in quiet:
                    bids, asks = self.ladder(symbol, price)
                    rig.ladder(bids, asks, symbol=symbol)
            actions = rig.step()
            self.sent += [(rig.now_ns, a) for a in actions if a["kind"] == 1]
            rig.accept(actions)

    def ladder(self, symbol: int, price: int):
        return [(price - j, 10) for j in range(12)], [(100_500 + price % 97 + j, 10) for j in range(12)]

    def times(self) -> list[int]:
        return [ns for ns, _ in self.sent]

    def by_symbol(self, since_ns: int = 0) -> list[int]:
        return [sum(a["symbol_id"] == s for ns, a in self.sent if ns >= since_ns) for s in range(SYMBOLS)]


def test_no_window_of_the_venue_is_ever_exceeded():
    storm = Storm()
    storm.run(75)
    for seconds, limit in LIMITS.items():
        assert most_in(storm.times(), seconds * SECOND_NS) <= limit * 0.8
    assert len(storm.sent) >= 900  # it is not just silent


def test_symbols_of_equal_value_get_equal_shares():
    storm = Storm()
    storm.run(62)
    since = storm.rig.now_ns
    storm.run(60)
    counts = storm.by_symbol(since + 1)
    assert min(counts) >= 0.75 * sum(counts) / SYMBOLS, counts


def test_a_larger_limit_means_a_larger_share():
    storm = Storm()
    for s in storm.rig.symbols:
        lots = 3000 if s.id == 0 else 500
        s.params.write(symbol_id=s.id, **(storm.rig.params | {
            "params_version": 2, "net_max_lots": lots, "raised_limits_by": 1000,
        }))  # fmt: skip
    storm.run(70)
    counts = storm.by_symbol()
    assert 4 * max(counts[1:]) <= counts[0] <= 9 * min(counts[1:]), counts


def test_a_symbol_that_was_quiet_finds_room_at_once():
    storm = Storm()
    storm.run(61, quiet={3})
    assert storm.by_symbol()[3] == 0
    since = storm.rig.now_ns
    storm.run(1.0)
    assert storm.by_symbol(since + 1)[3] >= 5


def test_near_layers_find_room_where_far_ones_no_longer_do():
    rig = Rig()
    rig.account.note_venue_counts(180, 180, rig.now_ns)  # three quarters of what adding orders may use
    rig.wait(SECOND_NS)
    placed = places(rig.quote([(99_990 - i, 10) for i in range(12)]))
    assert [price for _, price, _ in placed] == [99_990 - i for i in range(8)]
    assert set(rig.reasons()) == {RejectReason.REJECT_MESSAGE_RATE}


def test_what_reduces_never_waits_behind_what_adds():
    storm = Storm()
    storm.run(70)
    rig = storm.rig
    rig.hold(200, symbol=5)
    rig.step()
    actions = rig.quote([(98_000, 10)], [(101_000, 10, True)], symbol=5)
    assert places(actions)[0] == (-1, 101_000, 10)
    rig.accept(actions)


def test_a_take_goes_when_quotes_that_reduce_have_used_what_is_theirs():
    rig = Rig()
    rig.quote()
    rig.hold(200)
    rig.account.note_venue_counts(255, 255, rig.now_ns)
    rig.wait(2 * SECOND_NS)
    rig.step()
    assert places(rig.quote([], [(101_000, 10, True)])) == []
    for used, sent in ((269, [(-1, NO_PRICE, 20)]), (270, [])):
        rig.account.note_venue_counts(used, used, rig.now_ns)
        rig.wait(SECOND_NS)
        rig.ladder(take_n=used, take_side=-1, take_qty_lots=20, take_limit_ticks=NO_PRICE,
                   take_deadline_mono_ns=rig.now_ns + SECOND_NS)  # fmt: skip
        actions = rig.step()
        assert places(actions) == sent
        for action in actions:
            rig.fill(action, price=100_000)
        rig.step()


def test_limits_that_the_venue_changes_hold_from_the_next_order_on():
    storm = Storm()
    storm.run(20)
    storm.rig.account.set_order_limits(100, 400)
    storm.run(10)
    since = storm.rig.now_ns
    storm.run(61)
    late = [ns for ns in storm.times() if ns > since]
    assert 0 < most_in(late, 10 * SECOND_NS) <= 80 and most_in(late, 60 * SECOND_NS) <= 320
    storm.rig.account.set_order_limits(0, 0)  # the venue did not say: nothing changes
    assert storm.rig.symbols[0].own.newest()["orders_10s_limit"] == 100


@given(
    st.lists(st.tuples(st.integers(0, SECOND_NS // 4), st.integers(0, 3)), max_size=400),
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_every_symbol_always_gets_half_of_its_share(wanted, values):
    """Whatever the others ask for: whoever has used less than half of its share of a window is admitted."""
    limits = (20, 40, 80)
    windows, now = SlidingWindows(limits, values), 0
    times: list[tuple[int, int]] = []
    for gap, symbol in wanted:
        now += gap
        used = [[sum(now - t < s * SECOND_NS and o == x for t, o in times) for x in range(4)] for s in (1, 10, 60)]
        admitted = windows.request(now, symbol)
        total = sum(values)
        if total and all(used[w][symbol] < limits[w] * values[symbol] // total // 2 for w in range(3)):
            assert admitted, (now, symbol, used)
        if admitted:
            times.append((now, symbol))
        assert all(sum(row) <= limit for row, limit in zip(used, limits, strict=True))
