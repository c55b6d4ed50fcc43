"""`tap`, `stream` and what ends them (contract A8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..actions import StopStream, StopTap, Stream, StreamTarget, Tap
from ..limits import MAX_TOKEN
from .addresses import SocketUrl, TapUri
from .kinds import DEFERRED, Choice, Flag, Place, Whole
from .method import Method, Parameter
from .table import Table
from .texts import Line, Texts, WebUrl

_CODEC: Final = re.compile(r"(?:PCMU|PCMA|G722|L16)(?:@[0-9]{4,6}h)?(?:@[0-9]{1,3}i)?")


@dataclass(frozen=True, slots=True)
class StreamCodec:
    """A codec of a stream that is a party of its own."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it as it is written."""
        must = "must be PCMU, PCMA, G722 or L16, perhaps with rate and ptime: L16@24000h@40i"
        given = place.text(value, must)
        if given is not DEFERRED and not _CODEC.fullmatch(given):
            raise place.refuse(must)
        return given


METHOD: Final = Parameter("status_url_method", Choice(("GET", "POST")), default="POST")

STREAM_PARAMETERS: Final = (
    Parameter("name", Line()),
    Parameter("codec", StreamCodec()),
    Parameter("realtime", Flag(), default=False),
    METHOD,
    Parameter("authorization_bearer_token", Line(MAX_TOKEN)),
    Parameter("custom_parameters", Texts(), default={}),
)
"""Of a stream that is a party of its own, beside its URL and its status URL."""

_TARGET: Final = Table(
    "a stream",
    (
        Parameter("url", SocketUrl(), required=True),
        Parameter("status_url", WebUrl()),
        *STREAM_PARAMETERS,
    ),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A stream that is a party of its own."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a StreamTarget."""
        values = _TARGET.read(value, place)
        return DEFERRED if place.scope is None else StreamTarget(**values)


def _tap(values: Mapping[str, Any]) -> Tap:
    rest = {name: value for name, value in values.items() if name != "rtp_ptime"}
    return Tap(ptime=values["rtp_ptime"], **rest)


def _stop_tap(values: Mapping[str, Any]) -> StopTap:
    return StopTap(**values)


def _stream(values: Mapping[str, Any]) -> Stream:
    return Stream(**values)


def _stop_stream(values: Mapping[str, Any]) -> StopStream:
    return StopStream(**values)


TAP: Final = Method(
    name="tap",
    parameters=(
        Parameter("uri", TapUri(), required=True),
        Parameter("control_id", Line()),
        Parameter("direction", Choice(("speak", "listen", "both")), default="speak"),
        Parameter("codec", Choice(("PCMU", "PCMA")), default="PCMU"),
        Parameter("rtp_ptime", Whole(minimum=10, maximum=120, every=10), default=20),
        Parameter("status_url", WebUrl()),
    ),
    build=_tap,
)
STOP_TAP: Final = Method(
    name="stop_tap",
    parameters=(Parameter("control_id", Line()),),
    build=_stop_tap,
)
STREAM: Final = Method(
    name="stream",
    parameters=(
        Parameter("url", SocketUrl(), required=True),
        Parameter("control_id", Line()),
        Parameter("name", Line()),
        Parameter(
            "track",
            Choice(("inbound_track", "outbound_track", "both_tracks")),
            default="inbound_track",
        ),
        Parameter("codec", Line()),
        Parameter("status_url", WebUrl()),
        METHOD,
        Parameter("authorization_bearer_token", Line(MAX_TOKEN)),
        Parameter("custom_parameters", Texts(), default={}),
    ),
    build=_stream,
)
STOP_STREAM: Final = Method(
    name="stop_stream",
    parameters=(Parameter("control_id", Line()),),
    build=_stop_stream,
)
