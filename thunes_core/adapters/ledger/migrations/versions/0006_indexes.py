"""Indexes of orders by book: what a tick asks takes as long after years as at first.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    op.create_index("ix_orders_book", "orders", ["strategy", "symbol", "bar"])
    newest = ["strategy", "symbol", "updated_at", "intended_at"]
    op.create_index("ix_orders_newest", "orders", newest)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_orders_newest", "orders")
    op.drop_index("ix_orders_book", "orders")
