"""The other side of a test: talkers, callers, receivers of callbacks."""
