"""C24, overrides: a limit raised by a human, for a while, and back by itself whoever else has died meanwhile.

Time is the test's where it matters; ops and the gateway's half stand in this process, each life made by hand.
"""

import contextlib
import os
import threading
import time
from types import SimpleNamespace

import msgspec
import pytest
from gateway_rig import Rig
from written_instance import TABLE, Written

from phx import config as configuration
from phx import limits_file, overrides
from phx.__main__ import parser
from phx._core.risk import adopted
from phx.control import Request, ask
from phx.gateway import ended_override
from phx.gateway.ended_override import EndedOverride
from phx.instruments import write_table
from phx.latches import Latches
from phx.ops import limits_in_force
from phx.ops import override as keeper
from phx.ops.instance import Instance
from phx.ops.process import Ops
from phx.ops.view import View
from phx.overrides import LONGEST_S, NO_LIMITS, Override, OverrideRefused, Overrides, stricter
from phx.process import Process

TEXT = """
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {near: {size: 0.006}, far: {size: 0.012}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""
RAISED = TEXT.replace("net_max: 0.30", "net_max: 0.60").replace("max_daily_loss: 500", "max_daily_loss: 900")
IN_FORCE = {"BTCUSDC": {"params_version": 1, "max_position_lots": 300}}


@pytest.fixture
def clock(monkeypatch):
    """The wall clock, as whoever minds an override sees it: `clock.add_s` steps it."""
    made = SimpleNamespace(add_s=0)
    told = {name: getattr(time, name) for name in ("monotonic", "strftime", "gmtime", "time")}
    told["time_ns"] = lambda: time.time_ns() + made.add_s * 10**9
    for module in (keeper, ended_override, limits_in_force, overrides):
        monkeypatch.setattr(module, "time", SimpleNamespace(**told))
    return made


class Lives:
    """Lives of ops, one after the other, over the same run folder."""

    def __init__(self, config, path, stack):
        self.path, self.stack, self.settings, self.sim = path, stack, config.global_, config.sim
        self.run_folder = config.run_folder()

    def write(self, text: str):
        head = f"global: {{instance: {self.settings.instance}, run_dir: {self.settings.run_dir}}}\n"
        self.path.write_text(f"{head}ops: {{metrics_port: 0}}\nsim: {{port: {self.sim.port}}}\n{text}")

    def begin(self, text: str) -> None:
        self.stack.close()
        self.write(text)
        config = configuration.load(self.path, {})
        process = self.stack.enter_context(Process("ops", config))
        write_table(config.shm_folder() / "instruments.main.json", TABLE)
        self.ops = Ops(process, self.path)
        self.stack.callback(self.ops.control.close)
        process.ready()
        self.ops.turn(0.0)
        self.ops.mind_override()
        self.instance = Instance(config)

    def prices(self) -> None:
        """Let the market have a price, which a canary needs."""
        Written(configuration.load(self.path, {})).publish(
            "bbo.BTCUSDC", bid_price_ticks=600000, ask_price_ticks=600001
        )

    def said(self, **fields):
        answers = []
        path = self.ops.config.socket_path("control")
        asking = threading.Thread(target=lambda: answers.append(ask(path, Request("reload", **fields), 5)))
        asking.start()
        while asking.is_alive():
            self.ops.control.poll(0.01)
        return answers[0]

    def lots(self) -> int:
        return int(self.instance.newest("params.BTCUSDC")["net_max_lots"])

    def audit(self) -> list[dict]:
        return [msgspec.json.decode(line) for line in (self.run_folder / "audit.log").read_bytes().splitlines()]


@pytest.fixture
def lives(instance_config, tmp_path):
    with contextlib.ExitStack() as stack:
        made = Lives(instance_config, tmp_path / "ops.yaml", stack)
        made.begin(TEXT)
        limits_file.write(made.run_folder, IN_FORCE)
        yield made


@pytest.fixture
def overridden(lives):
    lives.write(RAISED)
    answer = lives.said(reason="raise", for_s=900)
    assert answer.ok and "over at 20" in answer.text
    assert lives.lots() == 600 and lives.instance.newest("params.BTCUSDC")["raised_limits_by"]
    return lives


def test_it_is_over_by_itself_and_both_ends_stand_in_the_audit_log(overridden, clock):
    overridden.ops.mind_override()
    assert overridden.lots() == 600
    clock.add_s = 900
    overridden.ops.mind_override()
    assert overridden.lots() == 300 and overridden.instance.newest("params.BTCUSDC")["raised_limits_by"] == 0
    granted, ended = overridden.audit()[-2:]
    assert granted["command"] == "reload" and granted["uid"] == os.getuid() and "over at 20" in granted["text"]
    assert "symbols.BTCUSDC.net_max: 0.30 -> 0.60" in granted["changes"]
    assert ended["command"] == "override" and "symbols.BTCUSDC.net_max: 0.60 -> 0.30" in ended["changes"]
    version = overridden.ops.params.version
    overridden.ops.mind_override()
    assert overridden.ops.params.version == version  # once


def test_it_goes_on_over_a_restart_of_ops_and_ends_there_too(overridden, clock):
    overridden.begin(RAISED)
    assert overridden.lots() == 600
    clock.add_s = 900
    overridden.ops.mind_override()
    assert overridden.lots() == 300


def test_one_that_ended_while_ops_was_dead_does_not_come_back(overridden, clock):
    clock.add_s = 900
    overridden.begin(RAISED)
    assert overridden.lots() == 300
    overridden.write(RAISED + "    max_leverage: 4\n".replace("    ", "#"))
    assert overridden.said().ok and overridden.lots() == 300  # a reload without a word raises nothing


def test_the_gateway_goes_back_to_its_former_limits_with_ops_dead(overridden, clock):
    rig = Rig(max_order_lots=20)
    rig.step()
    desk = rig.symbols[0].desk
    former = desk.limits_in_force
    granted = overridden.ops.override.known
    overridden.ops.override.files.grant(msgspec.structs.replace(granted, limits={"SYM0": former}))
    changed = {"params_version": 2, "raised_limits_by": 1000, "max_order_lots": 500, "max_daily_loss_e8": 10}
    rig.symbols[0].params.write(symbol_id=0, **(rig.params | changed))
    rig.step()
    restored = []
    restore = lambda symbol, limits: restored.append(desk.restore_limits(limits))  # noqa: E731
    ended = EndedOverride(overridden.run_folder, {"SYM0": TABLE[0]}, restore)
    ended.mind({"SYM0": desk.limits_in_force})
    assert desk.limits_in_force["max_order_lots"] == 500 and restored == []
    clock.add_s = 900
    ended.mind({"SYM0": desk.limits_in_force})
    assert desk.limits_in_force["max_order_lots"] == 20
    assert desk.limits_in_force["max_daily_loss_e8"] == 10  # lowered meanwhile: stays
    ended.mind({"SYM0": desk.limits_in_force})
    assert len(restored) == 1


def test_no_override_goes_beyond_the_ceilings_in_the_code():
    rig = Rig(max_daily_loss_e8=10**10)
    rig.step()
    changed = {"params_version": 2, "raised_limits_by": 1000, "max_daily_loss_e8": 10**18}
    rig.symbols[0].params.write(symbol_id=0, **(rig.params | changed))
    rig.step()
    assert rig.symbols[0].desk.limits_in_force["max_daily_loss_e8"] == 10**14  # a million


def test_a_clock_that_was_set_back_ends_it(overridden, clock):
    clock.add_s = -60
    overridden.ops.mind_override()
    assert overridden.lots() == 300


def test_a_second_one_prolongs_it_and_what_was_before_the_first_comes_back(overridden, clock):
    overridden.write(RAISED.replace("0.60", "0.90"))
    assert overridden.said(reason="raise", for_s=1800).ok and overridden.lots() == 900
    clock.add_s = 900
    overridden.ops.mind_override()
    assert overridden.lots() == 900
    clock.add_s = 1800
    overridden.ops.mind_override()
    assert overridden.lots() == 300


def test_what_is_confirmed_for_good_stays(overridden, clock):
    assert overridden.said(reason="raise").ok
    clock.add_s = 900
    overridden.ops.mind_override()
    overridden.begin(RAISED)
    assert overridden.lots() == 600


def test_people_see_it_for_as_long_as_it_lasts(overridden, clock):
    told = lambda: [line for line in View(overridden.instance).screen() if line.startswith("override: ")]  # noqa: E731
    assert told() == [f"override: limits raised by uid {os.getuid()} until {overridden.ops.override.known.until}"]
    clock.add_s = 900
    assert told() == []


def test_c23_limits_that_wait_over_a_restart_are_said_by_ops_reload_and_status(lives, caplog):
    in_force = adopted(lives.instance.newest("params.BTCUSDC"))

    def adopt() -> list[str]:
        """Take over the newest parameters, as the gateway does; return what it holds back."""
        nonlocal in_force
        in_force = adopted(lives.instance.newest("params.BTCUSDC"), in_force)
        limits_file.write(lives.run_folder, {"BTCUSDC": in_force})
        return limits_in_force.held(lives.ops.config, lives.instance)

    assert set(limits_in_force.KEYS) == set(in_force) - set(NO_LIMITS)
    assert adopt() == []
    lives.begin(RAISED)
    assert limits_in_force.held(lives.ops.config, lives.instance) == []  # the gateway has not said yet
    names = adopt()
    assert names == ["limits.max_daily_loss", "symbols.BTCUSDC.net_max"]
    lives.ops.tell_held_limits()
    lives.ops.tell_held_limits()
    assert [", ".join(names) in record.message for record in caplog.records if "held below" in record.message] == [True]
    assert ", ".join(names) in lives.said().text
    assert limits_in_force.held_text(names) in View(lives.instance).screen()
    assert lives.said(reason="raise", for_s=900).ok and adopt() == []  # for a while, if that is what is wanted
    assert lives.said(reason="raise").ok and not lives.ops.override.files.path.exists()


def test_a_reload_that_is_refused_does_not_make_it_last(overridden, clock):
    overridden.write(RAISED.replace("0.60", "0.001"))
    assert not overridden.said(reason="raise").ok
    clock.add_s = 900
    overridden.ops.mind_override()
    assert overridden.lots() == 300


def test_a_canary_s_end_waits_as_a_whole_and_an_override_of_it_goes_back_as_a_whole(lives, clock):
    lives.prices()
    lives.begin(TEXT.replace("limits: {", "limits: {canary: 0.01, "))
    assert lives.lots() == 3
    lives.write(TEXT)
    answer = lives.said()
    assert answer.ok and lives.lots() == 3 and "limits.canary" in answer.text
    assert lives.said(reason="raise", for_s=900).ok and lives.lots() == 300
    clock.add_s = 900
    lives.ops.mind_override()
    assert lives.lots() == 3 and lives.instance.newest("params.BTCUSDC")["near_size_lots"] == 1
    assert lives.said(reason="raise").ok and lives.lots() == 300


def test_larger_orders_wait_too_and_can_be_had_for_a_while(lives, clock):
    lives.write(TEXT.replace("0.006", "0.012"))
    assert "risk.max_order_qty" in lives.said().text
    assert lives.instance.newest("params.BTCUSDC")["near_size_lots"] == 6
    assert lives.said(reason="raise", for_s=900).ok
    assert lives.instance.newest("params.BTCUSDC")["near_size_lots"] == 12
    clock.add_s = 900
    lives.ops.mind_override()
    assert lives.instance.newest("params.BTCUSDC")["max_order_lots"] == 13


def test_a_configuration_that_asks_for_no_more_forgets_it(overridden, clock):
    clock.add_s = 900
    overridden.ops.mind_override()
    overridden.write(TEXT)
    assert overridden.said().ok
    assert overridden.ops.override.known is None and not overridden.ops.override.files.path.exists()


@pytest.mark.parametrize(
    ("text", "fields", "why"),
    [
        (RAISED, {"for_s": 900}, "--for needs --raise"),
        (TEXT, {"reason": "raise", "for_s": 900}, "raises no limit"),
        (RAISED, {"reason": "raise", "for_s": LONGEST_S + 1}, "expected at most 24 h"),
        (RAISED.replace("0.60", "0.001"), {"reason": "raise", "for_s": 900}, "risk.worst_case"),
    ],
)
def test_what_is_no_override_is_refused_and_leaves_none(lives, text, fields, why):
    lives.write(text)
    answer = lives.said(**fields)
    assert not answer.ok and why in str(answer.status["errors"])
    assert lives.lots() == 300 and not lives.ops.override.files.path.exists()


def changed_by_hand(path):
    path.write_bytes(path.read_bytes().replace(b'"until_ns":1', b'"until_ns":2'))


@pytest.mark.parametrize(
    "forge",
    [
        changed_by_hand,
        lambda path: path.chmod(0o644),
        lambda path: path.write_bytes(b"x"),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: (path.rename(path.with_name("other")), path.symlink_to("other")),
        lambda path: path.with_name("override.key").unlink(),
    ],
)
def test_one_that_was_forged_is_refused_and_latches(overridden, forge, clock):
    clock.add_s = 900
    overridden.ops.mind_override()
    forge(overridden.ops.override.files.path)
    with pytest.raises(OverrideRefused):
        overridden.ops.override.files.read()
    restore = lambda symbol, limits: pytest.fail("restored from a forged file")  # noqa: E731
    ended = EndedOverride(overridden.run_folder, {"SYM0": TABLE[0]}, restore)
    ended.mind({"SYM0": {"max_order_lots": 1}})
    (latch,) = Latches(overridden.run_folder).all()
    assert latch.symbol == "" and "override refused" in latch.reason
    overridden.begin(RAISED)  # and ops takes no word of it
    assert {latch.process for latch in Latches(overridden.run_folder).all()} == {"gateway", "ops"}


def test_one_that_would_last_for_ever_is_refused_however_well_sealed(tmp_path):
    files = Overrides(tmp_path)
    now_ns = time.time_ns()
    files.grant(Override(now_ns, now_ns + int((LONGEST_S + 1) * 1e9), 0, {}, {}))
    with pytest.raises(OverrideRefused, match="longer than 24 h"):
        files.read()


def test_only_the_owner_s_word_counts(capsys):
    """That another uid is not answered is proven for every control socket in tests/security."""
    assert parser().parse_args(["reload", "--raise", "--for", "15m"]).for_s == 900
    for text in ("15", "m", "-1m", "0s", "infs", "1d", ""):
        with pytest.raises(SystemExit):
            parser().parse_args(["reload", f"--for={text}", "--raise"])
        assert f"{text!r}: expected a number and its unit, like 90s, 15m or 2h" in capsys.readouterr().err


def test_the_stricter_of_two_limits_is_field_by_field():
    one = {"max_order_lots": 5, "throttle_window_ns": 9, "protect_frozen_ns": 5, "params_version": 7, "enabled": 1}
    other = {"max_order_lots": 3, "throttle_window_ns": 4, "protect_frozen_ns": 0, "params_version": 2, "enabled": 0}
    found = {"max_order_lots": 3, "throttle_window_ns": 9, "protect_frozen_ns": 0, "params_version": 7, "enabled": 1}
    assert stricter(one, other) == found
