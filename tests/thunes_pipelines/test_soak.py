"""Paper trading under attack: the ledger equals the exchange, and broken promises are seen."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from thunes_core.domain.limits import Protection
from thunes_core.errors import BadInput
from thunes_core.reporting.gates import Trial, failed, live_gates, paper_gates
from thunes_core.testnet.faults import REQUEST_KINDS, Fault, FaultKind
from thunes_core.trading import act
from thunes_pipelines.cli.main import load_commands
from thunes_pipelines.services.mortal import Fate, Killed, Mortal
from thunes_pipelines.services.soak import run_soak
from thunes_pipelines.services.soak_faults import SOCKETS_BROKEN, scripted
from thunes_pipelines.services.soak_plan import RESTART_HOURS, SoakPlan

SHORT = SoakPlan(hours=10, seed=4, symbols=("BTCUSDT",), kill_rate=0.1)
KEPT = {
    "lost": 0,
    "doubled": 0,
    "unknown_left": 0,
    "discrepancies": [],
    "unexplained_errors": [],
    "unprotected_while_answered": 0,
}


@pytest.mark.slow
def test_hours_of_attack_lose_and_double_nothing():
    """Faults, kills and lag: every figure of the ledger is the exchange's."""
    found = run_soak(SHORT)
    assert {name: found[name] for name in KEPT} == KEPT, found["unprotected"]
    assert found["audit_whole"]
    assert found["kills"] > 0
    assert found["faults"] > 3
    assert found["fills"] > 2
    assert found["streams"]["wakes"] > 2
    assert found["streams"]["bars"] >= 10 * 4


@pytest.mark.slow
def test_reconnections_are_the_streams_own_and_fail_the_gate_when_there_are_too_many():
    """Both sockets are cut eighteen times in four hours: 36 reconnections of 35 allowed at most."""
    cuts = tuple(
        Fault(FaultKind.DROP_STREAMS, at_seconds=600.0 + 720 * number) for number in range(18)
    )
    plan = SoakPlan(
        hours=4, seed=4, symbols=("BTCUSDT",), kill_rate=0.0, read_fault_rate=0.0, faults=cuts
    )
    found = run_soak(plan)
    assert found["streams"]["ended"] == {"shutdown": 36}
    assert found["streams"]["reconnections"] == 36
    gate = found["gates"]["reconnections"]
    assert (gate["value"], gate["passed"]) == (36.0, False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_week_of_paper_trading_passes_the_gates_of_paper():
    """168 hours and 1,008 checks of two symbols under attack; the rest is the market's answer."""
    found = run_soak(SoakPlan(seed=2, symbols=("BTCUSDT", "ETHUSDT")))
    assert {name: found[name] for name in KEPT} == KEPT, found["unprotected"]
    assert found["audit_whole"]
    assert found["ticks"] >= 1008
    paper = ("hours", "checks", "reconnections", "unexplained_errors")
    assert all(found["gates"][name]["passed"] for name in paper)
    assert found["gates"]["reconnections"]["value"] == found["streams"]["reconnections"] >= 18
    assert {"cut", "shutdown", "silent"} <= found["streams"]["ended"].keys()
    assert {"pnl", "sharpe", "drawdown", "win_rate"} < found["gates"].keys()


def test_a_schedule_has_every_kind_of_condition_and_strikes_one_request_in_five():
    """The same seed gives the same schedule."""
    drawn = scripted(1, 168, "BTCUSDT")
    assert drawn == scripted(1, 168, "BTCUSDT") != scripted(2, 168, "BTCUSDT")
    kinds = {fault.kind for fault in drawn}
    assert {FaultKind.LAG, FaultKind.MAINTENANCE, FaultKind.BAN, FaultKind.STATUS} < kinds
    struck = [fault for fault in drawn if fault.kind in REQUEST_KINDS]
    orders = [fault.skip for fault in struck if fault.on == "POST /api/v3/order"]
    assert orders == sorted(orders)
    assert orders[-1] // len(orders) == 4


def test_a_week_breaks_sockets_in_every_way_and_less_often_than_is_allowed():
    """Ended daily, cut, silent: with what a restart adds, a week keeps below the gate."""
    week = scripted(1, 168, "BTCUSDT")
    broken = Counter(fault.kind for fault in week if fault.kind in SOCKETS_BROKEN)
    assert broken == {
        FaultKind.DROP_STREAMS: 7,
        FaultKind.CUT_STREAM: 5,
        FaultKind.SILENT_STREAMS: 3,
    }
    restarts = 2 * int(168 / RESTART_HOURS)
    assert sum(SOCKETS_BROKEN[kind] * n for kind, n in broken.items()) + restarts < 30
    assert {FaultKind.STALL_STREAM, FaultKind.LOSE_MESSAGE} < {fault.kind for fault in week}
    short = scripted(1, 10, "BTCUSDT")
    assert sum(fault.kind in SOCKETS_BROKEN for fault in short) == 3


def test_a_mortal_port_dies_once_at_its_drawn_call():
    """Before or after the call; then it lives again as another process."""
    done: list[str] = []
    port = Mortal(done, Fate(left=2, after=True))
    port.append("first")
    with pytest.raises(Killed):
        port.append("second")
    port.append("third")
    assert done == ["first", "second", "third"]
    early = Mortal(done, Fate(left=1))
    with pytest.raises(Killed):
        early.append("never")
    assert "never" not in done


def test_a_week_without_an_unexplained_error_passes_the_gates_of_paper():
    """168 hours, 1,008 checks, 34 reconnections."""
    assert failed(paper_gates(Trial(168, 1008, 34, 0))) == []
    names = [gate.name for gate in failed(paper_gates(Trial(167, 999, 35, 1)))]
    assert names == ["hours", "checks", "reconnections", "unexplained_errors"]


def test_the_gates_of_live_trading_ask_for_profit_at_bearable_risk():
    """Each at its edge; what is not a number never passes."""
    edge = Trial(168, 1008, 0, 0, pnl=0.01, sharpe=0.5, max_drawdown=-0.299, win_rate=0.4)
    assert failed(live_gates(edge)) == []
    below = Trial(168, 1008, 0, 0, pnl=0.0, sharpe=0.49, max_drawdown=-0.3, win_rate=0.39)
    assert len(failed(live_gates(below))) == 4
    assert len(failed(live_gates(Trial(168, 1008, 0, 0)))) == 4


def test_the_command_tells_its_figures_and_fails_on_a_broken_promise(monkeypatch, tmp_path):
    """Exit code 1 when an order was lost; the faults come from the file."""
    seen = []

    def planted(plan, _told):
        seen.append(plan)
        return {
            "ticks": 1,
            "lost": 1,
            "doubled": 0,
            "unknown_left": 0,
            "discrepancies": [],
            "unexplained_errors": [],
            "unprotected_while_answered": 0,
            "audit_whole": True,
            "gates": {},
        }

    monkeypatch.setattr("thunes_pipelines.services.soak.run_soak", planted)
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"kind": "drop", "skip": 3}]))
    result = CliRunner().invoke(
        load_commands(), ["soak", "--hours", "2", "--seed", "9", "--faults", str(path), "--json"]
    )
    assert result.exit_code == 1
    assert json.loads(result.stdout)["lost"] == 1
    (plan,) = seen
    assert (plan.hours, plan.seed) == (2.0, 9)
    assert plan.faults == [Fault(FaultKind.DROP, skip=3)]


@pytest.mark.parametrize("text", ["nonsense", '[{"kind": "sulk"}]'])
def test_a_file_of_faults_that_is_none_is_bad_input(tmp_path, text):
    """Nothing is started."""
    path = tmp_path / "faults.json"
    path.write_text(text)
    result = CliRunner().invoke(load_commands(), ["soak", "--faults", str(path)])
    assert result.exception is not None
    assert getattr(result.exception, "exit_code", None) == 2


@pytest.mark.parametrize("hours", ["nan", "inf", "1e12"])
def test_hours_without_an_end_are_bad_input(hours):
    """Nothing is begun."""
    result = CliRunner().invoke(load_commands(), ["soak", "--hours", hours])
    assert isinstance(result.exception, BadInput)
    assert "--hours: expected 1 to 8760" in str(result.exception)


def resend(broker, journal, approved, request):
    """Send again whatever failed: the mistake that doubles orders."""
    from thunes_core.errors import OutcomeUnknown

    now = broker.ready()
    journal.claim([one.request.client_order_id for one in approved], now)
    for _ in range(3):
        try:
            for order in request():
                journal.record_outcome(order, now)
        except OutcomeUnknown:
            continue
        return ""
    return "gave up"


def _resending(broker, journal, approved):
    return resend(broker, journal, (approved,), lambda: (broker.submit(approved),))


AFTER = tuple(
    Fault(FaultKind.ERROR_AFTER, on="POST /api/v3/order", skip=2 * n, status=504) for n in range(50)
)


@pytest.mark.slow
def test_an_executor_that_sends_again_is_caught(monkeypatch):
    """The soak sees the doubled orders."""
    monkeypatch.setattr(act, "send", _resending)
    plan = SoakPlan(
        hours=10,
        seed=4,
        symbols=("BTCUSDT",),
        kill_rate=0.0,
        read_fault_rate=0.0,
        faults=AFTER,
        protection=Protection(),
    )
    found = run_soak(plan)
    assert found["doubled"] or found["lost"] or found["discrepancies"]
