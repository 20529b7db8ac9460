"""C04: in every sliding window orders stay within our share of the venue's counts; cancels pass at saturation."""

from gateway_rig import MS_NS, SECOND_NS, Rig, cancels, places

from phx._core.enums import RejectReason


def storm(rig: Rig, seconds: int, every_ns: int = 20 * MS_NS) -> list[int]:
    """Move the whole ladder all the time; return when each order was sent."""
    sent = []
    for i in range(seconds * SECOND_NS // every_ns):
        rig.wait(every_ns)
        price = 99_000 + 2 * (i % 400)
        actions = rig.quote([(price - j, 10) for j in range(6)], [(100_500 + price % 97 + j, 10) for j in range(6)])
        sent += [rig.now_ns] * len(places(actions))
        rig.accept(actions)
    return sent


def most_in(sent: list[int], window_ns: int) -> int:
    start = most = 0
    for end, time_ns in enumerate(sent):
        while time_ns - sent[start] >= window_ns:
            start += 1
        most = max(most, end - start + 1)
    return most


def test_a_storm_of_ladders_over_two_symbols_stays_within_every_window():
    rig = Rig(symbols=2)
    sent = []
    for i in range(75 * 20):
        rig.wait(50 * MS_NS)
        for symbol in range(2):
            price = 99_000 + 2 * (i % 400)
            rig.ladder([(price - j, 10) for j in range(6)], symbol=symbol)
        actions = rig.step()
        sent += [rig.now_ns] * len(places(actions))
        rig.accept(actions)
    assert most_in(sent, 10 * SECOND_NS) <= 240 and most_in(sent, 60 * SECOND_NS) <= 960
    assert most_in(sent, SECOND_NS) <= 120
    assert len(sent) >= 960  # it is not just silent


def test_cancels_pass_when_no_order_may():
    rig = Rig()
    storm(rig, 12)
    assert RejectReason.REJECT_MESSAGE_RATE in rig.reasons()
    live = list(rig.live())
    rig.core.ready = False
    assert sorted(cancels(rig.step())) == sorted(live)


def test_reducing_orders_have_a_share_of_their_own():
    rig = Rig()
    storm(rig, 12)
    rig.quote()
    rig.accept([{"kind": 3, "intent_id": i} for i in rig.live()])
    rig.hold(100)
    actions = rig.quote([(99_000, 10)], [(100_400, 10)])
    assert places(actions) == [(-1, 100_400, 10)]


def test_orders_that_the_venue_counted_and_we_did_not_are_taken_over():
    rig = Rig()
    rig.account.note_venue_counts(0, 0, rig.now_ns)
    rig.account.note_venue_counts(239, 100, rig.now_ns)
    rig.account.note_venue_counts(240, 240, rig.now_ns)
    rig.account.note_venue_counts(10, 10, rig.now_ns)
    rig.step()
    assert rig.symbols[0].own.newest()["orders_10s"] == 240
    assert rig.quote([(99_990, 10)]) == []
    assert rig.reasons() == [RejectReason.REJECT_MESSAGE_RATE]
