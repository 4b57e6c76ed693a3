"""Runs the migrations on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="siamrec_schema", transactional_ddl=False)
with context.begin_transaction():
    context.run_migrations()
