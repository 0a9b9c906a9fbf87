"""The verdict of a soak: the ledger against the exchange, to the last digit.

Add here: a comparison. Keep out: running the soak.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.backtest import metrics
from thunes_core.domain.orders import ZERO
from thunes_core.reporting.gates import Trial, live_gates, paper_gates

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.testnet.matching import Exchange


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found. `discrepancies` are sentences; empty when all figures agree."""

    orders: int
    fills: int
    lost: int
    doubled: int
    unknown_left: int
    discrepancies: list[str]
    audit_whole: bool


def gates_of(trial: Trial) -> dict[str, Any]:
    """Return the gates of S11 by name; whether the market was kind is not ours to answer."""
    both = (*paper_gates(trial), *live_gates(trial))
    return {gate.name: asdict(gate) for gate in both}


def verdict_of(ledger: Ledger, exchange: Exchange, idle: Decimal) -> Verdict:
    """Compare every order, fill, fee and balance; `idle` quote units were never allotted."""
    with exchange.lock:
        symbols = exchange.market.symbols
        resting = {order.client_id for order in exchange.records.open_orders()}
        theirs = [order for symbol in symbols for order in exchange.records.orders(symbol)]
        trades = [trade for symbol in symbols for trade in exchange.records.trades(symbol)]
        totals = {asset: exchange.wallet.total(asset) for asset in exchange.wallet.assets}
    fills = _fills(ledger)
    real = {(t.symbol, str(t.trade_id)): (t.price, t.quantity, t.fee, t.fee_asset) for t in trades}
    known = set(ledger.orders()["client_order_id"])
    missing_fills = real.keys() - fills.keys()
    unknown_orders = [order for order in theirs if order.client_id not in known]
    return Verdict(
        orders=len(theirs),
        fills=len(trades),
        lost=len(missing_fills) + len(unknown_orders),
        doubled=_doubled(ledger, theirs),
        unknown_left=sum(1 for order in ledger.open_orders() if order.status.is_in_flight),
        discrepancies=[
            *(
                f"fill {key} differs"
                for key in fills.keys() & real.keys()
                if fills[key] != real[key]
            ),
            *(f"fill {key} does not exist" for key in fills.keys() - real.keys()),
            *_resting(ledger, resting),
            *_money(ledger, totals, idle),
        ],
        audit_whole=ledger.verify_audit().whole,
    )


def _fills(ledger: Ledger) -> dict[tuple[str, str], tuple[Decimal, Decimal, Decimal, str]]:
    return {
        (row["symbol"], row["trade_id"]): (
            Decimal(row["price_text"]),
            Decimal(row["quantity_text"]),
            Decimal(row["fee_text"]),
            row["fee_asset"],
        )
        for row in ledger.fills().iter_rows(named=True)
    }


def _doubled(ledger: Ledger, theirs: list[Any]) -> int:
    """Count executed orders beyond the first of one id, and bars that bought more than was decided.

    The rest of an entry that was filled in part may be bought by a second order, and no more.
    """
    executed = [order.client_id for order in theirs if order.executed > 0]
    by_id = sum(count - 1 for count in Counter(executed).values())
    entries = ledger.orders().filter((pl.col("leg") == "entry") & (pl.col("booked_quantity") > 0))
    by_bar = entries.group_by("strategy", "symbol", "bar").agg(
        bought=pl.col("booked_quantity").sum(), asked=pl.col("quantity").max()
    )
    return by_id + by_bar.filter(pl.col("bought") > pl.col("asked") + 1e-9).height


def _resting(ledger: Ledger, theirs: set[str]) -> list[str]:
    """Compare what rests at the exchange with what the ledger believes to rest there."""
    ours = {one.client_order_id for one in ledger.open_orders() if not one.status.is_final}
    return [f"order {name} rests on one side only" for name in sorted(theirs ^ ours)]


def _money(ledger: Ledger, totals: dict[str, Decimal], idle: Decimal) -> list[str]:
    books = ledger.positions()
    held: dict[str, Decimal] = {}
    for book in books:
        base = book.symbol.removesuffix("USDT")
        held[base] = held.get(base, ZERO) + book.holding
    held["USDT"] = sum((book.cash for book in books), idle)
    expected = ledger.expected_balances()
    return [
        f"{asset}: books {held.get(asset)}, expected {expected.get(asset)}, account {total}"
        for asset, total in totals.items()
        if asset in held and not held[asset] == expected.get(asset) == total
    ]


def trial_of(
    ledger: Ledger, hours: float, checks: int, reconnections: int, unexplained: int
) -> Trial:
    """Return what a trial of so many hours showed, its profit and risk from the ledger."""
    equity, trades = ledger.equity(), ledger.trades()
    start = float(equity["equity"][0]) if equity.height else 0.0
    daily = equity.group_by_dynamic("time", every="1d").agg(pl.col("equity").last())["equity"]
    returns = metrics.daily_returns(daily.to_numpy(), start)
    return Trial(
        hours=hours,
        checks=checks,
        reconnections=reconnections,
        unexplained_errors=unexplained,
        pnl=float(equity["equity"][-1]) - start,
        sharpe=metrics.sharpe(returns),
        max_drawdown=metrics.max_drawdown(equity["equity"].to_numpy(), start),
        win_rate=metrics.ratio(int((trades["pnl"] > 0).sum()), trades.height).item(),
    )
