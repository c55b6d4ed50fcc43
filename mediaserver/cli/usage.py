"""A command that was called wrongly."""

from __future__ import annotations

from ..errors import LocalError


class UsageFault(LocalError):
    """What was typed cannot be meant: one sentence that names the option, and status 2."""
