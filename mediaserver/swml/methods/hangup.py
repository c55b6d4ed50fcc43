"""`hangup`: end the call, or refuse it before it was answered (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Hangup
from .kinds import Choice
from .method import Method, Parameter


def _build(values: Mapping[str, Any]) -> Hangup:
    return Hangup(**values)


HANGUP: Final = Method(
    name="hangup",
    parameters=(Parameter("reason", Choice(("hangup", "busy", "decline")), default="hangup"),),
    build=_build,
)
