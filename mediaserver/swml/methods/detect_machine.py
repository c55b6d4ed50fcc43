"""`detect_machine`: who answered (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import DetectMachine
from ..errors import Code, ScriptError, member
from .kinds import Choice, Flag, Number, Whole
from .method import Method, Parameter
from .texts import WebUrl, Words

DETECTORS: Final = ("amd", "fax")


def _rule(given: Mapping[str, Any], path: str) -> None:
    if given.get("wait") is False and "status_url" not in given:
        missing = member(path, "status_url")
        message = "must be given where nobody waits for the result"
        raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, message)


def _build(values: Mapping[str, Any]) -> DetectMachine:
    ready = values["machine_ready_timeout"]
    rest = {name: value for name, value in values.items() if name != "machine_ready_timeout"}
    return DetectMachine(
        machine_ready_timeout=values["end_silence_timeout"] if ready is None else ready, **rest
    )


DETECT_MACHINE: Final = Method(
    name="detect_machine",
    parameters=(
        Parameter("detect_message_end", Flag(), default=False),
        Parameter("detectors", Words(DETECTORS), default=frozenset(DETECTORS)),
        Parameter("end_silence_timeout", Number(), default=1.0),
        Parameter("initial_timeout", Number(), default=4.5),
        Parameter("machine_ready_timeout", Number()),
        Parameter("machine_voice_threshold", Number(), default=1.25),
        Parameter("machine_words_threshold", Whole(minimum=0), default=6),
        Parameter("status_url", WebUrl()),
        Parameter("timeout", Number(), default=30.0),
        Parameter("tone", Choice(("CED", "CNG")), default="CED"),
        Parameter("wait", Flag(), default=True),
    ),
    rule=_rule,
    build=_build,
)
