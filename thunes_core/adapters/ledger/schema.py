"""The tables of the ledger: facts that cannot be had again.

Add here: a table or column, with a migration. Keep out: queries.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, Table, Text, UniqueConstraint

from thunes_core.adapters.ledger.types import Document, Flag, Moment, Money, Real, Whole

metadata = MetaData()


def _table(name: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **options)


def _money(*names: str) -> list[Column[Any]]:
    return [Column(name, Money, nullable=False) for name in names]


lease = _table(
    "lease",
    _text("account", primary_key=True),
    _text("holder"),
    Column("token", Whole, nullable=False),
    Column("expires", Moment, nullable=False),
)

trading_state = _table(
    "trading_state",
    _text("account", primary_key=True),
    _text("state"),
    _text("reason"),
    _text("author"),
    Column("since", Moment, nullable=False),
)

positions = _table(
    "positions",
    _text("strategy", primary_key=True),
    _text("symbol", primary_key=True),
    *_money("cash", "quantity", "dust", "average_price", "spent", "received", "realised", "fees"),
    *_money("bought", "bought_quote", "sold", "sold_quote"),
    Column("entry_time", Moment),
    Column("level", Real, nullable=False),
    Column("blocked", Flag, nullable=False),
    Column("last_target", Real, nullable=False),
    Column("high_water", Real, nullable=False),
    Column("last_bar", Moment),
    Column("cooldown_until", Moment),
    _text("parameters"),
)

decisions = _table(
    "decisions",
    Column("id", Whole, primary_key=True, autoincrement=True),
    _text("strategy"),
    _text("symbol"),
    _text("interval"),
    Column("bar", Moment, nullable=False),
    Column("target", Real, nullable=False),
    Column("previous_target", Real, nullable=False),
    _text("why"),
    _text("parameters"),
    _text("version"),
    _text("run_id"),
    _text("bars_fingerprint"),
    Column("decided_at", Moment, nullable=False),
    UniqueConstraint("strategy", "symbol", "bar"),
)

orders = _table(
    "orders",
    _text("client_order_id", primary_key=True),
    _text("strategy"),
    _text("symbol"),
    Column("bar", Moment, nullable=False),
    _text("side"),
    _text("type"),
    _text("leg"),
    _text("reason"),
    Column("reduces", Flag, nullable=False),
    Column("level", Real, nullable=False),
    *_money("quantity"),
    Column("price", Money),
    Column("stop_price", Money),
    Column("time_in_force", Text),
    _text("list_id", server_default=""),
    _text("status", index=True),
    _text("exchange_order_id"),
    *_money("executed_quantity", "executed_quote", "booked_quantity"),
    Column("settled", Flag, nullable=False, index=True),
    _text("code"),
    _text("why"),
    Column("looks", Whole, nullable=False),
    Column("intended_at", Moment, nullable=False, index=True),
    Column("submitted_at", Moment),
    Column("updated_at", Moment),
    Column("rested_at", Moment),
    Column("trailing_delta", Whole),
    Index("ix_orders_exchange", "symbol", "exchange_order_id"),
    Index("ix_orders_book", "strategy", "symbol", "bar"),
    Index("ix_orders_newest", "strategy", "symbol", "updated_at", "intended_at"),
)

fills = _table(
    "fills",
    _text("symbol", primary_key=True),
    _text("trade_id", primary_key=True),
    _text("exchange_order_id"),
    _text("client_order_id"),
    _text("strategy"),
    _text("side"),
    *_money("price", "quantity", "fee"),
    _text("fee_asset"),
    *_money("fee_quote"),
    Column("is_maker", Flag, nullable=False),
    Column("time", Moment, nullable=False, index=True),
)

trades = _table(
    "trades",
    Column("id", Whole, primary_key=True, autoincrement=True),
    _text("strategy"),
    _text("symbol"),
    Column("entry_time", Moment, nullable=False),
    Column("exit_time", Moment, nullable=False, index=True),
    *_money("entry_price", "exit_price", "quantity", "pnl", "fees"),
    _text("reason"),
    _text("parameters"),
)

equity = _table(
    "equity",
    Column("time", Moment, primary_key=True),
    *_money("equity", "cash", "exposure"),
)

day_starts = _table(
    "day_starts",
    Column("day", Moment, primary_key=True),
    *_money("equity"),
)

peaks = _table(
    "peaks",
    _text("account", primary_key=True),
    *_money("equity"),
)

accepted_orders = _table(
    "accepted_orders",
    _text("symbol", primary_key=True),
    _text("client_order_id", primary_key=True),
)

foreign_trades = _table(
    "foreign_trades",
    _text("symbol", primary_key=True),
    _text("trade_id", primary_key=True),
    _text("exchange_order_id"),
    _text("client_order_id"),
    _text("side"),
    *_money("price", "quantity", "fee"),
    _text("fee_asset"),
    Column("is_maker", Flag, nullable=False),
    Column("time", Moment, nullable=False),
)

cursors = _table(
    "cursors",
    _text("symbol", primary_key=True),
    _text("trade_id"),
)

balances = _table(
    "balances",
    _text("asset", primary_key=True),
    *_money("expected"),
)

venues = _table(
    "venues",
    _text("account", primary_key=True),
    _text("venue"),
)

arming = _table(
    "arming",
    _text("account", primary_key=True),
    _text("identity"),
    Column("until", Moment, nullable=False),
    *_money("max_notional"),
    _text("author"),
)

breaker = _table(
    "breaker",
    _text("account", primary_key=True),
    Column("failures", Whole, nullable=False),
    Column("opened_at", Moment),
)

champions = _table(
    "champions",
    _text("study", primary_key=True),
    _text("parameters"),
    _text("version"),
    _text("run_id"),
    Column("remembered_at", Moment, nullable=False),
)

versions = _table(
    "versions",
    _text("study", primary_key=True),
    _text("fingerprint", primary_key=True),
    _text("parameters"),
    _text("version"),
    _text("run_id"),
    Column("first_seen", Moment, nullable=False),
)

shadows = _table(
    "shadows",
    _text("study", primary_key=True),
    _text("parameters"),
    _text("version"),
    _text("run_id"),
    Column("since", Moment, nullable=False),
)

shadow_decisions = _table(
    "shadow_decisions",
    _text("study", primary_key=True),
    _text("version", primary_key=True),
    Column("bar", Moment, primary_key=True),
    Column("target", Real, nullable=False),
    *_money("price"),
    Column("recorded_at", Moment, nullable=False),
)

ticks = _table(
    "ticks",
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("server_time", Moment, nullable=False),
    Column("report", Document, nullable=False),
)

audit = _table(
    "audit",
    Column("seq", Whole, primary_key=True, autoincrement=False),
    Column("time", Moment, nullable=False),
    _text("event"),
    _text("body"),
    _text("previous"),
    _text("hash"),
)
