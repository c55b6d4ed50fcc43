"""Calls under attack (robustness S1, S2, S5, S10), to be made at once.

127.0.0.1 is the trunk, 127.0.0.9 a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import numpy as np

from .phone import Phone
from .scene import Call, Outcome, Stage
from .speech import encode, passage
from .talker import Talker
from .waveform import sine
from .wire import open_wire

STRANGER = "127.0.0.9"
FOREIGN = 2000.0
"""Hz of what the stranger sends."""

TORTURE = Path(__file__).resolve().parent.parent / "sip" / "torture" / "rfc4475"


def stranger() -> socket.socket:
    """Return a UDP socket of the stranger's."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((STRANGER, 0))
    sock.setblocking(False)
    return sock


async def _inject(sock: socket.socket, target: tuple[str, int], count: int, talker: Talker) -> None:
    """Send packets of a 2 kHz tone, 50 every 10 ms."""
    tone = encode("PCMU", sine(FOREIGN, 0.02, 16000))
    for number in range(count):
        sock.sendto(talker.say(tone)[0].packet, target)
        if number % 50 == 49:
            await asyncio.sleep(0.01)


async def injection(stage: Stage) -> Outcome:
    """10,000 foreign packets: before the first real one, in the call, and during a re-INVITE."""
    payload, sent = passage(stage.speech, 6.0)
    talker = Talker(ssrc=0x5151_0001, sequence=1000, timestamp=90_000)
    packets = talker.say(payload)
    third = len(packets) // 3
    sock = stranger()
    async with Phone.open(stage.server.sip, user="injection") as phone:
        await phone.call("attacked")
        target = phone.remote_rtp
        await _inject(sock, target, 1000, Talker(ssrc=7))
        await _inject(sock, target, 1000, Talker(ssrc=talker.ssrc, sequence=1000, timestamp=90_000))
        attack = asyncio.create_task(_inject(sock, target, 2500, Talker(ssrc=0xABCD)))
        # The true stream, some packets ahead of where it will be.
        ahead = Talker(talker.ssrc, 1000 + third // 2, 90_000 + 160 * third // 2)
        second = asyncio.create_task(_inject(sock, target, 2500, ahead))
        await phone.say(packets[:third])
        await asyncio.gather(attack, second)
        attack = asyncio.create_task(
            _inject(sock, target, 3000, Talker(talker.ssrc, 1000 + third, 90_000 + 160 * third))
        )
        renewed = asyncio.create_task(phone.invite("attacked", body=phone.offer("sendrecv", 2)))
        await phone.say(packets[third:])
        assert (await renewed).status == 200
        await attack
        await phone.hang_up()
        outcome = await stage.outcome("injection", phone, sent)
    with contextlib.suppress(BlockingIOError):
        while sock.recvfrom(2048):
            outcome.facts["stolen"] = outcome.facts.get("stolen", 0) + 1
    sock.close()
    return outcome


async def behind_nat(stage: Stage) -> Outcome:
    """SDP names an address nobody can see; a stranger tries to be taken for the caller."""
    payload, sent = passage(stage.speech, 4.0)
    talker = Talker(ssrc=0x7171_0001, sequence=5, timestamp=3000)
    sock = stranger()
    async with Phone.open(stage.server.sip, user="behind-nat") as phone:
        seen = f"m=audio {phone.rtp.getsockname()[1]} ".encode()
        offer = phone.offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 192.0.2.55")
        answer = await phone.invite("attacked", body=offer.replace(seen, b"m=audio 4000 "))
        assert answer.status == 200
        await _inject(sock, phone.remote_rtp, 500, Talker(ssrc=8))
        attack = asyncio.create_task(
            _inject(sock, phone.remote_rtp, 5000, Talker(talker.ssrc, 5, 3000))
        )
        await phone.say(talker.say(payload))
        await attack
        await phone.hang_up()
        outcome = await stage.outcome("behind-nat", phone, sent)
    sock.close()
    return outcome


async def bleed(stage: Stage) -> Outcome:
    """Packets at every RTP port while something is played to a caller who is silent himself."""
    sock = stranger()
    stolen = 0
    async with Phone.open(stage.server.sip, user="bleed") as phone:
        await phone.call("played")
        talker = Talker(ssrc=3)
        tone = encode("PCMU", sine(FOREIGN, 0.02))
        rounds = 0
        while not phone.ended.is_set():
            packet = talker.say(tone)[0].packet
            for index, port in enumerate(stage.server.rtp_ports):
                sock.sendto(packet, (stage.server.host, port))
                if index % 50 == 49:
                    await asyncio.sleep(0.002)
            rounds += 1
            with contextlib.suppress(BlockingIOError):
                while sock.recvfrom(2048):
                    stolen += 1
        instants = [heard.at for heard in phone.heard if heard.kind == 0]
    sock.close()
    outcome = Outcome(sent=np.zeros(0, np.int16), heard=phone.received())
    outcome.facts |= {
        "stolen": stolen,
        "rounds": rounds,
        "longest gap": float(np.diff(instants).max()),
    }
    return outcome


async def rtcp_abuse(stage: Stage) -> Outcome:
    """RTCP too short, too long, of nonsense, and a BYE from elsewhere, all through a call."""
    payload, sent = passage(stage.speech, 4.0)
    talker = Talker(ssrc=0x6161_0001)
    packets = talker.say(payload)
    ssrc = talker.ssrc.to_bytes(4, "big")
    report = b"\x80\xc8\x00\x06" + ssrc + bytes(20)
    goodbye = report + b"\x81\xcb\x00\x01" + ssrc
    abuse = [
        b"\x80\xc8\x00\x00",
        b"\x80\xc8\xff\xff" + ssrc + bytes(20),
        b"\x9f\xc9\x00\x01" + ssrc,
        b"\x81\xca\x00\x02" + ssrc + b"\x01\xff\x00\x00",
        b"\x80\xcd\xff\x00" + ssrc,
        b"\x81\xcb",
        b"\x80",
        b"",
        b"\xff" * 1400,
    ]
    sock = stranger()
    async with Phone.open(stage.server.sip, user="rtcp-abuse") as phone:
        await phone.call("attacked")
        talking = asyncio.create_task(phone.say(packets))
        host, port = phone.remote_rtp
        for _ in range(30):
            await asyncio.sleep(0.1)
            for data in abuse:
                # From where RTCP comes of right, and where RTP does, and from elsewhere.
                phone.rtcp.sendto(data, (host, port + 1))
                phone.rtp.sendto(data, (host, port))
            for data in (*abuse, goodbye):
                sock.sendto(data, (host, port + 1))
                sock.sendto(data, (host, port))
        await talking
        await asyncio.sleep(0.02)
        await phone.hang_up()
        outcome = await stage.outcome("rtcp-abuse", phone, sent)
    sock.close()
    return outcome


async def tcp_framing(stage: Stage) -> Outcome:
    """Lengths that lie: answered 400, and the connection is closed."""
    texts = {
        "negative": (TORTURE / "ncl.sip").read_bytes(),
        "twice": (TORTURE / "mcl01.sip").read_bytes(),
        "huge": (TORTURE / "clerr.sip").read_bytes().replace(b"9999", b"1000000000"),
    }
    outcome = Outcome(sent=np.zeros(0, np.int16))
    for name, text in texts.items():
        wire = await open_wire("tcp", stage.server.sip, STRANGER)
        began = time.monotonic()
        await wire.send(text)
        await asyncio.wait_for(wire.closed.wait(), 5)
        outcome.facts[f"{name} closed"] = time.monotonic() - began
        answer = b"" if wire.inbox.empty() else wire.inbox.get_nowait()
        outcome.facts[f"{name} status"] = float(answer.split(b" ")[1]) if answer else 0
        await wire.close()
    return outcome


async def slow_senders(stage: Stage) -> Outcome:
    """500 connections that send a byte a second; meanwhile somebody calls over TCP."""
    text = (TORTURE / "wsinv.sip").read_bytes()
    outcome = Outcome(sent=np.zeros(0, np.int16))
    began = time.monotonic()
    opened = [
        await asyncio.open_connection(*stage.server.sip, local_addr=(STRANGER, 0))
        for _ in range(500)
    ]
    closed: list[float] = []

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
        with contextlib.suppress(ConnectionError):
            for n in range(size):
                writer.write(text[n : n + 1])
                await writer.drain()
                last = time.monotonic()
                await asyncio.sleep(1)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.append(time.monotonic() - last)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    drips = [
        asyncio.create_task(drip(reader, writer, 3 + index % 40))
        for index, (reader, writer) in enumerate(opened)
    ]
    slowest = 0.0
    for _ in range(6):
        await asyncio.sleep(1)
        async with Phone.open(stage.server.sip, transport="tcp", user="among-slow") as phone:
            called = time.monotonic()
            await phone.call("quick")
            slowest = max(slowest, time.monotonic() - called)
            await phone.hang_up()
    await asyncio.wait_for(asyncio.gather(*drips), 45)
    outcome.facts |= {
        "slowest call": slowest,
        "latest close": max(closed),
        "seconds": time.monotonic() - began,
    }
    return outcome


async def bystander(stage: Stage) -> Outcome:
    """A caller who has nothing to do with it all and talks for its whole duration."""
    payload, sent = passage(stage.speech, 30.0)
    async with Phone.open(stage.server.sip, user="bystander") as phone:
        await phone.call("attacked")
        await phone.say(Talker(ssrc=99).say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return await stage.outcome("bystander", phone, sent)


ATTACK_CALLS: dict[str, Call] = {
    function.__name__.replace("_", "-"): function
    for function in (injection, behind_nat, bleed, rtcp_abuse, tcp_framing, slow_senders, bystander)
}
