"""Run by alembic, inside the transaction that `store.migration` has opened."""

from __future__ import annotations

from alembic import context

from mediaserver.store.schema import metadata

# SQLite takes part too: its tables can be made and changed within a transaction.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
