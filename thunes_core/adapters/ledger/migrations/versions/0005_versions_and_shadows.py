"""Every parameter set that ever traded, and candidates that decide on paper before promotion.

Add here: nothing; a later migration changes it. Keep out: the present schema (`schema.py`).
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from thunes_core.adapters.ledger.types import Moment, Money, Real

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def upgrade() -> None:
    """Create the tables; a champion is kept among the versions when it is next seen."""
    op.create_table(
        "versions",
        Column("study", Text, primary_key=True, nullable=False),
        Column("fingerprint", Text, primary_key=True, nullable=False),
        *_texts("parameters", "version", "run_id"),
        Column("first_seen", Moment, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "shadows",
        Column("study", Text, primary_key=True, nullable=False),
        *_texts("parameters", "version", "run_id"),
        Column("since", Moment, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "shadow_decisions",
        Column("study", Text, primary_key=True, nullable=False),
        Column("version", Text, primary_key=True, nullable=False),
        Column("bar", Moment, primary_key=True, nullable=False),
        Column("target", Real, nullable=False),
        Column("price", Money, nullable=False),
        Column("recorded_at", Moment, nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("shadow_decisions", "shadows", "versions"):
        op.drop_table(name)
