"""Binance's private side: orders, fills, balances. Implements `Broker`.

An order request is sent once, and its answer is classified by what it proves (`classify`). Reads
may be repeated. The exchange's clock is asked before a signed request when it was last asked more
than half a second ago, because a local testnet's clock may jump or run fast. An order request that
would leave more than a few seconds after `ready` is stopped before the wire.

Add here: a private request the core needs. Keep out: decisions, retries of orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from thunes_core.adapters.binance.classify import classify, codes_of, request_errors
from thunes_core.adapters.binance.client import HASTE_SECONDS, READ_ATTEMPTS, make_client, read
from thunes_core.adapters.binance.listings import FILTER_ERRORS, Listings
from thunes_core.adapters.binance.messages import (
    entry_parameters,
    order_parameters,
    pair_parameters,
    parse_account,
    parse_fill,
    parse_order,
    replace_parameters,
)
from thunes_core.adapters.binance.names import NO_SUCH_ORDER, OrderNames
from thunes_core.adapters.binance.own_filters import OwnFilters, account_file
from thunes_core.adapters.binance.pairs import pair_only_after, require_executed
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import SystemClock, from_millis, monotonic_seconds, to_millis
from thunes_core.domain.instrument import Filter
from thunes_core.domain.orders import ApprovedOrder, Fill, Order, OrderStatus
from thunes_core.domain.portfolio import Account
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown

if TYPE_CHECKING:
    from binance.client import Client

T = TypeVar("T")

PAGE_ROWS = 1000
SIZED_BY_FILL = "OPO"
SYNC_SECONDS = 0.5
RECEIVE_WINDOW = timedelta(seconds=5)
ENGINE_TIMEOUT = timedelta(seconds=10)
MARGIN = timedelta(seconds=5)
PATIENCE = timedelta(seconds=3)
"""From `ready` to the wire; less than `MARGIN`, so that a paused process sends nothing late."""
WRONG_TIMESTAMP = -1021
WITHOUT_SAPI = ("testnet.binance.vision", "demo-api.binance.com", "127.0.0.1", "localhost")


class BinanceBroker:
    """One account at Binance spot, or at anything that speaks its protocol.

    `limiter` and `listings` are shared with the other processes on this machine; a filter error
    makes all of them ask for the listings again. One object serves one thread.
    """

    settle_time = RECEIVE_WINDOW + ENGINE_TIMEOUT + MARGIN
    entry_lists: tuple[str, ...] = (SIZED_BY_FILL, "OTO")
    follows_price = True
    locks_coins = True

    def __init__(
        self,
        rest_url: str,
        api_key: str,
        api_secret: str | None = None,
        private_key_file: Path | None = None,
        limiter: WeightLimiter | None = None,
        listings: Listings | None = None,
    ) -> None:
        self.rest_url = rest_url
        self._limiter = limiter
        self._listings = listings
        self._api_key = api_key
        self._api_secret = api_secret
        self._private_key_file = private_key_file
        self._synced_at = float("-inf")
        self._latest_ms: int | None = None
        self._names = OrderNames()
        self._own = OwnFilters(listings.beside(account_file(api_key)) if listings else None)

    @cached_property
    def client(self) -> Client:
        """The client, made on first use: importing python-binance takes more than a second."""
        made = make_client(
            self.rest_url,
            self._api_key,
            self._api_secret,
            self._private_key_file,
            limiter=self._limiter,
            latest_ms=lambda: self._latest_ms,
        )
        made.REQUEST_RECVWINDOW = int(RECEIVE_WINDOW.total_seconds() * 1000)
        return made

    def close(self) -> None:
        """Close the connections; the object may be used again."""
        self.client.close_connection()

    def ready(self) -> datetime:
        """Synchronise the clock; the next order request must leave within `PATIENCE` of it."""
        self._synced_at = float("-inf")
        self._sync()
        now_ms = to_millis(SystemClock().now()) + self.client.timestamp_offset
        self._latest_ms = now_ms + PATIENCE // timedelta(milliseconds=1)
        return from_millis(now_ms)

    def submit(self, approved: ApprovedOrder) -> Order:
        """Send one approved order, once; the errors say what is proved of it."""
        request = approved.request
        (order,) = self._once(
            lambda: [self.client.create_order(**order_parameters(request))],
            f"order {request.client_order_id}",
        )
        return order

    def submit_pair(self, stop: ApprovedOrder, target: ApprovedOrder) -> tuple[Order, Order]:
        """Send an OCO of two sells, once: whichever executes first cancels the other."""
        parameters = pair_parameters(stop.request, target.request)
        first, second = self._once(
            lambda: _reports_of(self.client.create_oco_order(**parameters), [stop, target]),
            f"pair {stop.request.list_id}",
        )
        return first, second

    def submit_entry(
        self, entry: ApprovedOrder, legs: Sequence[ApprovedOrder], kind: str
    ) -> tuple[Order, ...]:
        """Send a buy that the exchange protects by `legs` once it is filled, once."""
        asked = entry_parameters(
            entry.request, [leg.request for leg in legs], sized_by_fill=kind == SIZED_BY_FILL
        )
        path = f"orderList/{kind.lower()}{'co' if len(legs) == 2 else ''}"
        found = self._once(
            lambda: _reports_of(self.client._post(path, True, data=asked), [entry, *legs]),
            f"entry {entry.request.list_id}",
        )
        return tuple(found)

    def replace(
        self, client_order_id: str, approved: ApprovedOrder, *, only_new: bool = False
    ) -> Order:
        """Cancel an open order and send another in one request, once; return the new one."""
        parameters = replace_parameters(client_order_id, approved.request, only_new=only_new)
        (order,) = self._once(
            lambda: [self.client.cancel_replace_order(**parameters)["newOrderResponse"]],
            f"replacement of {client_order_id}",
        )
        return order

    def replace_by_pair(
        self,
        client_order_id: str,
        executed: Decimal,
        stop: ApprovedOrder,
        target: ApprovedOrder,
    ) -> tuple[Order, Order]:
        """Cancel an order with its list and send an OCO at once, both before it is too late."""
        symbol, latest_ms = stop.request.symbol, self._latest_ms
        with pair_only_after(stop.request.list_id):
            ended = self._once(
                lambda: _cancelled(
                    self.client.cancel_order(symbol=symbol, origClientOrderId=client_order_id)
                ),
                f"cancel of {client_order_id}",
            )
            cancelled = [one for one in ended if one.status is OrderStatus.CANCELED]
            require_executed([one.executed_quantity for one in cancelled], executed)
        self._latest_ms = latest_ms
        return self.submit_pair(stop, target)

    def cancel(self, symbol: str, client_order_id: str) -> list[Order]:
        """Cancel an open order with its list; return the last state of all of them."""
        return self._once(
            lambda: _cancelled(
                self.client.cancel_order(symbol=symbol, origClientOrderId=client_order_id)
            ),
            f"cancel of {client_order_id}",
        )

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None when the exchange shows none now."""
        try:
            raw = self._read(
                lambda: self.client.get_order(symbol=symbol, origClientOrderId=client_order_id),
                f"order {client_order_id}",
            )
        except ExchangeRejected as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise
        return self._names.remember(parse_order(raw))

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        asked = {"symbol": symbol} if symbol else {}
        rows = self._read(lambda: self.client.get_open_orders(**asked), "open orders")
        return [self._names.remember(parse_order(row)) for row in rows]

    def orders_since(self, symbol: str, since: datetime) -> list[Order]:
        """Return every order of `symbol` sent at or after `since`, open or not."""
        rows = self._read(
            lambda: self.client.get_all_orders(
                symbol=symbol, startTime=to_millis(since), limit=PAGE_ROWS
            ),
            f"orders of {symbol}",
        )
        return [self._names.remember(parse_order(row)) for row in rows]

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first, complete."""
        start = int(after_trade_id) + 1 if after_trade_id is not None else 0
        name_of = self._names.known if after_trade_id is None else self._client_id
        found: list[Fill] = []
        while True:
            page = self._trades(symbol, max(start, 0))
            found += [parse_fill(row, name_of(symbol, str(row["orderId"]))) for row in page]
            if len(page) < PAGE_ROWS:
                return found
            start = int(page[-1]["id"]) + 1

    def account(self) -> Account:
        """Return the balances that are not zero."""
        return parse_account(self._read(self.client.get_account, "account"))

    def own_filters(self, symbols: Sequence[str]) -> dict[str, tuple[Filter, ...]]:
        """Return the filters of this account by symbol, asked for once while they are believed."""
        return self._own.of(symbols, self._my_filters)

    @property
    def ws_api_url(self) -> str:
        """Address of the WebSocket API that belongs to this host."""
        return str(self.client.ws_api._url)

    def subscription(self) -> dict[str, Any]:
        """Return the signed parameters that subscribe a connection to the account's events."""
        self._synced_at = float("-inf")
        self._sync()
        signed: dict[str, Any] = self.client._sign_ws_params(
            {}, self.client._generate_ws_api_signature
        )
        return signed

    def key_permissions(self) -> dict[str, Any] | None:
        """Return what the key may do; None at a host that does not tell (test networks)."""
        if urlsplit(self.rest_url).hostname in WITHOUT_SAPI:
            return None
        told: dict[str, Any] = self._read(self.client.get_account_api_permissions, "key rights")
        return told

    def _my_filters(self, symbol: str) -> Any:
        def ask() -> Any:  # the library changes what it is given
            given = {"symbol": symbol, "requests_params": {"timeout": HASTE_SECONDS}}
            return self.client._get("myFilters", True, data=given)

        return self._read(ask, f"filters of the account on {symbol}", attempts=1)

    def _trades(self, symbol: str, start: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._read(
            lambda: self.client.get_my_trades(symbol=symbol, fromId=start, limit=PAGE_ROWS),
            f"trades of {symbol}",
        )
        return sorted((row for row in rows if int(row["id"]) >= start), key=lambda r: int(r["id"]))

    def _client_id(self, symbol: str, order_id: str) -> str:
        """Return our id of an order; trades carry only the exchange's, so it may have to ask."""
        get = partial(self.client.get_order, symbol=symbol, orderId=order_id)
        what = f"order {order_id} of {symbol}"
        return self._names.asked(symbol, order_id, lambda: parse_order(self._read(get, what)))

    def _once(self, request: Callable[[], Sequence[Any]], what: str) -> list[Order]:
        """Make one request that changes orders, and read the orders in its answer."""
        if self._latest_ms is None:
            self._sync()
        try:
            return [self._names.remember(parse_order(row)) for row in request()]
        except request_errors() as error:
            self._heed(codes_of(error))
            raise classify(error, what) from error
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise OutcomeUnknown(
                f"{what}: the answer cannot be read as an order; ask, never repeat"
            ) from error
        finally:
            self._latest_ms = None

    def _heed(self, codes: Sequence[int]) -> None:
        if WRONG_TIMESTAMP in codes:
            self._synced_at = float("-inf")
        if FILTER_ERRORS.isdisjoint(codes):
            return
        self._own.forget()
        if self._listings is not None:
            self._listings.forget()

    def _read(self, request: Callable[[], T], what: str, attempts: int = READ_ATTEMPTS) -> T:
        self._sync()
        try:
            return read(request, what=what, attempts=attempts)
        except ExchangeRejected as error:
            if error.code != WRONG_TIMESTAMP:
                raise
        self._synced_at = float("-inf")
        self._sync()
        try:
            return read(request, what=what, attempts=attempts)
        except ExchangeRejected as error:
            if error.code != WRONG_TIMESTAMP:
                raise
            raise ExchangeUnavailable(
                f"{what}: the exchange's clock and ours do not agree ({error}); try again"
            ) from error

    def _sync(self) -> None:
        if monotonic_seconds() - self._synced_at < SYNC_SECONDS:
            return
        answer = read(self.client.get_server_time, what="server time")
        self.client.timestamp_offset = answer["serverTime"] - to_millis(SystemClock().now())
        self._synced_at = monotonic_seconds()


def _cancelled(raw: dict[str, Any]) -> list[Any]:
    """Return the orders that a cancel ended: one, or both of a pair."""
    reports: list[Any] = raw.get("orderReports") or [raw]
    return reports


def _reports_of(raw: dict[str, Any], asked: Sequence[ApprovedOrder]) -> list[Any]:
    """Return the reports of a list's orders in the order asked for."""
    by_id = {report["clientOrderId"]: report for report in raw["orderReports"]}
    return [by_id[one.request.client_order_id] for one in asked]
