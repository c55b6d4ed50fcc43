"""`prompt`: play something and collect digits (contract A8).

The parameters of speech recognition are understood and cannot be carried out: no engine for it can
be configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..actions import Prompt
from ..errors import Code, ScriptError
from .kinds import Kind, ListOf, Number, OneOrMore, Place, Whole
from .method import Method, Parameter
from .texts import Keys, Playable, Text, WebUrl

MAX_DIGITS: Final = 250


@dataclass(frozen=True, slots=True)
class Speech:
    """A parameter of speech recognition."""

    kind: Kind

    def read(self, value: Any, place: Place) -> Any:
        """Refuse it at its step."""
        if place.scope is None:
            return self.kind.read(value, place)
        message = "no speech recognition is configured; prompt collects digits"
        raise ScriptError(Code.METHOD_EXECUTE_FAILED, place.path, message)


def _build(values: Mapping[str, Any]) -> Prompt:
    sources = values["play"]
    names = (
        "max_digits",
        "terminators",
        "digit_timeout",
        "initial_timeout",
        "volume",
        "status_url",
        "say_voice",
        "say_language",
        "say_gender",
    )
    return Prompt(sources=sources, **{name: values[name] for name in names})


PROMPT: Final = Method(
    name="prompt",
    parameters=(
        Parameter("play", OneOrMore(Playable()), required=True),
        Parameter("volume", Number(-40.0, 40.0), default=0.0),
        Parameter("say_voice", Text()),
        Parameter("say_language", Text()),
        Parameter("say_gender", Text()),
        Parameter("max_digits", Whole(minimum=1, maximum=MAX_DIGITS), default=1),
        Parameter("terminators", Keys(), default=""),
        Parameter("digit_timeout", Number(above=0.0), default=5.0),
        Parameter("initial_timeout", Number(above=0.0), default=5.0),
        Parameter("speech_timeout", Speech(Number()), used=False),
        Parameter("speech_end_timeout", Speech(Number()), used=False),
        Parameter("speech_language", Speech(Text()), used=False),
        Parameter("speech_hints", Speech(ListOf(Text(), minimum=0)), used=False),
        Parameter("speech_engine", Speech(Text()), used=False),
        Parameter("status_url", WebUrl()),
    ),
    build=_build,
)
