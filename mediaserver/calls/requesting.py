"""`request`: what a script asks over HTTP, and the variables its answer becomes (contract A8)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..errors import PeerError
from ..swml.actions import HttpRequest
from ..swml.limits import MAX_REQUEST_BODY

if TYPE_CHECKING:
    from .call import Call

LONGEST: Final = 60.0
"""Seconds a request may take, whatever its script says."""


async def run_request(call: Call, action: HttpRequest) -> dict[str, Any]:
    """Make the request; return its variables. What is answered with an error has failed."""
    seconds = min(action.timeout or LONGEST, LONGEST)
    work = call.services.requester.request(
        action.method,
        action.url,
        headers=action.headers,
        body=action.body,
        max_bytes=MAX_REQUEST_BODY,
        timeout=seconds,
    )
    try:
        answer = await call.unless_over(work)
    except PeerError as error:
        call.log.warning("request failed", error=error.reason)
        return {"request_url": action.url, "request_result": "failed", "return_value": "failed"}
    result = "success" if answer.status < 400 else "failed"
    body = answer.body.decode("utf-8", "replace")
    variables: dict[str, Any] = {
        "request_url": action.url,
        "request_result": result,
        "return_value": result,
        "request_response_code": answer.status,
        "request_response_headers": dict(answer.headers),
        "request_response_body": body,
    }
    if action.save_variables:
        variables["request_response"] = _fields(body)
    return variables


def _fields(body: str) -> dict[str, Any]:
    """Return the fields of a JSON object, none of anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
