"""What may go wrong with the bench itself."""

from __future__ import annotations


class BenchError(Exception):
    """The bench cannot go on; the text says why in one sentence."""
