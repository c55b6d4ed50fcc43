"""`answer`: answer the call, and say how long it may last (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Answer
from .kinds import Whole
from .method import Method, Parameter
from .texts import Names, Text

CODECS: Final = ("PCMU", "PCMA", "G722", "G729", "AMR-WB", "OPUS", "VP8", "H264")
"""What the contract lets a script name, spoken here or not."""


def _build(values: Mapping[str, Any]) -> Answer:
    return Answer(**values)


ANSWER: Final = Method(
    name="answer",
    parameters=(
        Parameter("max_duration", Whole(minimum=1), default=14_400),
        Parameter("codecs", Names(CODECS), default=()),
        Parameter("username", Text(), used=False),
        Parameter("password", Text(), used=False),
    ),
    build=_build,
)
