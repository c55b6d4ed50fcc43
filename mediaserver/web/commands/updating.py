"""`update` and `calling.transfer`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, PlainValidator, StringConstraints, WithJsonSchema, model_validator

from mediaserver.calls.commands.updating import FinalStatus, TransferCall, UpdateCall
from mediaserver.calls.dialing import dialled_number
from mediaserver.calls.document_source import DocumentSource, is_url
from mediaserver.calls.source import Source
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.source import web_url

from .fault import absent, conflict
from .part import MAX_CALL_ID, Params, WebUrl
from .party import callee, is_sip
from .script import SCHEMA, Inline, document, source


class Update(Params):
    """Carries another document out on a call, ends it, or has its states told elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("url", "swml", "status", "status_url")]
        }
    )

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CALL_ID)] | None = None
    """The call; it may as well stand beside `command`."""
    url: WebUrl | None = None
    swml: Inline | None = None
    fallback_url: WebUrl | None = None
    status: Literal["canceled", "completed"] | None = None
    status_url: WebUrl | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.url is not None and self.swml is not None:
            raise conflict("swml", "cannot be given together with url")
        if not any((self.url, self.swml, self.status, self.status_url)):
            raise absent("url", "is required, or swml, status or status_url")
        return self

    def order(self) -> UpdateCall:
        """See `Params.order`."""
        following = None
        if self.url is not None or self.swml is not None:
            following = source(self.url, self.swml, self.fallback_url, self.status_url)
        status = None if self.status is None else FinalStatus(self.status)
        return UpdateCall(source=following, status=status, status_url=self.status_url)


def _destination(value: Any) -> Source:
    """Return what a call is transferred to: a document, or one that connects it on."""
    if isinstance(value, dict):
        return Source(document(value))
    if not isinstance(value, str):
        raise ValueError("must be a number, a SIP URI, the URL of a SWML document, or a document")
    if is_url(value):
        url = web_url(value)
        if url is None:
            raise ValueError("must be a valid http or https url")
        return Source(DocumentSource(url=url))
    if value.lstrip().startswith("{"):
        return Source(document(value))
    return Source(_connecting(value))


def _connecting(to: str) -> Any:
    """Return the document that connects a call on."""
    address = callee(to) if is_sip(to) else dialled_number(callee(to))
    steps = {"sections": {"main": [{"connect": {"to": address}}]}}
    try:
        return load(json.dumps(steps), allow_files=False)
    except ScriptError as error:
        raise ValueError(error.message) from None


Destination = Annotated[
    Source,
    PlainValidator(_destination),
    WithJsonSchema(
        {
            "description": "A number, a SIP URI, the URL of a SWML document, or a document.",
            "oneOf": [{"type": "string", "minLength": 1}, SCHEMA],
        }
    ),
]


class Transfer(Params):
    """Connects a call to somebody else, or carries another document out on it."""

    dest: Destination

    def order(self) -> TransferCall:
        """See `Params.order`."""
        return TransferCall(source=self.dest)
