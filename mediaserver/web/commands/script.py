"""The document that a command names, or has in it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.source import Source
from mediaserver.swml.document import Document, load
from mediaserver.swml.errors import ScriptError

from .fault import SCRIPT

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A SWML document.",
    "properties": {
        "version": {"const": "1.0.0"},
        "sections": {"type": "object", "required": ["main"]},
    },
    "required": ["sections"],
    "additionalProperties": False,
}


def document(value: Any) -> Document:
    """Return the document that stands in a command, an object or a text in JSON or YAML.

    Raises what pydantic understands, with the place of the fault in it.
    """
    try:
        if isinstance(value, dict):
            return load(json.dumps(value), content_type="application/json", allow_files=False)
        if isinstance(value, str):
            return load(value, allow_files=False)
    except ScriptError as error:
        told = {"path": error.path, "message": f"{error.message} ({error.code})"}
        raise PydanticCustomError(SCRIPT, "{path}: {message}", told) from None
    raise ValueError("must be a SWML document: an object, or a text in JSON or YAML")


Inline = Annotated[
    Document,
    PlainValidator(document),
    WithJsonSchema(
        {
            "description": "A SWML document: an object, or a text in JSON or YAML.",
            "oneOf": [SCHEMA, {"type": "string"}],
        }
    ),
]
"""Is checked as a whole: a fault in it names its place."""


def source(
    url: str | None,
    inline: Document | None,
    fallback_url: str | None = None,
    status_url: str | None = None,
    method: Literal["GET", "POST"] = "POST",
) -> Source:
    """Return where the document is; `status_url` hears of its faults."""
    if inline is not None:
        return Source(inline, status_url)
    assert url is not None
    return Source(DocumentSource(url=url, method=method, fallback_url=fallback_url), status_url)
