"""Recordings: their states, when they stop, the journal, and the files made of it."""
