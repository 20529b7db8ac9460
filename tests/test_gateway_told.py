"""What guardian and operator tell the gateway by records, and what it tells of its profit."""

import numpy as np
from gateway_rig import SECOND_NS, Rig

from phx._core import records
from phx._core.enums import OperatorState


def test_the_operators_record_reaches_each_desk_by_its_id():
    rig = Rig(symbols=2)
    operator = np.zeros((), records.OPERATOR)
    operator["wanted"][:2] = OperatorState.OPERATOR_PAUSE, OperatorState.OPERATOR_RUN
    rig.core.take_operator(operator)
    assert [s.desk.operator_state for s in rig.symbols] == [OperatorState.OPERATOR_PAUSE, OperatorState.OPERATOR_RUN]


def test_the_guardians_proof_reaches_each_desk_and_can_be_withdrawn():
    rig = Rig(symbols=2)
    proof = np.zeros((), records.PROOF)
    proof["period_ns"], proof["deadline_mono_ns"][:2] = 2 * SECOND_NS, (111, 222)
    rig.core.take_proof(proof)
    assert [(s.desk.proof_deadline_mono_ns, s.desk.proof_period_ns) for s in rig.symbols] == [
        (111, 2 * SECOND_NS),
        (222, 2 * SECOND_NS),
    ]
    rig.core.take_proof(None)
    assert [s.desk.proof_deadline_mono_ns for s in rig.symbols] == [0, 0]


def test_profit_is_told_by_symbol_and_over_all():
    rig = Rig(symbols=2)
    rig.hold(100, 99_000, symbol=0)
    rig.hold(-100, 99_500, symbol=1)
    rig.step()
    assert [rig.core.profit_e8(i) for i in (0, 1)] == [100_000 * 10_000, -50_000 * 10_000]
    assert rig.core.profit_e8() == 50_000 * 10_000
