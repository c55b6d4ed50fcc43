"""`POST .../recordings/{recording}:render`: a further file of a recording. Neither contract has it.

It is a custom method in the manner of the contract's own (contract B2), and answers with the
recording, in which the new file is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from aiohttp import web

from mediaserver.calls.rendition import NotRenderable, RenderingAlready, RenditionOrder
from mediaserver.recording.resource import Direction, Format, PostProcessing, Recording

from .body import read_object
from .errors import ApiError
from .recordings import RecordingRoutes, listed, read_query, shown

SAMPLE_RATES: Final = (8000, 16000, 48000)


class RenditionMaker(Protocol):
    """Whoever makes them."""

    async def render(self, recording: Recording, order: RenditionOrder) -> Recording:
        """Return the recording with one more file; raises `PeerError`, `LocalError`."""


class RenditionRoutes:
    """The handler. Keys are checked before it runs."""

    def __init__(self, recordings: RecordingRoutes, renditions: RenditionMaker) -> None:
        self._recordings = recordings
        self._renditions = renditions

    async def render(self, request: web.Request) -> web.Response:
        """Make a further file of a recording that has ended."""
        read_query(request, ())
        order = read_order(await read_object(request) if request.can_read_body else {})
        recording = await self._recordings.named(request)
        try:
            recording = await self._renditions.render(recording, order)
        except NotRenderable as error:
            raise ApiError(400, error.reason, code="FAILED_PRECONDITION") from error
        except RenderingAlready as error:
            raise ApiError(409, error.reason, code="ABORTED") from error
        return self._recordings.full(recording)


def read_order(body: Mapping[str, Any]) -> RenditionOrder:
    """Return what is asked for in a body; raises `ApiError` 400 that names what is wrong."""
    read = {
        "format": lambda value: _word(Format, value),
        "direction": lambda value: _word(Direction, value),
        "stereo": _flag,
        "postProcessing": _steps,
        "sampleRate": _sample_rate,
    }
    names = {"postProcessing": "post_processing", "sampleRate": "sample_rate"}
    order: dict[str, Any] = {}
    for name, value in body.items():
        if name not in read:
            raise ApiError(400, f"unknown field {shown(name)}: known are {listed(tuple(read))}")
        parse: Callable[[Any], Any] = read[name]
        try:
            order[names.get(name, name)] = None if value is None else parse(value)
        except ValueError as error:
            raise ApiError(400, f"{name} {error}") from None
    return RenditionOrder(**order)


def _word(kind: type[Format] | type[Direction] | type[PostProcessing], value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"must be one of {listed(tuple(word.value for word in kind))}") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _steps(value: Any) -> tuple[PostProcessing, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    return tuple(dict.fromkeys(_word(PostProcessing, step) for step in value))


def _sample_rate(value: Any) -> int:
    if type(value) is not int or value not in SAMPLE_RATES:
        raise ValueError(f"must be one of {listed(tuple(map(str, SAMPLE_RATES)))}")
    return value
