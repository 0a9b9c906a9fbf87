"""Trades that are not ours, until a person accepts them.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from thunes_core.adapters.ledger.types import Flag, Moment, Money

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "foreign_trades",
        Column("symbol", Text, primary_key=True, nullable=False),
        Column("trade_id", Text, primary_key=True, nullable=False),
        Column("exchange_order_id", Text, nullable=False),
        Column("client_order_id", Text, nullable=False),
        Column("side", Text, nullable=False),
        Column("price", Money, nullable=False),
        Column("quantity", Money, nullable=False),
        Column("fee", Money, nullable=False),
        Column("fee_asset", Text, nullable=False),
        Column("is_maker", Flag, nullable=False),
        Column("time", Moment, nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Forget them: what they moved is a discrepancy again."""
    op.drop_table("foreign_trades")
