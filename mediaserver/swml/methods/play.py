"""`play`: audio from URLs and files, tones, silence (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Play
from .kinds import Flag, ListOf, Number
from .method import Method, Parameter
from .texts import Playable, Text, WebUrl


def _build(values: Mapping[str, Any]) -> Play:
    rest = {name: value for name, value in values.items() if name not in {"url", "urls"}}
    return Play(sources=values["urls"] or (values["url"],), **rest)


PLAY: Final = Method(
    name="play",
    parameters=(
        Parameter("url", Playable()),
        Parameter("urls", ListOf(Playable())),
        Parameter("volume", Number(-40.0, 40.0), default=0.0),
        Parameter("auto_answer", Flag(), default=True),
        Parameter("status_url", WebUrl()),
        Parameter("say_voice", Text()),
        Parameter("say_language", Text()),
        Parameter("say_gender", Text()),
    ),
    exactly_one=("url", "urls"),
    build=_build,
)
