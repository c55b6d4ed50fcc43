"""What a route takes and gives, as its clients see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]
"""JSON Schema, 2020-12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the query."""

    name: str
    schema: Schema
    description: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: what it says, and in which form."""

    description: str
    model: type[BaseModel] | None = None
    """Of its JSON; None: there is none, or `content` says."""
    content: Mapping[str, Schema] = field(default_factory=dict)
    """Other forms, by media type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route does for its clients."""

    id: str
    summary: str
    tag: str
    permissions: tuple[str, ...] = ()
    """What a key must be allowed to; none: no key is needed."""
    link: bool = False
    """Whether a signed link opens it as well."""
    query: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    """Of the JSON it takes."""
    commands: bool = False
    """Whether it takes one of the commands."""
    answers: Mapping[str, Answer]
    """By status."""


STRING: Final[Schema] = MappingProxyType({"type": "string"})
BINARY: Final[Schema] = MappingProxyType({"type": "string", "format": "binary"})


def one_of(*values: str) -> Schema:
    """Return the schema of a word out of some."""
    return {"type": "string", "enum": list(values)}


def whole(minimum: int, default: int) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": minimum, "maximum": 2**31 - 1, "default": default}
