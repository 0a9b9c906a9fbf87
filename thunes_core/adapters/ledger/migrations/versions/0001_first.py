"""The first schema of the ledger.

Add here: nothing; a released step never changes.
Keep out: later changes (the next number).
"""

from __future__ import annotations

from alembic import op

from thunes_core.adapters.ledger.schema import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Refuse: a ledger is never thrown away by a migration."""
    raise NotImplementedError("the first schema has nothing before it")
