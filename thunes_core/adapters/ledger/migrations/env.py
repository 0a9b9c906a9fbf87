"""Run migrations on the connection that the ledger hands over; Alembic loads this file.

Add here: nothing but what Alembic asks for. Keep out: the schema (see `versions`).
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
