"""The testnet fails on purpose, and what an unmodified client sees of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from binance import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from tests.thunes_core.testnet.calls import get, order, send, send_signed, signed
from tests.thunes_core.testnet.clients import make_client
from tests.thunes_core.testnet.markets import RISING, START_MS, exchange, step
from thunes_core.errors import BadInput
from thunes_core.testnet.admin import plan
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Draw, Fault, FaultKind, read_draw, read_draws, read_faults
from thunes_core.testnet.matching import Exchange

K = FaultKind
MINE = {"symbol": "BTCUSDT"}
BUY = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "1"}


def struck(fault: Fault, on: Exchange | None = None) -> Exchange:
    """Return an exchange that `fault` waits for."""
    on = on or exchange(RISING)
    give(on, fault)
    return on


def placed(on: Exchange) -> int:
    """Return how many orders the exchange really has."""
    return len(on.records.orders("BTCUSDT"))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(("kind", "orders"), [(K.ERROR, 0), (K.ERROR_AFTER, 1)])
def test_server_errors_come_with_and_without_execution(
    status: int, kind: FaultKind, orders: int
) -> None:
    """The answer is the same, the order exists or not."""
    on = struck(Fault(kind, status=status))
    answer = send_signed(on, "POST", "order", **BUY)
    assert answer.status == status
    assert placed(on) == orders
    assert (b"-1007" in answer.body) is (status == 504)
    assert send_signed(on, "POST", "order", **BUY).status == 200


def test_faults_strike_what_they_are_for() -> None:
    """`on`, `skip` and `times` choose the requests."""
    on = struck(Fault(K.ERROR, on="GET /api/v3/klines", skip=1, times=2))
    statuses = [send(on, "GET", "klines", **MINE, interval="1h").status for _ in range(4)]
    assert statuses == [200, 502, 502, 200]
    assert send(on, "GET", "ping").status == 200


def test_every_request_can_be_struck_for_ever() -> None:
    """`times` 0 never ends, an empty `on` means all."""
    on = struck(Fault(K.ERROR, on="", times=0))
    assert {send(on, "GET", "ping").status for _ in range(5)} == {502}
    on.faults.clear()
    assert send(on, "GET", "ping").status == 200


def test_late_requests_are_executed_later() -> None:
    """−1007 now, no order yet; five seconds of the exchange's time later there is one."""
    on = struck(Fault(K.LATE, seconds=5))
    assert signed(on, "POST", "order", **BUY, recvWindow=10_000)["code"] == -1007
    step(on, 4.9 / 3600)
    assert placed(on) == 0
    step(on, 0.2 / 3600)
    found = on.records.orders("BTCUSDT")
    assert [o.time_ms for o in found] == [START_MS + 5_000]


def test_late_requests_beyond_their_window_never_execute() -> None:
    """The window bounds how late the engine may be reached."""
    on = struck(Fault(K.LATE, seconds=5))
    signed(on, "POST", "order", **BUY, recvWindow=4_000)
    step(on, 1)
    assert placed(on) == 0


def test_a_request_can_be_refused_by_any_code() -> None:
    """A structured refusal: nothing was done."""
    on = struck(Fault(K.REFUSE, on="POST /api/v3/orderList", code=-1013, message="No."))
    assert signed(on, "POST", "order", **BUY)["status"] == "FILLED"
    assert signed(on, "POST", "orderList/oco", **MINE) == {"code": -1013, "msg": "No."}
    assert placed(on) == 1


def test_lagging_reads_show_the_past() -> None:
    """An order just placed is −2013; after the lag it is there with its trade and balances."""
    on = struck(Fault(K.LAG, seconds=3))
    order(on, "BUY", "MARKET", quantity="1")
    assert signed(on, "GET", "order", **MINE, orderId=1)["code"] == -2013
    assert signed(on, "GET", "myTrades", **MINE) == []
    assert signed(on, "GET", "allOrders", **MINE) == []
    balances = {b["asset"]: b["free"] for b in signed(on, "GET", "account")["balances"]}
    assert balances == {"BTC": "0.00000000", "USDT": "10000.00000000"}
    step(on, 3 / 3600)
    assert signed(on, "GET", "order", **MINE, orderId=1)["status"] == "FILLED"
    assert len(signed(on, "GET", "myTrades", **MINE)) == 1
    balances = {b["asset"]: b["free"] for b in signed(on, "GET", "account")["balances"]}
    assert balances["BTC"] == "0.99900000"


def test_lagging_reads_show_an_order_in_its_old_state() -> None:
    """Cancelled, but still NEW and open to a reader who lags; a cancel is told the truth."""
    on = exchange(RISING)
    order(on, "BUY", "LIMIT", price="90.00", quantity="1", timeInForce="GTC")
    step(on, 10 / 3600)
    give(on, Fault(K.LAG, seconds=5))
    signed(on, "DELETE", "order", **MINE, orderId=1)
    assert len(signed(on, "GET", "openOrders", **MINE)) == 1
    assert signed(on, "DELETE", "order", **MINE, orderId=1)["code"] == -2011
    step(on, 5 / 3600)
    assert signed(on, "GET", "openOrders", **MINE) == []


def test_conditions_end_by_the_exchanges_clock() -> None:
    """Maintenance from one minute on for two minutes: 503 for all of /api, status 1 under /sapi."""
    on = struck(Fault(K.MAINTENANCE, at_seconds=60, for_seconds=120))
    seen = []
    for _ in range(4):
        seen.append(send(on, "GET", "ping").status)
        step(on, 1 / 60)
    assert seen == [200, 503, 503, 200]
    assert [h["kind"] for h in on.faults.happened] == ["maintenance"]


def test_halts_are_scripted() -> None:
    """A listing's status changes and comes back."""
    on = struck(Fault(K.STATUS, symbol="BTCUSDT", symbol_status="BREAK", for_seconds=60))
    info = get(on, "exchangeInfo", **MINE)
    assert info["symbols"][0]["status"] == "BREAK"
    assert signed(on, "POST", "order", **BUY)["msg"] == "Market is closed."
    step(on, 1 / 60)
    assert signed(on, "POST", "order", **BUY)["status"] == "FILLED"


def test_skewed_clock_refuses_stamps_until_the_client_asks_again() -> None:
    """The told time jumps; on a running clock the old offset then gives −1021."""
    on = exchange(RISING)
    give(on, Fault(K.SKEW, seconds=20))
    assert get(on, "time")["serverTime"] == START_MS + 20_000


def test_bans_and_throttles() -> None:
    """418 for a time of the exchange, 429 for a request, both with Retry-After."""
    on = struck(Fault(K.THROTTLE, on="GET", seconds=7))
    answer = send(on, "GET", "ping")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    give(on, Fault(K.BAN, seconds=30))
    assert (send(on, "GET", "ping").status, send(on, "GET", "time").status) == (418, 418)
    step(on, 31 / 3600)
    assert send(on, "GET", "ping").status == 200


def drawn(seed: int, rate: float = 0.5) -> list[str | None]:
    """Return the kinds that a seed draws for fifty orders."""
    draw = Draw(seed, rate)
    faults = [draw.next_for("POST /api/v3/order", n) for n in range(50)]
    return [f and str(f.kind) for f in faults]


def test_drawn_faults_follow_their_seed_and_rate() -> None:
    """The same seed draws the same, another others; the rate is kept; reads are left alone."""
    assert drawn(1) == drawn(1) != drawn(2)
    assert 10 < sum(1 for f in drawn(1) if f) < 40
    assert not any(drawn(1, 0.0))
    assert len({f for seed in range(5) for f in drawn(seed) if f}) == 6
    assert Draw(1, 1.0).next_for("GET /api/v3/order", 1) is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("no", "expected a list"),
        ([1], "expected an object"),
        ([{"kind": "fire"}], "expected a kind of"),
        ([{"kind": "error", "wehn": 1}], "wehn"),
        ([{"kind": "error", "times": "x"}], "wrong are"),
        ({"faults": 5}, "expected a list"),
        ({"faults": [], "draws": 5}, "draws: expected a list"),
        ([{"kind": "error", "times": -1}], "times from 0"),
        ([{"kind": "error", "status": 200}], "status from 500"),
        ([{"kind": "hang", "seconds": -1}], "seconds from 0"),
        ([{"kind": "lag", "for_seconds": 1e300}], "for_seconds from 0"),
    ],
)
def test_scripts_that_cannot_be_read_are_bad_input(script: Any, message: str) -> None:
    """One sentence names what is wrong."""
    with pytest.raises(BadInput, match=message):
        read_faults(script)
        read_draws(script)


@pytest.mark.parametrize(
    "draw", [{"rate": 2}, {"rate": "x"}, {"kinds": ["lag"]}, {"kinds": 5}, {"seed": "x"}]
)
def test_draws_that_cannot_be_read_are_bad_input(draw: dict[str, Any]) -> None:
    """A rate is a probability; conditions are not drawn, nor both sorts at once."""
    with pytest.raises(BadInput, match="expected a rate"):
        read_draw(draw)


def test_halt_of_an_unknown_symbol_is_bad_input() -> None:
    """The symbol and the status must be known."""
    with pytest.raises(BadInput, match="listed symbol"):
        struck(Fault(K.STATUS, symbol="NOPE"))


def give_over_http(running: RunningTestnet, *faults: dict[str, Any]) -> None:
    """Script faults through the admin's door."""
    answer = requests.post(f"{running.url}/testnet/faults", json={"faults": faults}, timeout=5)
    assert answer.status_code == 200, answer.text


def impatient(running: RunningTestnet) -> Client:
    """Return a client that waits a third of a second."""
    return make_client(running.url, requests_params={"timeout": (1, 0.3)})


@pytest.mark.parametrize(
    ("kind", "caught", "orders"),
    [
        ("drop", requests.ConnectionError, 0),
        ("drop_after", requests.ConnectionError, 1),
        ("hang", requests.ReadTimeout, 0),
        ("hang_after", requests.ReadTimeout, 1),
        ("garbage", BinanceRequestException, 1),
        ("error", BinanceAPIException, 0),
        ("error_after", BinanceAPIException, 1),
        ("late", BinanceAPIException, 0),
        ("throttle", BinanceAPIException, 0),
    ],
)
def test_what_the_client_sees_and_what_really_happened(
    running: RunningTestnet, kind: str, caught: type[Exception], orders: int
) -> None:
    """Each kind as python-binance raises it, and whether the order exists afterwards."""
    client = impatient(running)
    give_over_http(running, {"kind": kind, "seconds": 2.0})
    with pytest.raises(caught):
        client.create_order(**BUY)
    assert placed(running.exchange) == orders
    assert client.create_order(**{**BUY, "quantity": "0.1"})["status"] == "FILLED"
    client.close_connection()


def test_stopping_does_not_wait_for_a_hanging_request(running: RunningTestnet) -> None:
    """A hang ends with its client or with the server, without a word in the log."""
    client = impatient(running)
    give_over_http(running, {"kind": "hang", "seconds": 600})
    with pytest.raises(requests.ReadTimeout):
        client.create_order(**BUY)
    client.close_connection()
    running.stop()


def test_faults_are_shown_and_cleared_through_the_admins_door(running: RunningTestnet) -> None:
    """What waits, what is drawn, what happened."""
    url = f"{running.url}/testnet/faults"
    give_over_http(running, {"kind": "error", "on": "GET /api/v3/ping"}, {"kind": "drop"})
    drawing = requests.post(url, json={"seed": 5, "rate": 0.1}, timeout=5).json()
    assert drawing["draw"]["seed"] == 5
    assert requests.get(f"{running.url}/api/v3/ping", timeout=5).status_code == 502
    shown = requests.get(url, timeout=5).json()
    assert [f["kind"] for f in shown["waiting"]] == ["drop"]
    assert shown["happened"] == [
        {"time_ms": START_MS, "kind": "error", "request": "GET /api/v3/ping"}
    ]
    cleared = requests.delete(url, timeout=5).json()
    assert (cleared["waiting"], cleared["draw"]) == ([], None)
    for wrong in ({}, {"faults": [{"kind": "x"}]}, {"rate": 7}):
        assert requests.post(url, json=wrong, timeout=5).status_code == 400
    assert requests.get(f"{running.url}/testnet/nothing", timeout=5).status_code == 404


def test_deposits_come_from_outside(running: RunningTestnet) -> None:
    """Money that no order explains; nobody can withdraw what is not there."""
    url = f"{running.url}/testnet/deposit"
    answer = requests.post(url, json={"asset": "USDT", "amount": "5.5"}, timeout=5).json()
    assert answer == {"asset": "USDT", "free": "10005.5"}
    for wrong in ({"asset": "USDT", "amount": "-99999"}, {"asset": 1, "amount": "1"}, {}):
        assert requests.post(url, json=wrong, timeout=5).status_code == 400
    assert running.exchange.wallet.free("USDT") == Decimal("10005.5")


def test_client_asks_for_status_and_permissions(client: Client) -> None:
    """The two calls under /sapi that arming needs."""
    assert client.get_system_status() == {"status": 0, "msg": "normal"}
    assert client.get_account_api_permissions()["enableWithdrawals"] is False


def test_the_documented_script_can_be_given() -> None:
    """The example of docs/testnet.md is read, and its faults wait."""
    page = (Path(__file__).parents[3] / "docs" / "testnet.md").read_text()
    script = next(
        json.loads(part.split("```")[0])
        for part in page.split("```json\n")[1:]
        if '"faults"' in part.split("```")[0]
    )
    on = exchange(RISING)
    plan(on, script)
    shown = on.faults.document()
    assert [w["kind"] for w in shown["waiting"]] == ["drop_after", "late", "reorder_message"]
    assert (shown["draw"]["rate"], shown["message_draw"]["seed"]) == (0.02, 4)
