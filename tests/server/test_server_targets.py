"""Where a live server sends its requests in a dialog: not wherever a peer's Contact points."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from farend.callee import Callee
from farend.phone import Phone
from farend.server import Server

PEER, VICTIM = "127.0.0.1", "127.0.0.66"
STEPS: dict[str, list[object]] = {
    "bye": [{"answer": {}}, {"hangup": {}}],
    "bridge": [{"connect": {"to": "${call.headers[0].value}"}}, {"hangup": {}}],
}


async def test_a_contact_inside_gets_no_request_and_the_log_says_why(tmp_path: Path) -> None:
    victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    victim.bind((VICTIM, 0))
    victim.setblocking(False)
    place = f"{VICTIM}:{victim.getsockname()[1]}"
    contact = f"Contact: <sip:x@{place}>"
    server = Server(tmp_path, STEPS, {"outbound": {"allow": [f"{PEER}/32"]}})
    with victim, server:
        async with Phone.open(server.sip) as caller:
            answer = await caller.invite("bye", fields=[contact])
            assert answer.status == 200
            await caller.until_ended(8)

        async with Phone.open(server.sip) as caller, Callee.wait(server.sip) as callee:
            calling = asyncio.create_task(
                caller.invite("bridge", fields=[f"X-To: {callee.uri}", contact])
            )
            await callee.rung()
            # Waits for the ACK.
            await callee.answer(fields=[f"Record-Route: <sip:{place};lr>"])
            assert (await calling).status == 200
            await caller.hang_up()
            await callee.until_ended(8)
        lines = [line for line in server.lines() if "leads inside" in line["event"]]
        assert [line["address"] for line in lines] == [VICTIM] * 3
        assert all("outbound.allow" in line["event"] for line in lines)
        try:
            heard = victim.recv(2000)
        except BlockingIOError:
            heard = b""
        assert heard == b""
