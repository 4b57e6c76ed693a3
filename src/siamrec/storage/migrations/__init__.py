"""Forward-only Alembic migrations; `siamrec.storage.Store` runs them under a lock."""
