"""`prompt`: play something and collect digits (contract A8).

The parameters of speech recognition are understood and cannot be carried out: no engine for it can
be configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Prompt
from ..errors import Code, ScriptError
from .kinds import Anything, Keys, Number, OneOrMore, Place, Playable, Text, WebUrl, Whole
from .method import Method, Parameter

MAX_DIGITS: Final = 250


class Speech:
    """A parameter of speech recognition."""

    def read(self, value: Any, place: Place) -> Any:
        """Refuse it at its step."""
        if place.scope is None:
            return Anything().read(value, place)
        message = "no speech engine is configured; prompt collects digits"
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
    )
    return Prompt(sources=sources, **{name: values[name] for name in names})


PROMPT: Final = Method(
    name="prompt",
    parameters=(
        Parameter("play", OneOrMore(Playable()), required=True),
        Parameter("volume", Number(-40.0, 40.0), default=0.0),
        Parameter("say_voice", Text(), default="Polly.Salli"),
        Parameter("say_language", Text(), default="en-US"),
        Parameter("say_gender", Text(), default="female"),
        Parameter("max_digits", Whole(minimum=1, maximum=MAX_DIGITS), default=1),
        Parameter("terminators", Keys(), default=""),
        Parameter("digit_timeout", Number(above=0.0), default=5.0),
        Parameter("initial_timeout", Number(above=0.0), default=5.0),
        Parameter("speech_timeout", Speech()),
        Parameter("speech_end_timeout", Speech()),
        Parameter("speech_language", Speech()),
        Parameter("speech_hints", Speech()),
        Parameter("speech_engine", Speech()),
        Parameter("status_url", WebUrl()),
    ),
    build=_build,
)
