"""What outlives the process: recordings, calls and the callbacks not yet delivered.

One SQLite file in the data directory (or another database that SQLAlchemy can reach). Every
change of state is written together with the announcements it causes, in one transaction: after a
crash either both are there or neither. Instants are integer microseconds since 1970-01-01 UTC.
"""
