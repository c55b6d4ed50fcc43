"""The document as a whole, OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import mediaserver

from ..commands import COMMANDS
from ..commands.dialling import Dial
from ..commands.part import MAX_CALL_ID, Params
from ..commands.updating import Update
from .operation import Answer, Operation

_PLACE: Final = re.compile(r"\{(\w+)\}")
_REF: Final = "#/components/schemas/{model}"
_KEY: Final[tuple[dict[str, list[str]], ...]] = ({"key": []}, {"basic": []})
_LINK: Final[tuple[dict[str, list[str]], ...]] = ({"link": []},)

_CALL_ID: Final = {
    "type": "string",
    "maxLength": MAX_CALL_ID,
    "description": "The call.",
}


class DescribedRoute(Protocol):
    """A route of the application."""

    @property
    def path(self) -> str:
        """With names in braces."""

    @property
    def method(self) -> str:
        """Such as GET."""

    @property
    def operation(self) -> Operation:
        """What it does."""


def openapi_document(routes: Iterable[DescribedRoute], public_url: str) -> dict[str, Any]:
    """Return the document of all routes."""
    routes = list(routes)
    refs, schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mediaserver",
            "version": mediaserver.__version__,
            "description": "Recordings, and the calls they are made of.",
        },
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Any user name; the password is the key.",
                },
                "link": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "Of a link that was handed out, with the rest of its query.",
                },
            },
        },
    }


Refs = Mapping[type[Any], dict[str, Any]]


def _schemas(routes: list[DescribedRoute]) -> tuple[Refs, dict[str, Any]]:
    """Return where the schema of each model is, and all schemas by name."""
    answers = {
        answer.model: None
        for route in routes
        for answer in route.operation.answers.values()
        if answer.model is not None
    }
    bodies = {route.operation.body: None for route in routes if route.operation.body is not None}
    taken: list[tuple[type[BaseModel], Any]] = [(model, "serialization") for model in answers]
    taken += [(model, "validation") for model in [*bodies, *COMMANDS.values()]]
    found, document = models_json_schema(taken, ref_template=_REF)
    refs: dict[type[Any], dict[str, Any]] = {model: schema for (model, _), schema in found.items()}
    schemas: dict[str, Any] = document["$defs"]
    commands = {_named(name): _command(name, kind, refs[kind]) for name, kind in COMMANDS.items()}
    wanted = _reached([*refs.values(), *commands.values()], schemas)
    return refs, {**{name: schemas[name] for name in sorted(wanted)}, **commands}


def _named(command: str) -> str:
    """Return the name of the schema of a command."""
    return f"Command.{command}"


def _reached(starts: Iterable[Any], schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that others lead to: not those of what is made of them."""
    reached: set[str] = set()
    waiting: list[Any] = list(starts)
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in reached:
                reached.add(name)
                waiting.append(schemas[name])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return reached


def _command(name: str, kind: type[Params], params: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body with one command in it."""
    required = ["command"]
    properties: dict[str, Any] = {"command": {"const": name}, "params": params}
    if any(field.is_required() for field in kind.model_fields.values()):
        required.append("params")
    if kind is not Dial:
        properties = {"id": _CALL_ID, **properties}
        if kind is not Update:
            required.insert(0, "id")
    return {
        "type": "object",
        "description": kind.__doc__,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _operation(route: DescribedRoute, refs: Refs) -> dict[str, Any]:
    operation = route.operation
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _security(operation),
        "responses": {
            status: _answer(answer, refs) for status, answer in operation.answers.items()
        },
    }
    if operation.permissions:
        described["description"] = f"Needs {' and '.join(map(_code, operation.permissions))}."
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACE.findall(route.path)
    ]
    for parameter in operation.query:
        described_parameter: dict[str, Any] = {
            "name": parameter.name, "in": "query", "schema": dict(parameter.schema),
        }  # fmt: skip
        if parameter.description:
            described_parameter["description"] = parameter.description
        parameters.append(described_parameter)
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _json(refs[operation.body], required=False)
    if operation.commands:
        described["requestBody"] = _json(_commands(), required=True)
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if not operation.permissions:
        return []
    return [*_KEY, *_LINK] if operation.link else [*_KEY]


def _commands() -> dict[str, Any]:
    """Return the schema of any command."""
    places = {name: _REF.format(model=_named(name)) for name in COMMANDS}
    return {
        "oneOf": [{"$ref": place} for place in places.values()],
        "discriminator": {"propertyName": "command", "mapping": places},
    }


def _json(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _answer(answer: Answer, refs: Refs) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    content: dict[str, Any] = {
        kind: {"schema": dict(schema)} for kind, schema in answer.content.items()
    }
    if answer.model is not None:
        content["application/json"] = {"schema": refs[answer.model]}
    if content:
        described["content"] = content
    return described


def _code(name: str) -> str:
    return f"`{name}`"
