"""The exchange's memory of orders and trades, with the questions clients ask of it.

Add here: another way to look orders or trades up. Keep out: changing them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from thunes_core.testnet.orders import ExchangeOrder, Trade

if TYPE_CHECKING:
    from thunes_core.testnet.amending import Amendment
    from thunes_core.testnet.prevention import PreventedMatch


class Records:
    """Orders and trades by symbol; ids count up from 1 for each symbol, as on the real exchange."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[int, ExchangeOrder]] = defaultdict(dict)
        self._trades: dict[str, list[Trade]] = defaultdict(list)
        self._by_client: dict[tuple[str, str], ExchangeOrder] = {}
        self._open: dict[tuple[str, int], ExchangeOrder] = {}
        self._allocations: dict[str, list[Trade]] = defaultdict(list)
        self.amendments: list[Amendment] = []
        self.prevented: list[PreventedMatch] = []
        self.executions = 0
        self._versions: dict[tuple[str, int], list[ExchangeOrder]] = defaultdict(list)

    def next_order_id(self, symbol: str) -> int:
        """Return the id of the next order."""
        return len(self._orders[symbol]) + 1

    def next_trade_id(self, symbol: str) -> int:
        """Return the id of the next trade."""
        return len(self._trades[symbol]) + 1

    def next_allocation_id(self, symbol: str) -> int:
        """Return the id of the next allocation."""
        return len(self._allocations[symbol])

    def add(self, order: ExchangeOrder) -> None:
        """Remember a new order."""
        self._orders[order.symbol][order.order_id] = order
        self._by_client[order.symbol, order.client_id] = order
        if order.is_open:
            self._open[order.symbol, order.order_id] = order

    def add_trade(self, order: ExchangeOrder, trade: Trade) -> None:
        """Remember a trade or allocation of `order`."""
        order.trades.append(trade)
        kept = self._trades if trade.allocation_id is None else self._allocations
        kept[order.symbol].append(trade)

    def rename(self, order: ExchangeOrder, client_id: str) -> None:
        """Give an order another client id."""
        if self._by_client.get((order.symbol, order.client_id)) is order:
            del self._by_client[order.symbol, order.client_id]
        order.client_id = client_id
        self._by_client[order.symbol, client_id] = order

    def settle(self, order: ExchangeOrder) -> None:
        """Forget that `order` is open when it no longer is."""
        if not order.is_open:
            self._open.pop((order.symbol, order.order_id), None)

    def keep_version(self, order: ExchangeOrder) -> None:
        """Keep what `order` is now, for readers that lag behind."""
        copy = replace(
            order,
            trades=list(order.trades),
            matches_prevented=list(order.matches_prevented),
        )
        self._versions[order.symbol, order.order_id].append(copy)

    def as_of(self, time_ms: int) -> Records:
        """Return what a reader saw who lags: orders and trades up to `time_ms`."""
        past = Records()
        for orders in self._orders.values():
            for order in orders.values():
                known = self._versions[order.symbol, order.order_id]
                seen = [v for v in known if v.update_ms <= time_ms]
                if seen:
                    past.add(seen[-1])
        for symbol, trades in self._trades.items():
            past._trades[symbol] = [t for t in trades if t.time_ms <= time_ms]
        for symbol, allocations in self._allocations.items():
            past._allocations[symbol] = [t for t in allocations if t.time_ms <= time_ms]
        past.amendments = [a for a in self.amendments if a.time_ms <= time_ms]
        past.prevented = [p for p in self.prevented if p.time_ms <= time_ms]
        return past

    def find(
        self, symbol: str, order_id: int | None, client_id: str | None
    ) -> ExchangeOrder | None:
        """Return the order with that id, else the newest with that client id, else None."""
        if order_id is None:
            return self._by_client.get((symbol, client_id or ""))
        found = self._orders[symbol].get(order_id)
        if found is not None and client_id is not None and found.client_id != client_id:
            return None
        return found

    def get(self, symbol: str, order_id: int) -> ExchangeOrder:
        """Return the order with that id, which must exist."""
        return self._orders[symbol][order_id]

    def open_orders(self, symbol: str | None = None) -> list[ExchangeOrder]:
        """Return open orders, oldest first."""
        wanted = [o for o in self._open.values() if symbol in (None, o.symbol)]
        return sorted(wanted, key=lambda o: (o.time_ms, o.symbol, o.order_id))

    def orders(self, symbol: str) -> list[ExchangeOrder]:
        """Return every order of `symbol`, oldest first."""
        return list(self._orders[symbol].values())

    def allocations(self, symbol: str) -> list[Trade]:
        """Return every allocation of `symbol`, oldest first."""
        return self._allocations[symbol]

    def trades(self, symbol: str) -> list[Trade]:
        """Return every trade of `symbol`, oldest first."""
        return self._trades[symbol]
