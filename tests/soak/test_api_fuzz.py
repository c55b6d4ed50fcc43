"""The whole API as its OpenAPI document describes it, asked by schemathesis; `make fuzz-api`.

There are recordings to be found and calls to be commanded, and whoever is dialled answers: what is
generated is led to them now and then by the hooks that are written beside the server's folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import KEY, PROJECT, Server
from farend.talker import Talker

SCHEMATHESIS = os.environ.get("SCHEMATHESIS", "st")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "100")
"""Requests for each operation in each phase."""
CALLS = 40
"""That are up to be commanded."""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method,ignored_auth"
)

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(shutil.which(SCHEMATHESIS) is None, reason="schemathesis is not installed"),
]

HOOKS = """
import os
import random

import schemathesis

chance = random.Random(1)
calls, recordings = os.environ["CALLS"].split(), os.environ["RECORDINGS"].split()


@schemathesis.hook
def before_call(context, case, kwargs):
    places = case.path_parameters
    if "project" in places and chance.random() < 0.8:
        places["project"] = os.environ["PROJECT"]
    if "recording" in places and chance.random() < 0.6:
        places["recording"] = chance.choice(recordings)
        if "call" in places:
            places["call"] = "-"
    elif "call" in places and chance.random() < 0.6:
        places["call"] = chance.choice(calls)
    body = case.body
    if not isinstance(body, dict):
        return
    params = body.get("params")
    ends = body.get("command") == "calling.end" or "status" in (params or {})
    led = chance.random() < (0.02 if ends else 0.9)
    if isinstance(body.get("id"), str) and led:
        body["id"] = chance.choice(calls)
    if not isinstance(params, dict):
        return
    if isinstance(params.get("id"), str) and led:
        params["id"] = chance.choice(calls)
    lead(params)


def lead(node):
    # Nobody out there is called or sent anything, and no application but ours is asked.
    if isinstance(node, list):
        for inner in node:
            lead(inner)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if not isinstance(value, str):
            lead(value)
        elif name in {"to", "dest"} and (chance.random() < 0.7 or "@" in value):
            node[name] = os.environ["CALLEE"]
        elif name.endswith(("url", "uri")):
            node[name] = os.environ["APPLICATION"]
        elif name == "addr":
            node[name] = "127.0.0.1"
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    document = {"sections": {"main": [{"sleep": 3_600_000}]}}
    receiver.pages["/script"] = ("application/json", json.dumps(document).encode())
    yield receiver
    receiver.stop()


async def answer_all(callee: Callee) -> None:
    """Take every call, one after the other."""
    while True:
        await callee.rung(600)
        await callee.answer()
        await asyncio.wait({asyncio.ensure_future(callee.ended.wait())}, timeout=2)
        callee.prepare()


async def test_nothing_that_is_asked_ends_in_a_fault_of_ours(
    tmp_path: Path, receiver: Receiver
) -> None:
    record = {"record": {"max_length": 1, "initial_timeout": 0, "end_silence_timeout": 0,
                         "status_url": receiver.url("/recorded")}}  # fmt: skip
    scripts: dict[str, list[object]] = {
        "record": [record],
        "stay": [{"answer": {}}, {"sleep": 3_600_000}],
    }
    # Whoever asks at random asks for what is too much at once, too.
    settings = {"limits": {"max_calls_per_second": 1000}}
    with Server(tmp_path / "server", scripts, settings) as server:
        server.expected = {"document refused", "call not placed"}
        async with (
            Phone.open(server.sip) as recorded,
            Callee.wait(server.sip) as callee,
            AsyncExitStack() as stack,
        ):
            await recorded.call("record")
            await recorded.say(Talker().say(bytes([0x55]) * 8000))
            found = await receiver.until_final("/recorded")
            for _ in range(CALLS):
                phone = await stack.enter_async_context(Phone.open(server.sip))
                await phone.call("stay")
            up = server.get("/api/calling/calls").json["data"]
            answering = asyncio.create_task(answer_all(callee))
            status = await run(
                tmp_path,
                server,
                {
                    "CALLS": " ".join(call["id"] for call in up),
                    "RECORDINGS": found.params["recording_id"],
                    "PROJECT": PROJECT,
                    "CALLEE": callee.uri,
                    "APPLICATION": receiver.url("/script"),
                },
            )
            answering.cancel()
        answers = Counter(
            line["status"]
            for line in server.lines()
            if line["event"] == "http request" and line["route"] != "/health"
        )
        print(f"answers by status: {dict(sorted(answers.items()))}")
        assert status == 0
        assert answers[500] == answers[503] == 0
        assert answers[200] > 100
        assert server.get("/health", key=None).status == 200


async def run(folder: Path, server: Server, environment: dict[str, str]) -> int:
    """Run schemathesis to its end; return its exit status."""
    (folder / "hooks.py").write_text(HOOKS)
    options: list[Any] = [
        "run", f"http://{server.host}:{server.http_port}/openapi.json",
        "-H", f"Authorization: Bearer {KEY}", "-c", CHECKS, "-n", EXAMPLES,
        "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color",
        "--suppress-health-check", "all", "--continue-on-failure",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        *options,
        cwd=folder,
        env={**os.environ, **environment, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)},
    )
    return await process.wait()
