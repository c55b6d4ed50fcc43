"""The OpenAPI document: it has every route and every command, and says of answers what is so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from farend.control import Control
from mediaserver.calls.call_state import CallState
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Pause, PauseBehavior, Recording
from mediaserver.recording.states import State
from mediaserver.web.calling import calling_error
from mediaserver.web.calls import call_view
from mediaserver.web.commands import COMMANDS
from mediaserver.web.commands.fault import Fault, Unprocessable
from mediaserver.web.errors import ApiError, google_error
from mediaserver.web.openapi import shapes
from mediaserver.web.relay_recordings import relay_error, relay_view
from mediaserver.web.views import recording_view


@pytest.fixture
async def document(api: Any) -> Any:
    status, headers, answer = await api.ask("/openapi.json", key=None)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    return answer


def served(app: web.Application) -> set[tuple[str, str]]:
    """Return method and path of every route but those that answer HEAD."""
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.add((route.method.lower(), route.resource.canonical))
    return found


async def test_every_route_is_in_it_and_nothing_else(api: Any, document: Any) -> None:
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    assert described == served(api.app)
    names = [item[method]["operationId"] for item in document["paths"].values() for method in item]
    assert len(names) == len(set(names))


async def test_every_route_says_what_a_key_needs_and_only_two_need_none(document: Any) -> None:
    opened = [
        path
        for path, item in document["paths"].items()
        for operation in item.values()
        if not operation["security"]
    ]
    assert opened == ["/health", "/openapi.json"]
    for item in document["paths"].values():
        for operation in item.values():
            assert bool(operation["security"]) == ("voice." in operation.get("description", ""))


async def test_every_command_has_its_schema(document: Any) -> None:
    operation = document["paths"]["/api/calling/calls"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    schemas = document["components"]["schemas"]
    assert set(body["discriminator"]["mapping"]) == set(COMMANDS)
    assert [one["$ref"] for one in body["oneOf"]] == list(body["discriminator"]["mapping"].values())
    for name in COMMANDS:
        schema = schemas[f"Command.{name}"]
        assert schema["properties"]["command"] == {"const": name}
        assert ("id" in schema["properties"]) == (name != "dial")
        params = schemas[schema["properties"]["params"]["$ref"].rpartition("/")[2]]
        for wanted in params.get("required", ()):
            assert wanted in params["properties"]
            assert "params" in schema["required"]
    dial = schemas["Dial"]
    assert dial["required"] == ["from", "to"]
    assert set(dial["properties"]) >= {"from", "to", "url", "swml", "custom_variables"}


async def test_every_reference_leads_somewhere_and_no_schema_is_there_in_vain(
    document: Any,
) -> None:
    named: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                named.add(node["$ref"].removeprefix("#/components/schemas/"))
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(document)
    assert named == set(document["components"]["schemas"])


async def test_parameters_of_paths_are_those_of_the_paths(document: Any) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            places = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"]
            assert all(f"{{{name}}}" in path for name in places)
            assert len(places) == path.count("{")


# What it says of answers is what they are.


def fits(model: type[BaseModel], value: Any) -> None:
    """Check JSON against the model that describes it, in which nothing else may be."""
    model.model_validate(value)


def test_calls_are_as_they_are_described() -> None:
    call = Control().call
    for changed in (
        call,
        dataclasses.replace(call, progress=CallState.CREATED, sip_call_id="", answered_at=None),
        dataclasses.replace(call, progress=None),
        dataclasses.replace(call, ended_at=9_000_000, parent_id="x"),
    ):
        fits(shapes.Call, call_view(changed))


def test_recordings_are_as_they_are_described(
    finished: Callable[..., tuple[Recording, bytes]], make_recording: Callable[..., Recording]
) -> None:
    pause = Pause(behavior=PauseBehavior.SKIP, start=8000, end=None)
    done, _ = finished(0, expires_at=9, account={"milliseconds": {}}, ready_uri="http://a/")
    for recording in (
        make_recording(1, pauses=(pause,)),
        done,
        make_recording(2, state=State.ERROR, failure=Failure.RENDER_TIMEOUT, ended_at=1),
        make_recording(3, state=State.NO_INPUT, ended_at=1),
    ):
        fits(shapes.Recording, recording_view(recording, None))
        fits(shapes.Recording, recording_view(recording, lambda audio: "http://x/"))
        fits(shapes.RelayRecording, relay_view(recording, "http://x"))


def test_errors_are_as_they_are_described() -> None:
    refused = Unprocessable((Fault("to is required", "to", "missing_required_parameter"),))
    for model, body in (
        (shapes.Error, google_error(ApiError(404, "recording not found"))),
        (shapes.NamedError, calling_error(ApiError(404, "call not found"))),
        (shapes.NamedError, relay_error(ApiError(404, "recording not found"))),
        (shapes.Faults, calling_error(refused)),
        (shapes.RelayFaults, relay_error(ApiError(422, "page_size must be a number"))),
    ):
        model.model_validate_json(body)


async def test_health_and_lists_are_as_they_are_described(api: Any) -> None:
    for path, model in (
        ("/health", shapes.Health),
        ("/api/calling/calls", shapes.CallList),
        ("/api/relay/rest/recordings", shapes.RelayRecordingList),
        ("/v1beta1/projects/00000000-0000-4000-8000-000000000001/recordings", shapes.RecordingList),
    ):
        _, _, answer = await api.ask(path)
        fits(model, answer)
