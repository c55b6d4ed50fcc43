"""Recordings: their states, when they stop, the journal they are kept in and the files made of it."""
