"""Errors in the shape of Google's JSON APIs (contract B3, our choice), for every answer but 2xx."""

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


class ApiError(PeerError):
    """A request that is answered with an error, and the headers that go with it."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status, reason)
        self.headers = headers


def not_found(what: str) -> ApiError:
    """Return the error for what is not there, or is not this project's to see."""
    return ApiError(404, f"{what} not found")


def canonical(status: int) -> str:
    """Return the canonical code for any HTTP status from 400 on."""
    return CANONICAL.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def error_body(status: int, message: str) -> bytes:
    """Return the JSON of an error. Escapes keep it ASCII, whatever a peer put into `message`."""
    error = {"code": status, "message": message, "status": canonical(status), "details": []}
    return json.dumps({"error": error}).encode()


def error_response(
    status: int, message: str, headers: tuple[tuple[str, str], ...] = ()
) -> web.Response:
    """Return the answer for an error."""
    response = web.Response(
        status=status, body=error_body(status, message), content_type="application/json"
    )
    for name, value in headers:
        # Added, not set: a 401 has one WWW-Authenticate for each scheme.
        response.headers.add(name, value)
    response.headers["Cache-Control"] = "no-store"
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer that gives away nothing of our inside."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(error.status, _sentence(error), _kept(error))
    except ApiError as error:
        return error_response(error.status, error.reason, error.headers)
    except PeerError as error:
        return error_response(error.status, error.reason)
    except LocalError as error:
        # The operator's sentence names files and hosts: it is for the log.
        log.error("request failed", route=route_name(request), why=str(error))
        return error_response(
            503, "the service is not available now, try again", (("Retry-After", "5"),)
        )
    except ConnectionError:
        raise
    except Exception:
        log.exception("request failed", route=route_name(request))
        return error_response(500, "internal error")


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
