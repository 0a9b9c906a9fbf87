"""Orders that cancel each other share a list id.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; orders so far belong to no list."""
    op.add_column("orders", Column("list_id", Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Forget which orders belong together."""
    op.drop_column("orders", "list_id")
