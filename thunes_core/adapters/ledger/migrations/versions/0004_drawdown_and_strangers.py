"""The equity peak, foreign orders a person accepted, when an order came to rest, native trails.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from thunes_core.adapters.ledger.types import Moment, Money, Whole

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables and add both columns; when earlier orders came to rest is not known."""
    op.create_table(
        "peaks",
        Column("account", Text, primary_key=True, nullable=False),
        Column("equity", Money, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "accepted_orders",
        Column("symbol", Text, primary_key=True, nullable=False),
        Column("client_order_id", Text, primary_key=True, nullable=False),
        sqlite_strict=True,
    )
    op.add_column("orders", Column("rested_at", Moment))
    op.add_column("orders", Column("trailing_delta", Whole))


def downgrade() -> None:
    """Forget the peak, what was accepted, and both facts of orders."""
    op.drop_column("orders", "trailing_delta")
    op.drop_column("orders", "rested_at")
    op.drop_table("accepted_orders")
    op.drop_table("peaks")
