"""Messages that real exchanges and other projects' recordings hold agree with ours in shape."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet import prepared as p
from tests.thunes_core.testnet.calls import door_of, get, order, signed
from tests.thunes_core.testnet.markets import step
from tests.thunes_core.testnet.prepared import MINE, prepared
from thunes_core.testnet.market_events import events_between
from thunes_core.testnet.socket_api import ApiSession
from thunes_core.testnet.streams import parse_stream
from thunes_core.testnet.user_events import UserFeed

GONE = frozenset(
    {"orderReports", "buyerOrderId", "sellerOrderId", "b", "a", "st", "isOco", "eR", "pT", "W"}
    | {"marginAllowed", "quoteCommissionPrecision", "otoAllowed"}
)
"""Keys of older years, of other venues, or that only some orders show."""


def disagreements(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Return where a key of `theirs` is missing in `ours`, or of another type."""
    if ours is None or theirs is None:
        return []
    if type(ours) is not type(theirs):
        return [f"{where}: {type(ours).__name__} instead of {type(theirs).__name__}"]
    if isinstance(theirs, dict):
        found = [f"{where}.{k}: lacks" for k in theirs.keys() - ours.keys() - GONE]
        for key in theirs.keys() & ours.keys():
            found += disagreements(ours[key], theirs[key], f"{where}.{key}")
        return found
    if isinstance(theirs, list) and theirs and ours:
        return disagreements(ours[0], theirs[0], f"{where}[]")
    return []


def moved() -> Any:
    """Return an exchange with one of everything, half an hour on."""
    on = prepared()
    step(on, 0.5)
    return on


def public(path: str, **parameters: Any) -> Callable[[], Any]:
    """Return what asks for a public document."""
    return lambda: get(moved(), path, **parameters)


def private(method: str, path: str, **parameters: Any) -> Callable[[], Any]:
    """Return what asks for a signed document."""
    return lambda: signed(moved(), method, path, **parameters)


def told(stream: str) -> Callable[[], Any]:
    """Return what asks a stream for its first event."""

    def first() -> Any:
        on = prepared()
        before = on.present_ms
        step(on, 0.5)
        found = parse_stream(stream, on)
        assert found is not None
        return next(iter(events_between(on, found, before, on.present_ms)))

    return first


def reported(change: str) -> Callable[[], Any]:
    """Return what provokes an execution report of the kind."""

    def first() -> Any:
        on = prepared()
        feed = UserFeed(on)
        on.lists.cancel(on.lists.all()[0])
        order(on, "BUY", "LIMIT", price="50.00", quantity="1", timeInForce="IOC")
        order(on, "BUY", "MARKET", quantity="0.1")
        order(on, "SELL", "LIMIT", price="100.02", quantity="0.1", timeInForce="GTC")
        order(on, "BUY", "MARKET", quantity="0.1", selfTradePreventionMode="EXPIRE_MAKER")
        on.deposit("BTC", on.wallet.free("BTC"))
        events = feed.drain()
        return next(e for e in events if change in (e.get("x"), e["e"]))

    return first


PYTHON, RUST, EVENTS = "nautilus/python/http", "nautilus/rust/http_json", "nautilus/python/ws"
CASES: dict[str, Callable[[], Any]] = {
    f"{PYTHON}/http_spot_market_agg_trades.json": public("aggTrades", **MINE),
    f"{PYTHON}/http_spot_market_avg_price.json": public("avgPrice", **MINE),
    f"{PYTHON}/http_spot_market_book_ticker.json": public("ticker/bookTicker", **MINE),
    f"{PYTHON}/http_spot_market_depth.json": public("depth", **MINE),
    f"{PYTHON}/http_spot_market_historical_trades.json": public("historicalTrades", **MINE),
    f"{PYTHON}/http_spot_market_klines.json": public("klines", **MINE, interval="1h"),
    f"{PYTHON}/http_spot_market_ping.json": public("ping"),
    f"{PYTHON}/http_spot_market_ticker_price.json": public("ticker/price", **MINE),
    f"{PYTHON}/http_spot_market_time.json": public("time"),
    f"{PYTHON}/http_spot_market_trades.json": public("trades", **MINE),
    f"{PYTHON}/http_spot_wallet_account.json": private("GET", "account"),
    f"{RUST}/account_response.json": private("GET", "account"),
    f"{RUST}/account_trades_response.json": private("GET", "myTrades", **MINE),
    f"{RUST}/all_orders_response.json": private("GET", "allOrders", **MINE),
    f"{RUST}/avg_price_response.json": public("avgPrice", **MINE),
    f"{RUST}/book_ticker_response.json": public("ticker/bookTicker", **MINE),
    f"{RUST}/cancel_order_response.json": private("DELETE", "order", **MINE, orderId=2),
    f"{RUST}/depth_response.json": public("depth", **MINE),
    f"{RUST}/klines_response.json": public("klines", **MINE, interval="1h"),
    f"{RUST}/new_order_full_response.json": private("POST", "order", **p.TAKING),
    f"{RUST}/open_orders_response.json": private("GET", "openOrders", **MINE),
    f"{RUST}/order_response.json": private("GET", "order", **MINE, orderId=2),
    f"{RUST}/ticker_24hr_response.json": public("ticker/24hr", **MINE),
    f"{RUST}/ticker_price_response.json": public("ticker/price", **MINE),
    f"{RUST}/trades_response.json": public("trades", **MINE),
    "xchange/depth.json": public("depth", **MINE),
    "xchange/filled-market-order.json": private("GET", "order", **MINE, orderId=1),
    "xchange/open-orders.json": private("GET", "openOrders", **MINE),
    "xchange/single-24hr-ticker.json": public("ticker/24hr", **MINE),
    "xchange/testKlineEvent.json": told("btcusdt@kline_1h"),
    "xchange/testTradeEvent.json": told("btcusdt@trade"),
    "xchange/testTickerEvent.json": told("btcusdt@ticker"),
    "xchange/testDepthEvent.json": told("btcusdt@depth"),
    "xchange/testBookTickerEvent.json": told("btcusdt@bookTicker"),
    "ws/basana_binance_depth_update.json": told("btcusdt@depth"),
    f"{EVENTS}/ws_spot_agg_trade.json": told("btcusdt@aggTrade"),
    f"{EVENTS}/ws_spot_trade.json": told("btcusdt@trade"),
    f"{EVENTS}/ws_spot_ticker_24hr.json": told("btcusdt@ticker"),
    f"{EVENTS}/ws_spot_execution_report_new.json": reported("NEW"),
    f"{EVENTS}/ws_spot_execution_report_trade.json": reported("TRADE"),
    f"{EVENTS}/ws_spot_execution_report_canceled.json": reported("CANCELED"),
    f"{EVENTS}/ws_spot_execution_report_expired.json": reported("EXPIRED"),
    f"{EVENTS}/ws_spot_execution_report_trade_prevention.json": reported("TRADE_PREVENTION"),
    "nautilus/rust/user_data_json/execution_report_stop_loss.json": reported("CANCELED"),
    "nautilus/rust/user_data_json/account_position.json": reported("outboundAccountPosition"),
    "nautilus/rust/user_data_json/balance_update.json": reported("balanceUpdate"),
    "chrisleekr/old/app__cronjob__alive__fixtures__binance-account-info.json": private(
        "GET", "account"
    ),
    "chrisleekr/old/app__jobs__simpleStopChaser__fixtures__binance-open-orders.json": private(
        "GET", "openOrders"
    ),
    "klines/BTCUSDT_1h_2023-03.json": public("klines", **MINE, interval="1h"),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_messages_agree_with_ours(name: str) -> None:
    """Every key that was recorded is among ours, with the same type."""
    text = re.sub(r"\s//[^\n]*", "", shared(f"fixtures/{name}").read_text())
    theirs = json.loads(text)
    if isinstance(theirs, dict) and "data" in theirs:
        theirs = theirs["data"]
    assert disagreements(CASES[name](), theirs) == []


def test_recorded_wrappers_agree_with_ours() -> None:
    """Events of the account come wrapped with their subscription."""
    on = prepared()
    session = ApiSession(door_of(on))
    session._subscribe()
    signed(on, "POST", "orderList/oco", **p.OCO)
    events = {e["event"]["e"]: e for e in session.events()}
    for kind, name in (
        ("executionReport", "execution_report_wrapped"),
        ("outboundAccountPosition", "account_position_wrapped"),
        ("listStatus", "list_status_wrapped"),
    ):
        path = shared(f"fixtures/nautilus/rust/user_data_json/{name}.json")
        assert disagreements(events[kind], json.loads(path.read_text())) == [], kind


def test_observed_errors_are_answered_in_the_same_words() -> None:
    """What users met: filters, money, time, unknown orders, unread parameters."""
    path = shared("fixtures/errors/observed_in_public_issues.json")
    observed = {
        e["body"] for e in json.loads(path.read_text()) if (e["body"] or "").startswith("{")
    }
    on = prepared()
    found = [
        order(on, "BUY", "MARKET", quantity="0.000001"),
        order(on, "BUY", "LIMIT", price="99.00", quantity="0.01", timeInForce="GTC"),
        order(on, "BUY", "MARKET", quantity="99"),
        signed(on, "DELETE", "order", **MINE, orderId=99),
        signed(on, "GET", "order", **MINE, orderId=99),
    ]
    for answer in found:
        assert json.dumps(answer, separators=(",", ":")) in observed
