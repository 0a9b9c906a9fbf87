"""Each of the exchange's published examples is answered in its shape, or stated as not served."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tests.shared_data import shared
from tests.thunes_core.testnet import prepared as p
from tests.thunes_core.testnet.calls import door_of, get, send_signed, sign, signed
from tests.thunes_core.testnet.prepared import MINE, prepared, two_markets
from tests.thunes_core.testnet.shapes import differences
from thunes_core.testnet.filters import ENFORCED
from thunes_core.testnet.market_events import events_between
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.security import LOCAL_KEY
from thunes_core.testnet.socket_api import METHODS, ApiSession
from thunes_core.testnet.streams import parse_stream

CONDITIONAL = frozenset(
    {"icebergQty", "stopPrice", "trailingDelta", "trailingTime", "strategyId", "strategyType"}
    | {"workingTime", "workingFloor", "usedSor", "preventedMatchId", "preventedQuantity"}
    | {"takerPreventedQuantity", "makerPreventedQuantity"}
)
"""Published as fields that only some orders show."""
LEFT_OUT = CONDITIONAL | {"origQty", "fills", "selfTradePreventionMode", "origClientOrderId"}
"""Left out of some examples of the WebSocket API, there as in REST's."""
NOT_SERVED = {
    "If a reference price is set": "no symbol has a reference price here",
    "If no reference price is set": "no symbol has a reference price here",
    "If no reference price has ever been set": "answered as an error, as REST does",
    "If reference price is not being calculated": "no symbol has a reference price here",
    "If the reference price is being calculated outside the matching engine": "the same",
    "Reference Price Streams > Payload": "no symbol has a reference price here",
    "Block Trade Streams > Payload": "no block trades happen",
    "External Lock Update > Payload": "nobody else locks the account's balances",
}
TWO = '["BTCUSDT","BTCUSDC"]'
Recipe = Callable[[], Any]


def ours(path: str, **parameters: Any) -> Recipe:
    """Return what asks for a public document."""
    return lambda: get(prepared(), path, **parameters)


def mine(method: str, path: str, **parameters: Any) -> Recipe:
    """Return what asks for a signed document."""
    return lambda: signed(prepared(), method, path, **parameters)


def crowded(**parameters: Any) -> Any:
    """Replace an order when the unfilled order count leaves no room."""
    on = prepared(enforce_limits=True)
    on.limits.use_order(on.limits._short.limit - on.limits.order_counts()[0]["count"])
    return signed(on, "POST", "order/cancelReplace", **parameters)


def cancel_all() -> Any:
    """Cancel two orders and a list, as the example has it."""
    on = two_markets()
    signed(on, "POST", "order", **p.TAKING | {"quantity": "3"})
    signed(on, "POST", "order", **p.RESTING)
    signed(on, "POST", "order", **p.RESTING)
    signed(on, "POST", "orderList/oco", **p.OCO)
    return signed(on, "DELETE", "openOrders", **MINE)


FAILS = p.replace(p.RESTING, cancelOrderId=77)
HALF = p.replace(p.MAKER, cancelOrderId=3)
ALLOWED = {"cancelReplaceMode": "ALLOW_FAILURE"}
CR = "order/cancelReplace"
REST: dict[str, list[Recipe]] = {
    "Error Codes > Sample Payload below": [ours("klines", symbol="NOPE", interval="1h")],
    "Test connectivity > Response": [ours("ping")],
    "Check server time > Response": [ours("time")],
    "Exchange information > Response": [ours("exchangeInfo", **MINE)],
    "Query Execution Rules > Response": [ours("executionRules", **MINE)],
    "Order book > Response": [ours("depth", **MINE, limit=1)],
    "Recent trades list > Response": [ours("trades", **MINE)],
    "Old trade lookup > Response": [ours("historicalTrades", **MINE, fromId=0)],
    "Historical Block Trades > Response": [ours("historicalBlockTrades", **MINE)],
    "Aggregate trades list > Response": [ours("aggTrades", **MINE)],
    "Kline/Candlestick data > Response": [ours("klines", **MINE, interval="1h")],
    "UIKlines > Response": [ours("uiKlines", **MINE, interval="1h")],
    "Current average price > Response": [ours("avgPrice", **MINE)],
    "24hr ticker price change statistics > Response - FULL": [
        ours("ticker/24hr", **MINE),
        ours("ticker/24hr"),
    ],
    "24hr ticker price change statistics > Response - MINI": [
        ours("ticker/24hr", **MINE, type="MINI"),
        ours("ticker/24hr", type="MINI"),
    ],
    "Ticker > Response - FULL > With `symbol`": [ours("ticker/tradingDay", **MINE)],
    "Ticker > Response - FULL > With `symbols`": [ours("ticker/tradingDay", symbols=TWO)],
    "Ticker > Response - MINI > With `symbol`": [ours("ticker/tradingDay", **MINE, type="MINI")],
    "Ticker > Response - MINI > With `symbols`": [
        ours("ticker/tradingDay", symbols=TWO, type="MINI")
    ],
    "Symbol price ticker > Response": [ours("ticker/price", **MINE), ours("ticker/price")],
    "Symbol order book ticker > Response": [
        ours("ticker/bookTicker", **MINE),
        ours("ticker/bookTicker"),
    ],
    "statistics > Response - FULL > When using `symbol`": [ours("ticker", **MINE)],
    "statistics > Response - FULL > When using `symbols`": [ours("ticker", symbols=TWO)],
    "statistics > Response - MINI > When using `symbol`": [ours("ticker", **MINE, type="MINI")],
    "statistics > Response - MINI > When using `symbols`": [
        ours("ticker", symbols=TWO, type="MINI")
    ],
    "Query Reference Price > Response > If no reference price has ever been set": [
        ours("referencePrice", **MINE)
    ],
    "Query Reference Price Calculation > Response > If reference price is not being calculated": [
        ours("referencePrice/calculation", **MINE)
    ],
    "New order (TRADE) > Response - ACK": [
        mine("POST", "order", **p.RESTING, newOrderRespType="ACK")
    ],
    "New order (TRADE) > Response - RESULT": [
        mine("POST", "order", **p.RESTING, newOrderRespType="RESULT")
    ],
    "New order (TRADE) > Response - FULL": [mine("POST", "order", **p.TAKING)],
    "Test new order (TRADE) > Response": [
        mine("POST", "order/test", **p.TAKING),
        mine("POST", "order/test", **p.TAKING, computeCommissionRates="true"),
    ],
    "Cancel order (TRADE) > Response": [
        mine("DELETE", "order", **MINE, orderId=2),
        mine("DELETE", "order", **MINE, orderId=2, cancelRestrictions="NO"),
        mine("DELETE", "order", **MINE, orderId=2, cancelRestrictions="ONLY_PARTIALLY_FILLED"),
    ],
    "Cancel All Open Orders on a Symbol (TRADE) > Response": [cancel_all],
    "Cancel Order Fails with STOP_ON FAILURE and account has not exceeded their unfilled order "
    "count": [mine("POST", CR, **FAILS)],
    "Cancel Order Succeeds but New Order Placement Fails and account has not exceeded their "
    "unfilled order count": [mine("POST", CR, **HALF)],
    "Cancel Order fails with ALLOW_FAILURE and account has not exceeded their unfilled order "
    "count": [mine("POST", CR, **FAILS | ALLOWED, newOrderRespType="ACK")],
    "both Cancel Order and New Order Placement fail using `cancelReplaceMode=ALLOW_FAILURE` and "
    "account has not exceeded their unfilled order count": [
        mine("POST", CR, **HALF | ALLOWED | {"cancelOrderId": 77})
    ],
    "using `orderRateLimitExceededMode=DO_NOTHING` and account's unfilled order count has been "
    "exceeded": [lambda: crowded(**p.replace(p.RESTING, cancelOrderId=2))],
    "using `orderRateLimitExceededMode=CANCEL_ONLY` and account's unfilled order count has been "
    "exceeded": [
        lambda: crowded(
            **p.replace(p.RESTING, cancelOrderId=2, orderRateLimitExceededMode="CANCEL_ONLY")
        )
    ],
    "Response for a single order": [
        mine("PUT", "order/amend/keepPriority", **MINE, orderId=2, newQty="0.4")
    ],
    "Response for an order that is part of an Order list": [
        mine("PUT", "order/amend/keepPriority", **MINE, orderId=7, newQty="0.3")
    ],
    "New OCO - Deprecated (TRADE) > Response": [mine("POST", "order/oco", **p.OLD_OCO)],
    "New Order list - OCO (TRADE) > Response": [mine("POST", "orderList/oco", **p.OCO)],
    "New Order list - OTO (TRADE) > Response": [
        mine("POST", "orderList/oto", **p.WORKING, **p.PENDING, **p.SIZED)
    ],
    "New Order list - OTOCO (TRADE) > Response": [
        mine("POST", "orderList/otoco", **p.WORKING, **p.PAIR, **p.SIZED)
    ],
    "New Order List - OPO (TRADE) > Response": [
        mine("POST", "orderList/opo", **p.WORKING, **p.PENDING)
    ],
    "New Order List - OPOCO (TRADE) > Response": [
        mine("POST", "orderList/opoco", **p.WORKING, **p.PAIR_OF_LIMITS)
    ],
    "Cancel Order list (TRADE) > Response": [mine("DELETE", "orderList", **MINE, orderListId=0)],
    "New order using SOR (TRADE) > Response": [mine("POST", "sor/order", **p.TAKING)],
    "Test new order using SOR (TRADE) > Response": [
        mine("POST", "sor/order/test", **p.TAKING),
        mine("POST", "sor/order/test", **p.TAKING, computeCommissionRates="true"),
    ],
    "Account information (USER_DATA) > Response": [mine("GET", "account")],
    "Query order (USER_DATA) > Response": [mine("GET", "order", **MINE, orderId=2)],
    "Current open orders (USER_DATA) > Response": [mine("GET", "openOrders", **MINE)],
    "All orders (USER_DATA) > Response": [mine("GET", "allOrders", **MINE)],
    "Query Order list (USER_DATA) > Response": [mine("GET", "orderList", orderListId=0)],
    "Query all Order lists (USER_DATA) > Response": [mine("GET", "allOrderList")],
    "Query Open Order lists (USER_DATA) > Response": [mine("GET", "openOrderList")],
    "Account trade list (USER_DATA) > Response": [mine("GET", "myTrades", **MINE)],
    "Query Unfilled Order Count (USER_DATA) > Response": [mine("GET", "rateLimit/order")],
    "Query Prevented Matches (USER_DATA) > Response": [
        mine("GET", "myPreventedMatches", **MINE, orderId=8)
    ],
    "Query Allocations (USER_DATA) > Response": [mine("GET", "myAllocations", **MINE)],
    "Query Commission Rates (USER_DATA) > Response": [mine("GET", "account/commission", **MINE)],
    "Query Order Amendments (USER_DATA) > Response": [
        mine("GET", "order/amendments", **MINE, orderId=7)
    ],
    "Query relevant filters (USER_DATA) > Response": [mine("GET", "myFilters", **MINE)],
    "Error codes for Binance": [ours("klines", symbol="NOPE", interval="1h")],
}
EMPTY = {"Test connectivity > Response", "Historical Block Trades > Response"}
"""Answered with nothing in it."""


def documents(*names: str) -> list[dict[str, Any]]:
    """Return the published examples of some documents, in their order."""
    every = json.loads(shared("fixtures/spec/examples.json").read_text())
    assert len(every) == 294
    return [one for one in every if one["doc"] in names]


def is_left_out(one: dict[str, Any]) -> bool:
    """True when an example is stated as not served; refusals are."""
    document = one["json"]
    is_one = isinstance(document, dict)
    refuses = is_one and ("error" in document or document.keys() == {"code", "msg"})
    return not refuses and any(one["heading"].endswith(end) for end in NOT_SERVED)


def rest_pairs() -> Iterator[tuple[str, Any, Any]]:
    """Yield heading, our answer and the published one, of REST and of the list of errors."""
    seen: dict[str, int] = {}
    for one in documents("rest-api.md", "errors.md"):
        heading = one["heading"]
        end = next((key for key in REST if heading.endswith(key)), None)
        if end is None:
            assert is_left_out(one), heading
            continue
        nth = seen.get(end, 0)
        seen[end] = nth + 1
        if nth >= len(REST[end]):
            assert is_left_out(one), heading
            continue
        yield end, REST[end][nth](), one["json"]
    assert seen.keys() == REST.keys()


def test_every_rest_example_is_answered_in_its_shape() -> None:
    """Same keys and types; every recipe is used, and only what is stated is left out."""
    wrong = {}
    for end, answer, published in rest_pairs():
        optional = CONDITIONAL
        if end.startswith("Exchange information"):
            published = published | {"rateLimits": answer["rateLimits"]}
        if end.startswith("Query relevant filters"):
            answer = only_lists(answer)
        found = differences(answer, published, "", optional)
        if found or not (answer or end in EMPTY or published == {}):
            wrong[end] = found or ["empty"]
    assert wrong == {}


def only_lists(answer: dict[str, Any]) -> dict[str, Any]:
    """Keep of the symbol's filters the one that the example shows."""
    kept = [f for f in answer["symbolFilters"] if f["filterType"] == "MAX_NUM_ORDER_LISTS"]
    return answer | {"symbolFilters": kept}


def ask(on: Exchange, session: ApiSession, method: str, params: dict[str, Any]) -> Any:
    """Ask through a session, signed when the published request is."""
    sent = {k: v for k, v in params.items() if k not in PROOF}
    if "signature" in params:
        sent |= {"apiKey": LOCAL_KEY, "timestamp": on.clock.now_ms()}
        sent["signature"] = sign("&".join(f"{k}={sent[k]}" for k in sorted(sent)))
    message = {"id": "1", "method": method, "params": sent}
    answer = session.answer(orjson.dumps(message).decode())
    assert answer is not None
    return answer


PROOF = {"apiKey", "signature", "timestamp", "recvWindow"}
SIGN: dict[str, Any] = {"signature": ""}
API: dict[str, list[dict[str, Any]]] = {
    "ping": [{}],
    "time": [{}, {"returnRateLimits": False}],
    "exchangeInfo": [MINE],
    "executionRules": [MINE],
    "depth": [{**MINE, "limit": 5}],
    "trades.recent": [MINE],
    "trades.historical": [{**MINE, "fromId": 0}],
    "trades.aggregate": [MINE],
    "blockTrades.historical": [MINE],
    "klines": [{**MINE, "interval": "1h"}],
    "uiKlines": [{**MINE, "interval": "1h"}],
    "avgPrice": [MINE],
    "ticker.24hr": [MINE, {**MINE, "type": "MINI"}, {"type": "MINI"}, {}],
    "ticker.tradingDay": [
        MINE,
        {**MINE, "type": "MINI"},
        {"symbols": ["BTCUSDT", "BTCUSDC"]},
        {"symbols": ["BTCUSDT", "BTCUSDC"], "type": "MINI"},
    ],
    "ticker": [
        MINE,
        {**MINE, "type": "MINI"},
        {"symbols": ["BTCUSDT", "BTCUSDC"]},
        {"symbols": ["BTCUSDT", "BTCUSDC"], "type": "MINI"},
    ],
    "ticker.price": [MINE, {}],
    "ticker.book": [MINE, {}],
    "referencePrice.calculation": [MINE],
    "session.logon": [SIGN],
    "session.status": [{}],
    "session.logout": [{}],
    "order.place": [
        {**p.RESTING, "newOrderRespType": kind, **SIGN} for kind in ("ACK", "RESULT", "FULL")
    ]
    + [{**p.TAKING, **SIGN}, {**p.TAKING, "quantity": "99", **SIGN}],
    "order.test": [{**p.TAKING, **SIGN}, {**p.TAKING, "computeCommissionRates": "true", **SIGN}],
    "order.status": [{**MINE, "orderId": 2, **SIGN}],
    "order.cancel": [
        {**MINE, "orderId": 2, **SIGN},
        {**MINE, "orderId": 4, **SIGN},
    ],
    "order.cancelReplace": [
        {**p.replace(p.RESTING, cancelOrderId=2, newOrderRespType="RESULT"), **SIGN},
        {**FAILS, **SIGN},
        {**HALF, **SIGN},
        {**FAILS, **ALLOWED, "newOrderRespType": "RESULT", **SIGN},
        {**HALF, **ALLOWED, "cancelOrderId": 77, **SIGN},
    ],
    "order.amend.keepPriority": [
        {**MINE, "orderId": 2, "newQty": "0.4", **SIGN},
        {**MINE, "orderId": 7, "newQty": "0.3", **SIGN},
    ],
    "openOrders.status": [{**MINE, **SIGN}],
    "openOrders.cancelAll": [{**MINE, **SIGN}],
    "orderList.place": [{**p.OLD_OCO, **SIGN}],
    "orderList.place.oco": [{**p.OCO, **SIGN}],
    "orderList.place.oto": [{**p.WORKING, **p.PENDING, **p.SIZED, **SIGN}],
    "orderList.place.otoco": [{**p.WORKING, **p.PAIR, **p.SIZED, **SIGN}],
    "orderList.place.opo": [{**p.WORKING, **p.PENDING, **SIGN}],
    "orderList.place.opoco": [{**p.WORKING, **p.PAIR_OF_LIMITS, **SIGN}],
    "orderList.status": [{"orderListId": 0, **SIGN}],
    "orderList.cancel": [{**MINE, "orderListId": 0, **SIGN}],
    "sor.order.place": [{**p.TAKING, **SIGN}],
    "sor.order.test": [
        {**p.TAKING, **SIGN},
        {**p.TAKING, "computeCommissionRates": "true", **SIGN},
    ],
    "account.status": [SIGN],
    "account.commission": [{**MINE, **SIGN}],
    "account.rateLimits.orders": [SIGN],
    "openOrderLists.status": [SIGN],
    "allOrders": [{**MINE, **SIGN}],
    "allOrderLists": [SIGN],
    "myTrades": [{**MINE, **SIGN}],
    "myPreventedMatches": [{**MINE, "orderId": 8, **SIGN}],
    "myAllocations": [{**MINE, **SIGN}],
    "myFilters": [{**MINE, **SIGN}],
    "order.amendments": [{**MINE, "orderId": 7, **SIGN}],
    "userDataStream.subscribe": [{}],
    "userDataStream.subscribe.signature": [SIGN],
    "userDataStream.unsubscribe": [{}],
    "session.subscriptions": [{}],
}


def answers_of(method: str) -> list[Any]:
    """Return our answers to the requests of a method, each by an exchange of its own."""
    found = []
    for params in API[method]:
        on = prepared()
        session = ApiSession(door_of(on))
        if not method.endswith((".signature", ".logon")) and "signature" not in params:
            ask(on, session, "session.logon", dict(SIGN))
            ask(on, session, "userDataStream.subscribe", {})
        found.append(ask(on, session, method, params))
    return found


def api_answers() -> Iterator[tuple[str, str, Any]]:
    """Yield heading, method and published answer of the WebSocket API."""
    method = "order.place"
    for one in documents("web-socket-api.md"):
        document = one["json"]
        if "method" in document:
            method = document["method"]
            assert method in METHODS or method in API, method
        elif "status" in document and not is_left_out(one):
            yield one["heading"], method, document


def test_every_example_of_the_websocket_api_is_answered_in_its_shape() -> None:
    """Envelope, result or error and rate limits, by one of our answers to the method."""
    tried: dict[str, list[Any]] = {}
    wrong = {}
    seen = 0
    for heading, method, published in api_answers():
        seen += 1
        answers = tried.setdefault(method, answers_of(method) if method in API else [])
        answers = answers + OTHERS.get(heading.split(" > ")[-1], lambda: [])()
        short = [shortened(one) for one in answers]
        found = [differences(one, shortened(published), "", ENVELOPE) for one in short]
        if [] not in found:
            wrong[heading] = min(found, key=len)
    assert wrong == {}
    assert seen == 84
    assert tried.keys() == API.keys()


ENVELOPE = LEFT_OUT | {"rateLimits", "data", "serverTime", "retryAfter"}


def shortened(answer: Any) -> Any:
    """Return an answer with its id a text, and of filters only those that the example shows."""
    result = answer.get("result")
    known = answer | {"id": "1"}
    if isinstance(result, dict) and "symbolFilters" in result:
        return known | {"result": only_lists(result)}
    if isinstance(result, dict) and "exchangeFilters" in result:
        plain = [{k: v for k, v in s.items() if k != "filters"} for s in result["symbols"]]
        return known | {"result": result | {"symbols": plain, "sors": [], "exchangeFilters": []}}
    return known


def refused_for_too_much() -> list[Any]:
    """Return what a banned client and a crowded replacement are told."""
    on = prepared(enforce_limits=True)
    on.limits.ban_for(60_000)
    banned = ask(on, ApiSession(door_of(on)), "time", {})
    assert banned["error"]["data"]["retryAfter"] == on.clock.now_ms() + 60_000
    return [banned]


def crowded_answers() -> list[Any]:
    """Return what replacing an order comes to when the order count leaves no room."""
    found = []
    for mode in ("DO_NOTHING", "CANCEL_ONLY"):
        on = prepared(enforce_limits=True)
        on.limits.use_order(on.limits._short.limit - on.limits.order_counts()[0]["count"])
        asked = p.replace(p.RESTING, cancelOrderId=2, orderRateLimitExceededMode=mode)
        session = ApiSession(door_of(on))
        found.append(ask(on, session, "order.cancelReplace", {**asked, **SIGN}))
    assert [a["status"] for a in found] == [429, 409]
    return found


def strangers() -> list[Any]:
    """Return what an unknown key is told."""
    on = prepared()
    message = {"id": None, "method": "account.status", "params": {"apiKey": "x", "timestamp": 1}}
    answer = ApiSession(door_of(on)).answer(orjson.dumps(message).decode())
    return [answer]


def answers_to(*methods: str) -> Recipe:
    """Return what gives our answers to some methods, for examples that name none."""
    return lambda: [answer for method in methods for answer in answers_of(method)]


def nothing_open() -> list[Any]:
    """Return what an account without orders is told."""
    on = two_markets()
    return [ask(on, ApiSession(door_of(on)), "openOrders.status", {**MINE, **SIGN})]


OTHERS: dict[str, Recipe] = {
    "IP limits": lambda: refused_for_too_much() + nothing_open(),
    "Example of failed response": answers_to("order.place"),
    "A response with rate limit status may look like this": answers_to("time"),
    "Unfilled Order Count": answers_to("order.place"),
    'If both operations fail, response will have `"status": 400`': crowded_answers,
    "Authenticate after connection": strangers,
}

STREAM_NAMES = {
    "Aggregate Trade Streams > Payload": "btcusdt@aggTrade",
    "Detailed Stream information > Trade Streams > Payload": "btcusdt@trade",
    "Kline/Candlestick Streams for UTC > Payload": "btcusdt@kline_1h",
    "Kline/Candlestick Streams with timezone offset > Payload": "btcusdt@kline_1d@+08:00",
    "Individual Symbol Mini Ticker Stream > Payload": "btcusdt@miniTicker",
    "All Market Mini Tickers Stream > Payload": "!miniTicker@arr",
    "Individual Symbol Ticker Streams > Payload": "btcusdt@ticker",
    "Individual Symbol Rolling Window Statistics Streams > Payload": "btcusdt@ticker_1h",
    "All Market Rolling Window Statistics Streams > Payload": "!ticker_1h@arr",
    "Individual Symbol Book Ticker Streams > Payload": "btcusdt@bookTicker",
    "Average Price > Payload": "btcusdt@avgPrice",
    "Partial Book Depth Streams > Payload": "btcusdt@depth5",
    "Diff. Depth Stream > Payload": "btcusdt@depth@100ms",
}


def test_every_streams_payload_has_the_published_shape() -> None:
    """What each stream tells of the first half hour; requests of streams are tested elsewhere."""
    on = prepared()
    before = on.present_ms
    on.clock.move_to(before + 1_800_000)
    on.advance()
    seen = set()
    for one in documents("web-socket-streams.md"):
        if "Detailed Stream" not in one["heading"] or is_left_out(one):
            continue
        end = next(key for key in STREAM_NAMES if one["heading"].endswith(key))
        seen.add(end)
        stream = parse_stream(STREAM_NAMES[end], on)
        assert stream is not None
        event = next(iter(events_between(on, stream, before, on.present_ms)))
        published = [] if one["json"] == [{}] else one["json"]
        assert differences(event, published) == [], end
    assert seen == STREAM_NAMES.keys()


def test_every_event_of_the_account_has_the_published_shape() -> None:
    """Orders, lists, balances and deposits, each wrapped with its subscription."""
    on = prepared()
    session = ApiSession(door_of(on))
    ask(on, session, "userDataStream.subscribe.signature", dict(SIGN))
    signed(on, "POST", "orderList/oco", **p.OCO)
    on.deposit("BTC", on.wallet.free("BTC"))
    events = session.events()
    ask(on, session, "userDataStream.unsubscribe", {})
    told = {event["event"]["e"]: event for event in reversed(events + session.events())}
    for one in documents("user-data-stream.md"):
        if not is_left_out(one):
            kind = one["json"]["event"]["e"]
            assert differences(told[kind], one["json"], "", frozenset({"W"})) == [], kind


def test_every_published_filter_binds() -> None:
    """By its type; both sides of each edge are tested elsewhere."""
    published = {one["json"]["filterType"] for one in documents("filters.md")}
    assert published == ENFORCED


def test_what_is_not_served_says_so() -> None:
    """Twelve examples and no more, and a parameter that is not served is refused, not ignored."""
    every = documents(
        "rest-api.md", "web-socket-api.md", "web-socket-streams.md", "user-data-stream.md"
    )
    left = [one["heading"].split(" > ")[-2:] for one in every if is_left_out(one)]
    assert len(left) == 12
    unknown = send_signed(prepared(), "POST", "order", **p.RESTING, pegPriceType="PRIMARY_PEG")
    assert orjson.loads(unknown.body)["code"] == -1104


def test_a_session_needs_no_socket_to_be_wrong() -> None:
    """Messages that are no request are answered, not dropped."""
    session = ApiSession(door_of(prepared()))
    for text in ("", "5", "[]", '{"method": 5}', '{"id": 1, "method": "ping", "params": 7}'):
        answer = session.answer(text)
        assert answer is not None
        assert answer["status"] == 400
