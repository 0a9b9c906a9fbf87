"""The door: keys, signatures, time windows, parameters, limits, lists of orders and trades."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.calls import (
    door_of,
    get,
    order,
    send,
    send_signed,
    sign,
    signed,
)
from tests.thunes_core.testnet.markets import HOUR_MS, QUIET, RISING, START_MS, exchange, market
from thunes_core.testnet.clock import RunningClock
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.rest import Request
from thunes_core.testnet.security import LOCAL_KEY, Key

GTC = {"timeInForce": "GTC"}


def code(document: Any) -> int:
    """Return the error's code."""
    return int(document["code"])


def running(multiple: float, **options: Any) -> tuple[Exchange, list[float]]:
    """An exchange on a running clock whose machine seconds stand in the returned list."""
    seconds = [0.0]
    clock = RunningClock(START_MS, multiple, lambda: seconds[0])
    return Exchange(market(RISING), clock, Options(**options)), seconds


def test_documented_signatures_are_accepted() -> None:
    """The payloads and HMACs of the exchange's own documentation."""
    vectors = json.loads(shared("fixtures/oracle/binance_hmac_vectors.json").read_text())
    key = Key(secret=vectors["secret"])
    for case in vectors["cases"]:
        assert key.accepts(case["payload"], case["hmac_sha256"])
        assert not key.accepts(case["payload"] + "0", case["hmac_sha256"])


def test_signature_covers_query_and_body_in_that_order() -> None:
    """Parameters may be split over both; the signed text is query followed by body."""
    on = exchange(RISING)
    query = "symbol=BTCUSDT&side=BUY&type=MARKET"
    body = f"quantity=1&timestamp={START_MS}"
    request = Request(
        "POST", "/api/v3/order", query, f"{body}&signature={sign(query + body)}", LOCAL_KEY
    )
    assert orjson.loads(door_of(on).answer(request).body)["status"] == "FILLED"


@pytest.mark.parametrize(
    ("key", "signature", "expected", "status"),
    [
        (None, "right", -2014, 401),
        ("unknown", "right", -2015, 401),
        (LOCAL_KEY, "wrong", -1022, 400),
        (LOCAL_KEY, None, -1102, 400),
    ],
)
def test_wrong_keys_and_signatures_are_refused(
    key: str | None, signature: str | None, expected: int, status: int
) -> None:
    """Each with the exchange's code and HTTP status."""
    text = f"timestamp={START_MS}"
    made = {"right": sign(text), "wrong": "0" * 64, None: None}[signature]
    query = text if made is None else f"{text}&signature={made}"
    answer = door_of(exchange(RISING)).answer(Request("GET", "/api/v3/account", query, "", key))
    assert (code(orjson.loads(answer.body)), answer.status) == (expected, status)


@pytest.mark.parametrize(
    ("multiple", "late_ms", "ok"),
    [
        (1, 5_000, True),
        (1, 5_001, False),
        (1, -1_000, True),
        (1, -1_001, False),
        (3600, 5_000 * 3600, True),
        (3600, 5_001 * 3600, False),
        (3600, -1_000 * 3600, True),
    ],
)
def test_timestamps_must_lie_in_the_window_scaled_by_the_pace(
    multiple: float, late_ms: int, ok: bool
) -> None:
    """The window behind and a second ahead, times the clock's multiple."""
    on, _ = running(multiple)
    answer = signed(on, "GET", "account", timestamp=START_MS - late_ms)
    assert ("balances" in answer) is ok
    if not ok:
        assert code(answer) == -1021


def test_on_a_fast_clock_a_client_that_synchronised_once_goes_on() -> None:
    """An hour later at sixty times real: its stamp is 59 hours behind and in time, 60 are not."""
    on, seconds = running(60)
    seconds[0] = 3_600.0
    now = on.clock.now_ms()
    assert "balances" in signed(on, "GET", "account", timestamp=now - 59 * HOUR_MS)
    assert code(signed(on, "GET", "account", timestamp=now - 60 * HOUR_MS)) == -1021


def test_on_a_stepped_clock_a_client_that_synchronised_once_goes_on() -> None:
    """Years of stepping do not outrun the window, a senseless stamp is refused all the same."""
    on = exchange(QUIET)
    on.clock.move_to(START_MS + 2 * 365 * 24 * HOUR_MS)
    assert "balances" in signed(on, "GET", "account", timestamp=START_MS)
    assert code(signed(on, "GET", "account", timestamp=1)) == -1021


def test_window_has_an_upper_bound() -> None:
    """More than a minute is refused."""
    assert code(signed(exchange(RISING), "GET", "account", recvWindow=60_001)) == -1102


FORM = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "price": "99.00",
    "quantity": "1",
    **GTC,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"symbol": ""}, -1102),
        ({"symbol": "NOPE"}, -1121),
        ({"side": ""}, -1102),
        ({"side": "LONG"}, -1117),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": "GTX"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"price": ""}, -1102),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0"}, -1013),
        ({"quantity": "1.123456789"}, -1111),
        ({"price": "99.123456789"}, -1111),
        ({"stopPrice": "90.00"}, -1106),
        ({"quoteOrderQty": "10"}, -1106),
        ({"newClientOrderId": "a" * 37}, -1100),
        ({"newClientOrderId": "ä"}, -1100),
        ({"strategyType": "5"}, -1134),
        ({"surprise": "1"}, -1104),
        ({"newOrderRespType": "LOUD"}, -1102),
        ({"type": "LIMIT_MAKER"}, -1106),
        ({"type": "MARKET"}, -1106),
        ({"type": "STOP_LOSS_LIMIT"}, -1102),
        ({"type": "STOP_LOSS", "stopPrice": "90.00"}, -1106),
        ({"type": "MARKET", "price": "", "timeInForce": "", "quoteOrderQty": "10"}, -1128),
        ({"type": "MARKET", "price": "", "timeInForce": "", "quantity": ""}, -1102),
    ],
)
def test_orders_of_the_wrong_form_are_refused(change: dict[str, str], expected: int) -> None:
    """Missing, malformed and superfluous parameters, each with its code; nothing is listed."""
    on = exchange(RISING)
    form = {k: v for k, v in {**FORM, **change}.items() if v}
    assert code(signed(on, "POST", "order", **form)) == expected
    assert signed(on, "GET", "allOrders", symbol="BTCUSDT") == []


def test_a_parameter_sent_twice_is_refused() -> None:
    """-1101, whether in the query or in the body."""
    answer = door_of(exchange(RISING)).answer(
        Request("GET", "/api/v3/klines", "symbol=BTCUSDT&symbol=BTCUSDT&interval=1h")
    )
    assert code(orjson.loads(answer.body)) == -1101


def test_paths_that_are_not_served_are_not_found() -> None:
    """404, as the exchange's front door answers."""
    assert send(exchange(RISING), "GET", "margin/account").status == 404


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"symbols": '["BTCUSDT"]', "symbol": "BTCUSDT"}, -1128),
        ({"symbols": "BTCUSDT"}, -1100),
        ({"symbols": '["NOPE"]'}, -1121),
        ({"symbol": "NOPE"}, -1121),
    ],
)
def test_exchange_info_refuses_symbols_it_cannot_read(
    parameters: dict[str, str], expected: int
) -> None:
    """Both forms at once, no JSON, not listed."""
    assert code(get(exchange(RISING), "exchangeInfo", **parameters)) == expected


def test_weights_are_counted_in_the_headers() -> None:
    """Ping 1, klines 2, account 20; a placed order weighs nothing and shows the order counts."""
    on = exchange(RISING)
    send(on, "GET", "ping")
    send(on, "GET", "klines", symbol="BTCUSDT", interval="1h")
    assert send_signed(on, "GET", "account").headers["x-mbx-used-weight-1m"] == "23"
    answer = send_signed(
        on, "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT",
        price="90.00", quantity="1", timeInForce="GTC",
    )  # fmt: skip
    assert answer.headers["x-mbx-used-weight-1m"] == "23"
    assert answer.headers["x-mbx-order-count-10s"] == "1"


def test_too_much_weight_is_429_then_418_and_ends_with_the_window() -> None:
    """6,000 a minute; going on regardless bans the address for two minutes."""
    on, seconds = running(1)
    for _ in range(6_000 // 20):
        assert send(on, "GET", "exchangeInfo").status == 200
    seconds[0] = 15.0
    over = send(on, "GET", "exchangeInfo")
    assert (over.status, over.headers["Retry-After"]) == (429, "45")
    assert code(orjson.loads(over.body)) == -1003
    statuses = [send(on, "GET", "ping").status for _ in range(40)]
    assert statuses[-1] == 418
    seconds[0] = 61.0
    assert send(on, "GET", "ping").status == 418
    seconds[0] = 15.0 + 121.0
    assert send(on, "GET", "ping").status == 200


def test_retry_after_is_in_the_clients_seconds() -> None:
    """On a clock of sixty times real, half an exchange minute is half a second, at least one."""
    on, _ = running(60)
    for _ in range(6_000 // 20):
        send(on, "GET", "exchangeInfo")
    assert send(on, "GET", "exchangeInfo").headers["Retry-After"] == "1"


def test_too_many_orders_are_refused() -> None:
    """-1015 with 429 after a hundred unfilled orders in ten seconds."""
    on, _ = running(1)
    form = {**FORM, "quantity": "0.1", "price": "90.00"}
    answers = [signed(on, "POST", "order", **form) for _ in range(101)]
    assert [a.get("code") for a in answers[-2:]] == [None, -1015]


def test_limits_do_not_bind_on_a_stepped_clock() -> None:
    """Time stands still there, so a window would never end."""
    on = exchange(RISING)
    assert {send(on, "GET", "exchangeInfo").status for _ in range(310)} == {200}


def history() -> Exchange:
    """Return an exchange with four trades, a minute apart."""
    on = exchange(RISING)
    for quantity in ("0.1", "0.2", "0.3", "0.4"):
        order(on, "BUY", "MARKET", quantity=quantity)
        on.clock.move_to(on.clock.now_ms() + 60_000)
    return on


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"limit": 2}, [3, 4]),
        ({"orderId": 2}, [2, 3, 4]),
        ({"orderId": 2, "limit": 1}, [2]),
        ({"startTime": START_MS + 60_000}, [2, 3, 4]),
        ({"startTime": START_MS, "endTime": START_MS + 60_000}, [1, 2]),
    ],
)
def test_all_orders_pages_by_id_and_time(parameters: dict[str, int], ids: list[int]) -> None:
    """From an id or a time forward, else the newest; both bounds inclusive."""
    found = signed(history(), "GET", "allOrders", symbol="BTCUSDT", **parameters)
    assert [o["orderId"] for o in found] == ids


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"limit": 1}, [4]),
        ({"fromId": 3}, [3, 4]),
        ({"fromId": 5}, []),
        ({"orderId": 2}, [2]),
        ({"startTime": START_MS + 1, "limit": 2}, [2, 3]),
    ],
)
def test_my_trades_pages_by_id_order_and_time(parameters: dict[str, int], ids: list[int]) -> None:
    """The ledger's cursor: fromId is inclusive and goes forward."""
    found = signed(history(), "GET", "myTrades", symbol="BTCUSDT", **parameters)
    assert [t["id"] for t in found] == ids


def test_histories_refuse_long_spans_and_odd_combinations() -> None:
    """More than a day is -1127; an id with a time is -1128."""
    on = history()
    span = {"startTime": START_MS, "endTime": START_MS + 25 * HOUR_MS}
    assert code(signed(on, "GET", "myTrades", symbol="BTCUSDT", **span)) == -1127
    both = {"fromId": 1, "startTime": START_MS}
    assert code(signed(on, "GET", "myTrades", symbol="BTCUSDT", **both)) == -1128


def test_orders_that_are_not_there() -> None:
    """A query says -2013, a cancel -2011, neither id given -1102."""
    on = exchange(RISING)
    assert code(signed(on, "GET", "order", symbol="BTCUSDT", orderId=1)) == -2013
    assert code(signed(on, "DELETE", "order", symbol="BTCUSDT", orderId=1)) == -2011
    assert code(signed(on, "GET", "order", symbol="BTCUSDT")) == -1102
    assert code(signed(on, "DELETE", "openOrders", symbol="BTCUSDT")) == -2011


def test_a_query_by_both_ids_must_agree() -> None:
    """An order id with another order's client id names no order."""
    on = history()
    wrong = {"orderId": 1, "origClientOrderId": "other"}
    assert code(signed(on, "GET", "order", symbol="BTCUSDT", **wrong)) == -2013


def test_account_can_leave_out_empty_balances() -> None:
    """With omitZeroBalances it shows only what is there."""
    on = exchange(RISING)
    assert len(signed(on, "GET", "account")["balances"]) == 2
    shown = signed(on, "GET", "account", omitZeroBalances="true")["balances"]
    assert [b["asset"] for b in shown] == ["USDT"]


def test_signed_text_is_what_was_sent_not_what_it_decodes_to() -> None:
    """Percent-encoding is part of the signed text."""
    on = exchange(RISING)
    text = urlencode({"symbol": "ÄÖ", "timestamp": START_MS})
    request = Request("GET", "/api/v3/myTrades", f"{text}&signature={sign(text)}", "", LOCAL_KEY)
    assert code(orjson.loads(door_of(on).answer(request).body)) == -1121
