"""Errors in the shape of Google's JSON APIs (contract B3, our choice), for every answer but 2xx.

Where clients know another shape, the application says so by the beginning of the path: also what
no route answers, a wrong method say, has the shape of its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import structlog
from aiohttp import web

from mediaserver.errors import LocalError, PeerError

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Shape = Callable[["ApiError"], bytes]
"""Makes the JSON body of an error."""

SHAPES: Final = web.AppKey("SHAPES", dict[str, Shape])
"""Shapes other than ours, by the beginning of the paths whose errors have them."""

CANONICAL: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        405: "UNIMPLEMENTED",
        408: "DEADLINE_EXCEEDED",
        409: "ALREADY_EXISTS",
        412: "FAILED_PRECONDITION",
        413: "INVALID_ARGUMENT",
        416: "OUT_OF_RANGE",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
)
"""The canonical code beside each HTTP status."""

_KEPT_HEADERS: Final = ("Allow", "Retry-After", "WWW-Authenticate", "Content-Range")


SENTENCE_HEADER: Final = "X-Mediaserver-Error"
"""Says what was wrong where the contract's body has no room for it (contract A4)."""

MAX_SENTENCE: Final = 256
"""Characters of it."""


class ApiError(PeerError):
    """A request that is answered with an error, and the headers that go with it.

    `code` is its canonical code, where that is not the usual one of the status.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(status, reason)
        self.headers = headers
        self.code = code


def not_found(what: str) -> ApiError:
    """Return the error for what is not there, or is not this project's to see."""
    return ApiError(404, f"{what} not found")


def canonical(status: int) -> str:
    """Return the canonical code for any HTTP status from 400 on."""
    return CANONICAL.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def error_body(status: int, message: str, code: str | None = None) -> bytes:
    """Return the JSON of an error. Escapes keep it ASCII, whatever a peer put into `message`."""
    name = code or canonical(status)
    error = {"code": status, "message": message, "status": name, "details": []}
    return json.dumps({"error": error}).encode()


def google_error(error: ApiError) -> bytes:
    """Be the `Shape` of all paths that have no other."""
    return error_body(error.status, error.reason, error.code)


def shape_of(request: web.Request) -> Shape:
    """Return the shape that errors have on the path of a request."""
    shapes = request.app.get(SHAPES, {})
    return next((shapes[start] for start in shapes if request.path.startswith(start)), google_error)


def error_response(error: ApiError, shape: Shape = google_error) -> web.Response:
    """Return the answer for an error."""
    response = web.Response(status=error.status, body=shape(error), content_type="application/json")
    for name, value in error.headers:
        # Added, not set: a 401 has one WWW-Authenticate for each scheme.
        response.headers.add(name, value)
    response.headers["Cache-Control"] = "no-store"
    if shape is not google_error and error.status != 422:
        response.headers[SENTENCE_HEADER] = _header_text(error.reason)
    return response


def _header_text(sentence: str) -> str:
    """Return a sentence as it may stand in a header field: one line of ASCII, not too long."""
    escaped = sentence.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in escaped)[:MAX_SENTENCE]


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer that gives away nothing of our inside."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        answer = ApiError(error.status, _sentence(error), _kept(error))
    except ApiError as error:
        answer = error
    except PeerError as error:
        answer = ApiError(error.status, error.reason)
    except LocalError as error:
        # The operator's sentence names files and hosts: it is for the log.
        log.error("request failed", route=route_name(request), why=str(error))
        answer = ApiError(
            503, "the service is not available now, try again", (("Retry-After", "5"),)
        )
    except ConnectionError:
        raise
    except Exception:
        log.exception("request failed", route=route_name(request))
        answer = ApiError(500, "internal error")
    return error_response(answer, shape_of(request))


def route_name(request: web.Request) -> str:
    """Return the route's pattern, for logs: unlike the path it holds no id and no signature."""
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical


def _sentence(error: web.HTTPException) -> str:
    if error.status == 404:
        return "there is nothing at this path"
    if error.status == 405:
        return "this method is not known here"
    return HTTPStatus(error.status).phrase.lower()


def _kept(error: web.HTTPException) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value) for name in _KEPT_HEADERS for value in error.headers.getall(name, ())
    )
