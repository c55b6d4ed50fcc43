"""Calls that were up when a server stopped without a word: the next start knows them to be over."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp

from farend.ports import free_block, free_port
from mediaserver.app import RESTART, Server
from mediaserver.calls.resource import CallRecord
from mediaserver.config import load
from mediaserver.store.calls import Calls
from mediaserver.store.database import Database

PROJECT = "6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11"
KEY = "a-key-of-sufficient-length"


async def test_a_call_that_a_crash_cut_off_has_failed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = await Database.open(tmp_path / "data")
    call = CallRecord(
        id="cut-off",
        project_id=PROJECT,
        direction="inbound",
        from_="sip:alice@example.com",
        to="sip:bob@example.com",
        sip_call_id="1",
        created_at=1_700_000_000_000_000,
    )
    await Calls(database).add(call)
    await database.dispose()
    ports = free_block()
    settings = {
        "sip": {"listen": [f"udp:127.0.0.1:{free_port()}"]},
        "rtp": {"ports": f"{ports[0]}-{ports[-1]}"},
        "http": {"listen": f"127.0.0.1:{free_port()}"},
        "data_dir": "data",
        "project_id": PROJECT,
        "api_keys": [KEY],
    }
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    server = Server(load(tmp_path / "config.yaml", {}))
    await server.start()
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
            client.get(f"{server.public_url}/api/calling/calls/cut-off") as response,
        ):
            shown = await response.json()
    finally:
        await server.stop(0.0)
    assert (shown["status"], shown["duration"]) == ("failed", None)
    database = await Database.open(tmp_path / "data")
    kept = await Calls(database).get(PROJECT, "cut-off")
    await database.dispose()
    assert kept is not None
    assert kept.end_reason == RESTART
