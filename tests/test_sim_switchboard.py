"""Which faults strike: rates, seeds, counts, times, filters, bad settings; and what lies over what is taken away."""

import random
from types import SimpleNamespace

import pytest

from phx.sim.faults import script
from phx.sim.faults.acts import BEGIN
from phx.sim.faults.catalogue import CATALOGUE, CHOICES, COMMON, At
from phx.sim.faults.messages import SWAPS, WAYS, Messages, is_event, is_frame
from phx.sim.faults.overlay import Overlay
from phx.sim.faults.requests import FATES, fate_of
from phx.sim.faults.switchboard import BOUNDS, FaultError, Switchboard, settings_of
from phx.sim.faults.trouble import MOST_PENDING, Trouble

START_MS = 1_790_000_000_000
# Faults that the handler of the request carries out, and those that are asked for by name.
BY_HANDLER = {"read_lag", "post_only_expires", "partial_batch", "survivor", "swallowed_cancel", "stale_snapshot"}
BY_NAME = {"replayed_events", "refuse_connections"}


def strikes(board: Switchboard, occasions: int, at=At.FRAME) -> list[bool]:
    return [board.striking(at, START_MS, lambda active: True) is not None for _ in range(occasions)]


def test_every_fault_is_carried_out_somewhere():
    done = set(FATES) | set(WAYS) | set(SWAPS) | set(BEGIN) | BY_HANDLER | BY_NAME
    assert done == set(CATALOGUE)
    for fault in CATALOGUE.values():
        for name, default in fault.settings.items():
            assert name not in COMMON
            assert isinstance(default, str) or name.endswith("_s") or name in BOUNDS, (fault.name, name)
            assert name not in CHOICES or default in CHOICES[name]


def test_a_rate_is_honoured():
    for rate in (0.001, 0.02, 0.5, 0.98):
        board = Switchboard()
        board.switch_on("gap", {"rate": rate}, START_MS)
        occasions = 40_000
        struck = sum(strikes(board, occasions))
        deviation = (occasions * rate * (1 - rate)) ** 0.5
        assert abs(struck - occasions * rate) < 5 * deviation
        assert board.struck == {"gap": struck} == {"gap": board.on[0].struck}


def test_the_same_seed_strikes_the_same_occasions_and_another_does_not():
    def run(seed: int) -> list[bool]:
        board = Switchboard()
        board.switch_on("gap", {"rate": 0.3, "seed": seed}, START_MS)
        board.switch_on("double_frame", {"rate": 0.3, "seed": seed}, START_MS)
        return [getattr(board.striking(At.FRAME, START_MS, lambda a: True), "name", "") for _ in range(500)]

    assert run(5) == run(5)
    assert run(5) != run(6)
    assert {"", "gap", "double_frame"} == set(run(5))


def test_what_is_not_meant_uses_up_no_chance():
    """A fault's occasions are those it is meant for: others in between do not change which of them it strikes."""

    def run(others: int) -> list[bool]:
        board, found = Switchboard(), []
        board.switch_on("unknown_placed", {"rate": 0.4}, START_MS)
        for _ in range(200):
            for _ in range(others):
                fate_of(board, "cancel", {}, True, 1, START_MS)
            found.append(fate_of(board, "place", {}, True, 1, START_MS).after is not None)
        return found

    assert run(0) == run(3)


def test_a_count_and_both_times_bound_a_fault():
    board = Switchboard()
    board.switch_on("gap", {"count": 3}, START_MS)
    assert strikes(board, 10) == [True] * 3 + [False] * 7
    assert [active.name for active in board.over(START_MS)] == ["gap"]
    board = Switchboard()
    board.switch_on("gap", {"after_s": 2, "for_s": 1.5}, START_MS)
    for ms, expected in ((0, False), (1999, False), (2000, True), (3499, True), (3500, False)):
        assert (board.striking(At.FRAME, START_MS + ms, lambda active: True) is not None) == expected
    assert board.over(START_MS + 3499) == []
    assert len(board.over(START_MS + 3500)) == 1


@pytest.mark.parametrize(
    ("settings", "work", "params", "account", "meant"),
    [
        ({"of": "place"}, "place", {}, 1, True),
        ({"of": "place"}, "cancel", {}, 1, False),
        ({"of": "trading"}, "cancel_all", {}, 1, True),
        ({"of": "trading"}, "query", {}, 1, False),
        ({"of": "any"}, "", {}, 0, True),
        ({"of": "signed"}, "", {}, 0, False),
        ({"of": "signed"}, "", {}, 1, True),
        ({"account": 2}, "place", {}, 1, False),
        ({"account": 2}, "place", {}, 2, True),
        ({"symbol": "ETHUSDC"}, "place", {"symbol": "BTCUSDC"}, 1, False),
        ({"symbol": "ETHUSDC"}, "place", {"symbol": "ETHUSDC"}, 1, True),
        ({"symbol": "ETHUSDC", "of": "batch"}, "batch", {"batchOrders": '[{"symbol":"ETHUSDC"}]'}, 1, True),
        ({"symbol": "ETHUSDC", "of": "batch"}, "batch", {"batchOrders": '[{"symbol":"BTCUSDC"}]'}, 1, False),
    ],
)
def test_a_request_fault_is_meant_for_some(settings, work, params, account, meant):
    board = Switchboard()
    board.switch_on("reject", settings, START_MS)
    assert (fate_of(board, work, params, account > 0, account, START_MS).before is not None) == meant


ORDER = '{"e":"ORDER_TRADE_UPDATE","T":1,"E":1,"o":{"s":"BTCUSDC","x":"TRADE","X":"FILLED"}}'


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({}, True),
        ({"event": "ORDER_TRADE_UPDATE"}, True),
        ({"event": "TRADE_LITE"}, False),
        ({"execution": "TRADE"}, True),
        ({"execution": "NEW"}, False),
        ({"symbol": "BTCUSDC"}, True),
        ({"symbol": "ETHUSDC"}, False),
        ({"account": 1}, True),
        ({"account": 2}, False),
    ],
)
def test_an_event_fault_is_meant_for_some(settings, meant):
    active = Switchboard().switch_on("drop_event", settings, START_MS)
    assert is_event(active, ORDER, 1) == meant


def test_a_frame_fault_is_meant_for_streams_with_its_text_or_of_its_symbol():
    board = Switchboard()
    by_kind = board.switch_on("silence", {"stream": "depth"}, START_MS)
    by_symbol = board.switch_on("silence", {"symbol": "BTCUSDC"}, START_MS)
    crossed = board.switch_on("crossed_book", {}, START_MS)
    assert [is_frame(by_kind, s, "") for s in ("btcusdc@depth5@100ms", "btcusdc@bookTicker")] == [True, False]
    assert [is_frame(by_symbol, s, "") for s in ("btcusdc@trade", "ethusdc@trade", "!bookTicker")] == [
        True,
        False,
        False,
    ]
    assert not is_frame(crossed, "btcusdc@trade", '{"p":"1","q":"1"}')


def test_messages_that_are_swapped_wait_for_their_own_stream_and_are_forgotten_with_their_listener():
    board = Switchboard()
    messages = Messages(board, At.FRAME)
    board.switch_on("swap_frames", {"count": 2}, START_MS)

    def way(listener, stream: str, text: str) -> list[str]:
        return [sent for _, sent in messages.way(listener, stream, text, START_MS, lambda active: True)]

    assert (way("x", "a", "1"), way("x", "b", "2")) == ([], [])
    board.switch_off(list(board.on))
    assert messages.concerned  # two still wait
    assert (way("x", "a", "3"), way("x", "b", "4")) == (["3", "1"], ["4", "2"])
    assert not messages.concerned
    board.switch_on("swap_frames", {}, START_MS)
    way("x", "a", "5")
    messages.forget("x")
    board.switch_off(list(board.on))
    assert not messages.concerned


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("nothing", {}, "no such fault"),
        ("gap", {"rat": 1}, "no setting 'rat'"),
        ("gap", {"rate": 1.5}, "rate 1.5, expected a number of 0 to 1"),
        ("gap", {"rate": "nan"}, "rate 'nan'"),
        ("gap", {"rate": True}, "rate True"),
        ("gap", {"rate": None}, "rate None"),
        ("gap", {"count": 1.5}, "count 1.5, expected a whole number"),
        ("gap", {"count": "x"}, "count 'x', expected a whole number"),
        ("gap", {"count": -1}, "count -1"),
        ("gap", {"for_s": 1e9}, "for_s 1000000000.0"),
        ("gap", {"seed": [1]}, "seed [1]"),
        ("gap", {"every_s": 1}, "no setting 'every_s'"),
        ("late_event", {"delay_s": "inf"}, "delay_s 'inf'"),
        ("reject", {"of": "everything"}, "of 'everything', expected 'place' or"),
        ("reject", {"code": 2}, "code 2"),
        ("disconnect", {"route": "privat"}, "route 'privat'"),
        ("filters", {"tick": 0}, "tick 0, expected a whole number of 1 to 1000"),
        ("expire_orders", {"reason": 10}, "reason 10"),
        ("hostile_payload", {"payload": "rude"}, "payload 'rude'"),
    ],
)
def test_bad_settings_are_refused_with_one_clear_line(name, asked, said):
    with pytest.raises(FaultError) as refusal:
        settings_of(name, asked)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fault: gap", "expected a list of faults, found dict"),
        ("", "expected a list of faults, found NoneType"),
        ("- gap", "entry 1: expected `fault: <name>`"),
        ("- {fault: gap}\n- {fault: [gap]}", "entry 2: expected `fault: <name>`"),
        ("- {fault: gap}\n- {fault: gab}", "entry 2: fault 'gab': no such fault"),
        ("- {fault: gap, rate: 2}", "entry 1: fault gap: rate 2, expected"),
        ("- {fault: gap", "expected ',' or '}'"),
        ("\xff\xfe", "expected a list"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_entry(tmp_path, text, said):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(FaultError) as refusal:
        script.read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_too_large_is_refused(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("- {fault: gap}\n" * 100_000)
    with pytest.raises(FaultError, match="larger than"):
        script.read(path)


def test_only_so_many_faults_can_be_on():
    board = Switchboard()
    for _ in range(1000):
        board.switch_on("gap", {}, START_MS)
    with pytest.raises(FaultError, match="expected fewer"):
        board.switch_on("gap", {}, START_MS)


def test_changes_laid_over_each_other_are_taken_away_in_any_order():
    random_ = random.Random(1)
    for _ in range(200):
        target, overlay = SimpleNamespace(x=7, y=(1,)), Overlay()
        left: list[tuple[object, int]] = []
        for _ in range(12):
            if left and random_.random() < 0.5:
                owner, _ = left.pop(random_.randrange(len(left)))
                overlay.lift(owner)
            else:
                owner, factor = object(), random_.randint(2, 5)
                overlay.lay(owner, target, "x", lambda before, factor=factor: before * factor + 1)
                overlay.lay(owner, target, "y", lambda before, factor=factor: (*before, factor))
                left.append((owner, factor))
            expected = 7
            for _, factor in left:
                expected = expected * factor + 1
            assert (target.x, target.y) == (expected, (1, *(factor for _, factor in left)))
        for owner, _ in left:
            overlay.lift(owner)
        assert (target.x, target.y, overlay._laid) == (7, (1,), {})


def test_what_somebody_else_set_since_stays():
    target, overlay, first, second = SimpleNamespace(x=False), Overlay(), object(), object()
    overlay.lay(first, target, "x", lambda before: not before)
    target.x = "chosen"
    overlay.lift(first)
    assert target.x == "chosen"
    overlay.lay(first, target, "x", lambda before: before + "1")
    target.x = "other"
    overlay.lay(second, target, "x", lambda before: before + "2")
    overlay.lift(first)
    assert target.x == "other2"
    overlay.lift(second)
    assert target.x == "other"


async def test_what_is_late_is_bounded():
    trouble = Trouble(SimpleNamespace())
    trouble.pending = MOST_PENDING - 1
    done = []
    trouble.later(60, lambda: done.append("waits"))
    trouble.later(60, lambda: done.append("at once"))
    assert (trouble.pending, done) == (MOST_PENDING, ["at once"])
