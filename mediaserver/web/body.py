"""A JSON object as a request's body: bounded in size, in time and in what it may mean."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, NoReturn

from aiohttp import HttpVersion11, web

from .errors import ApiError

PATIENCE: Final = 15.0
"""Seconds in which the whole body must come."""

MAX_DEPTH: Final = 36
"""Objects and lists in one another; a command has four around the document it may have in it."""

_TOO_DEEP: Final = f"the body has more than {MAX_DEPTH} objects and lists in one another"


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; raises `ApiError` 400, 408, 413, 415.

    A browser can be led to send a form or plain text here with the keys it remembers, but not,
    without our leave, JSON: so it has to be called that.
    """
    if request.content_type != "application/json" or request.headers.get("Content-Encoding"):
        raise ApiError(415, "the body must be JSON, with Content-Type: application/json")
    await _invite(request)
    try:
        async with asyncio.timeout(PATIENCE):
            octets = await request.read()
    except TimeoutError:
        raise ApiError(408, "the body took too long") from None
    return parse_object(octets)


def parse_object(octets: bytes) -> dict[str, Any]:
    """Return what a JSON text means; raises `ApiError` 400 when that is no object, or doubtful."""
    try:
        text = octets.decode()  # not in whatever other encoding `json` would find
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        # An escape can make half a character, which is none in the database or in an answer.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        what = (
            f"{error.msg} at line {error.lineno}, column {error.colno}" if text else "it is empty"
        )
        raise ApiError(400, f"the body is not JSON: {what}") from None
    except UnicodeError:
        raise ApiError(400, "the body is not UTF-8 text") from None
    except RecursionError:
        raise ApiError(400, _TOO_DEEP) from None
    except _Doubtful as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    except ValueError:  # how Python takes a number of thousands of digits
        raise ApiError(400, "the body has a number that is too long") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object, as {...}")
    if _depth(value) > MAX_DEPTH:
        raise ApiError(400, _TOO_DEEP)
    return value


class _Doubtful(ValueError):
    """What Python's reader takes and others may take otherwise."""


async def _invite(request: web.Request) -> None:
    """Ask for a body that its sender keeps back until then (RFC 9110 10.1.1)."""
    expects = request.headers.get("Expect", "").lower() == "100-continue"
    if expects and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _depth(value: Any) -> int:
    """Return how many objects and lists are in one another at the deepest place."""
    depth = 0
    level = [value]
    while level := [outer for outer in level if isinstance(outer, dict | list)]:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a name that is there twice would mean one thing here, another there."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Doubtful("an object has a name twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise _Doubtful(f"{name} is no number")
