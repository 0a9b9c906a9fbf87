"""Arming of the account, and the breaker that all processes share.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from thunes_core.adapters.ledger.types import Moment, Money, Whole

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "arming",
        Column("account", Text, primary_key=True, nullable=False),
        Column("identity", Text, nullable=False),
        Column("until", Moment, nullable=False),
        Column("max_notional", Money, nullable=False),
        Column("author", Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "breaker",
        Column("account", Text, primary_key=True, nullable=False),
        Column("failures", Whole, nullable=False),
        Column("opened_at", Moment),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Drop both: the account is disarmed."""
    op.drop_table("breaker")
    op.drop_table("arming")
