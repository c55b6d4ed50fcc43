"""A server without sockets and all whom it talks to, in time that jumps (see `town`)."""
