"""HTTP in both directions: the recordings API, callbacks to applications, fetches for scripts.

What comes in is answered by `server` and the routes it mounts. What goes out passes `guard`, which
decides by address where a connection may go. Callbacks wait in an outbox that `delivery` empties.
"""
