"""The private side of an account through CCXT: orders, fills, balances. Implements `Broker`.

An order request is sent once, and its answer is classified by what it proves, from the HTTP status
and the exchange's code (CCXT's own classes do not tell: it calls 429, 5xx and −1007 all network
errors). CCXT rounds what it sends: an order that it would change is refused before it is sent.

What CCXT has no common word for (pairs, replacing in one request, fills by id) is said in Binance's
words, the one exchange on whose protocol this was tried; see docs/exchanges.md.

Add here: a private request the core needs. Keep out: decisions, retries of orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from thunes_core.adapters.binance.broker import (
    ENGINE_TIMEOUT,
    MARGIN,
    PAGE_ROWS,
    PATIENCE,
    RECEIVE_WINDOW,
    SYNC_SECONDS,
    WITHOUT_SAPI,
    WRONG_TIMESTAMP,
)
from thunes_core.adapters.binance.classify import never_left, new_order_in, proved
from thunes_core.adapters.binance.listings import FILTER_ERRORS, Listings
from thunes_core.adapters.binance.messages import pair_parameters, replace_parameters
from thunes_core.adapters.binance.names import NO_SUCH_ORDER, OrderNames
from thunes_core.adapters.binance.pairs import pair_only_after, require_executed
from thunes_core.adapters.ccxt.client import Connection, Keys, connect
from thunes_core.adapters.ccxt.exact import require_exact
from thunes_core.adapters.ccxt.markets import Markets
from thunes_core.adapters.ccxt.messages import parse_account, parse_fill, parse_order, unify
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import from_millis, monotonic_seconds, to_millis
from thunes_core.domain.instrument import Filter
from thunes_core.domain.orders import ApprovedOrder, Fill, Order
from thunes_core.domain.portfolio import Account
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown

T = TypeVar("T")


class CcxtBroker:
    """One spot account at an exchange that CCXT calls `exchange_id` and that speaks as Binance.

    `limiter` and `listings` are shared with the other processes on this machine; a filter error
    makes all of them ask for the listings again. One object serves one thread.
    """

    settle_time = RECEIVE_WINDOW + ENGINE_TIMEOUT + MARGIN
    entry_lists: tuple[str, ...] = ()
    follows_price = False
    locks_coins = True

    def __init__(
        self,
        exchange_id: str,
        rest_url: str | None,
        keys: Keys,
        limiter: WeightLimiter | None = None,
        listings: Listings | None = None,
    ) -> None:
        self._asked = (exchange_id, rest_url)
        self._keys = keys
        self._limiter = limiter
        self._listings = listings
        self._synced_at = float("-inf")
        self._names = OrderNames()

    @cached_property
    def connection(self) -> Connection:
        """The connection, made on first use: importing CCXT takes its time."""
        exchange_id, rest_url = self._asked
        made = connect(exchange_id, rest_url, self._keys, self._limiter)
        made.exchange.options["recvWindow"] = int(RECEIVE_WINDOW.total_seconds() * 1000)
        return made

    @cached_property
    def markets(self) -> Markets:
        """What the exchange lists."""
        return Markets(self.connection, self._listings)

    def close(self) -> None:
        """Close the connections; the object may be used again."""
        self.connection.exchange.session.close()

    def ready(self) -> datetime:
        """Synchronise the clock; the next order request must leave within `PATIENCE` of it."""
        self._synced_at = float("-inf")
        self._sync()
        now_ms = self._exchange.milliseconds() - self._exchange.options["timeDifference"]
        self.connection.wire.latest_ms = now_ms + PATIENCE // timedelta(milliseconds=1)
        return from_millis(now_ms)

    def submit(self, approved: ApprovedOrder) -> Order:
        """Send one approved order, once; the errors say what is proved of it."""
        request, what = approved.request, f"order {approved.request.client_order_id}"
        unified, asked = self.markets.unified(request.symbol), unify(request)
        require_exact(self._exchange, unified, request, what)
        (order,) = self._once(
            request.symbol,
            lambda: [
                self._exchange.create_order(
                    unified, asked.type, asked.side, asked.amount, asked.price, asked.params
                )
            ],
            what,
        )
        return order

    def submit_pair(self, stop: ApprovedOrder, target: ApprovedOrder) -> tuple[Order, Order]:
        """Send an OCO of two sells, once: whichever executes first cancels the other."""
        what, symbol = f"pair {stop.request.list_id}", stop.request.symbol
        parameters = self._named(symbol, pair_parameters(stop.request, target.request))
        found = self._once(
            symbol,
            lambda: self._parsed(
                symbol, self._exchange.privatePostOrderListOco(parameters)["orderReports"]
            ),
            what,
        )
        by_id = {order.client_order_id: order for order in found}
        try:
            return by_id[stop.request.client_order_id], by_id[target.request.client_order_id]
        except KeyError as error:
            raise _unreadable(what) from error

    def submit_entry(
        self, entry: ApprovedOrder, legs: Sequence[ApprovedOrder], kind: str
    ) -> tuple[Order, ...]:
        """Refuse: CCXT has no word for such lists; entries go alone and are protected after."""
        raise ExchangeRejected(
            f"entry {entry.request.list_id}: not sent, CCXT knows no list {kind} of "
            f"{len(legs) + 1} orders"
        )

    def replace(
        self, client_order_id: str, approved: ApprovedOrder, *, only_new: bool = False
    ) -> Order:
        """Cancel an open order and send another in one request, once; return the new one."""
        symbol = approved.request.symbol
        told = replace_parameters(client_order_id, approved.request, only_new=only_new)
        asked = self._named(symbol, told)
        (order,) = self._once(
            symbol,
            lambda: self._parsed(
                symbol, [self._exchange.privatePostOrderCancelReplace(asked)["newOrderResponse"]]
            ),
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
        symbol, latest_ms = stop.request.symbol, self.connection.wire.latest_ms
        asked = self._named(symbol, {"origClientOrderId": client_order_id})
        told = list[Decimal]()

        def cancel() -> Sequence[Any]:
            raw = self._exchange.privateDeleteOrder(asked)
            ended = raw.get("orderReports") or [raw]
            told.extend(Decimal(o["executedQty"]) for o in ended if o["status"] == "CANCELED")
            return ()

        with pair_only_after(stop.request.list_id):
            self._once(symbol, cancel, f"cancel of {client_order_id}")
            require_executed(told, executed)
        self.connection.wire.latest_ms = latest_ms
        return self.submit_pair(stop, target)

    def cancel(self, symbol: str, client_order_id: str) -> list[Order]:
        """Cancel an open order, and the one it cancels; return its last state alone.

        CCXT reads the answer to a cancel by the id of the cancel: the order is asked for instead.
        """
        unified, what = self.markets.unified(symbol), f"cancel of {client_order_id}"

        def cancel() -> Sequence[Any]:
            self._exchange.cancel_order("", unified, {"clientOrderId": client_order_id})
            return ()

        self._once(symbol, cancel, what)
        try:
            found = self.order(symbol, client_order_id)
        except (ExchangeUnavailable, ExchangeRejected) as error:
            raise OutcomeUnknown(f"{what}: done, but its last state is not known yet") from error
        if found is None:
            raise OutcomeUnknown(f"{what}: done, but the exchange does not show the order yet")
        return [found]

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None when the exchange shows none now."""
        unified, asked = self.markets.unified(symbol), {"clientOrderId": client_order_id}
        try:
            return self._read(
                lambda: self._remember(
                    symbol, self._exchange.fetch_order("", unified, dict(asked))
                ),
                f"order {client_order_id}",
            )
        except ExchangeRejected as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        unified = self.markets.unified(symbol) if symbol else None
        return self._orders(lambda: self._exchange.fetch_open_orders(unified), "open orders")

    def orders_since(self, symbol: str, since: datetime) -> list[Order]:
        """Return every order of `symbol` sent at or after `since`, open or not."""
        unified = self.markets.unified(symbol)
        return self._orders(
            lambda: self._exchange.fetch_orders(unified, to_millis(since), PAGE_ROWS),
            f"orders of {symbol}",
        )

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first, complete."""
        start = max(int(after_trade_id) + 1 if after_trade_id is not None else 0, 0)
        name_of = self._names.known if after_trade_id is None else self._client_id
        found: list[Fill] = []
        while True:
            page = self._trades(symbol, start)
            found += [parse_fill(row, symbol, name_of(symbol, str(row["order"]))) for row in page]
            if len(page) < PAGE_ROWS:
                return found
            start = int(page[-1]["id"]) + 1

    def account(self) -> Account:
        """Return the balances that are not zero."""
        return self._read(lambda: parse_account(self._exchange.fetch_balance()), "account")

    def own_filters(self, _symbols: Sequence[str]) -> Mapping[str, tuple[Filter, ...]]:
        """Return none: CCXT has no word for them, a refusal by the exchange names one."""
        return {}

    def key_permissions(self) -> dict[str, Any] | None:
        """Return what the key may do; None at a host that does not tell (test networks)."""
        if urlsplit(self._exchange.urls["api"]["public"]).hostname in WITHOUT_SAPI:
            return None
        told: dict[str, Any] = self._read(
            self._exchange.sapiGetAccountApiRestrictions, "key rights"
        )
        return told

    @property
    def _exchange(self) -> Any:
        return self.connection.exchange

    def _orders(self, request: Callable[[], Sequence[Any]], what: str) -> list[Order]:
        self.markets.all()
        return self._read(
            lambda: [self._remember(self.markets.ours(row["symbol"]), row) for row in request()],
            what,
        )

    def _trades(self, symbol: str, start: int) -> list[dict[str, Any]]:
        unified = self.markets.unified(symbol)
        rows: list[dict[str, Any]] = self._read(
            lambda: self._exchange.fetch_my_trades(unified, None, PAGE_ROWS, {"fromId": start}),
            f"trades of {symbol}",
        )
        return sorted((row for row in rows if int(row["id"]) >= start), key=lambda r: int(r["id"]))

    def _client_id(self, symbol: str, order_id: str) -> str:
        """Return our id of an order; trades carry only the exchange's, so it may have to ask."""
        what, unified = f"order {order_id} of {symbol}", self.markets.unified(symbol)
        get = partial(self._exchange.fetch_order, order_id, unified)
        ask = partial(self._read, lambda: parse_order(get(), symbol), what)
        return self._names.asked(symbol, order_id, ask)

    def _remember(self, symbol: str, raw: Any) -> Order:
        return self._names.remember(parse_order(raw, symbol))

    def _parsed(self, symbol: str, raws: Sequence[Any]) -> list[Any]:
        market = self.markets.market(symbol)
        return [self._exchange.parse_order(raw, market) for raw in raws]

    def _named(self, symbol: str, parameters: dict[str, str]) -> dict[str, str]:
        return {**parameters, "symbol": str(self.markets.market(symbol)["id"])}

    def _once(self, symbol: str, request: Callable[[], Sequence[Any]], what: str) -> list[Order]:
        """Make one request that changes orders, and read the orders in its answer."""
        from ccxt import BaseError

        if self.connection.wire.latest_ms is None:
            self._sync()
        sent = self.connection.wire.sent
        try:
            return [self._remember(symbol, raw) for raw in request()]
        except BaseError as error:
            if self.connection.wire.sent == sent:
                raise ExchangeRejected(f"{what}: not sent, CCXT refuses it: {error}") from error
            found = self.connection.failure(error)
            left = not never_left(error.__cause__ or error)
            inner = new_order_in((found.status and self._exchange.last_http_response) or "")
            self._heed((found.code, inner[0]))
            raise proved(what, found.status, (found.code, found.said), inner, left=left) from error
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise _unreadable(what) from error
        finally:
            self.connection.wire.latest_ms = None

    def _heed(self, codes: Sequence[int]) -> None:
        if WRONG_TIMESTAMP in codes:
            self._synced_at = float("-inf")
        if not FILTER_ERRORS.isdisjoint(codes):
            self.markets.forget()

    def _read(self, request: Callable[[], T], what: str) -> T:
        self._sync()
        try:
            return self.connection.read(request, what=what)
        except ExchangeRejected as error:
            if error.code != WRONG_TIMESTAMP:
                raise
        self._synced_at = float("-inf")
        self._sync()
        return self.connection.read(request, what=what)

    def _sync(self) -> None:
        if monotonic_seconds() - self._synced_at < SYNC_SECONDS:
            return
        self.connection.read(self._exchange.load_time_difference, what="server time")
        self._synced_at = monotonic_seconds()


def _unreadable(what: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"{what}: the answer cannot be read as an order; ask, never repeat")
