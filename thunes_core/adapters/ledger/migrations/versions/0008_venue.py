"""The venue that a ledger was begun with.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the next tick of an earlier ledger names its venue."""
    op.create_table(
        "venues",
        Column("account", Text, primary_key=True, nullable=False),
        Column("venue", Text, nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("venues")
