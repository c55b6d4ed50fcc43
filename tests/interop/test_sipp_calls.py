"""Calls from SIPp: every sample from the first packet to the last, one call or two hundred."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from farend.scene import Stage
from farend.sipp import run_sipp
from farend.speech import choose, utterance
from farend.waveform import Samples, around, is_quiet, place

MANY = 200
SPEECHES = 4
"""Different messages among the many."""

RATE = 80
"""New calls a second."""

NUMBERS = {"PCMU": "0", "PCMA": "8"}


def write_raw(folder: Path, payload: bytes) -> Path:
    """Write G.711 for SIPp to speak."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "speech.raw"
    path.write_bytes(payload)
    return path


async def leave_messages(
    stage: Stage,
    folder: Path,
    speech: Path,
    callers: list[str],
    *,
    law: str = "PCMU",
    transport: str = "udp",
    rate: int = 10,
) -> Samples:
    """Let each of `callers` say `speech`; return what was said as samples."""
    payload, sent = utterance(speech, law)
    raw = write_raw(folder, payload)
    await run_sipp(
        "message.xml",
        stage.server.sip,
        folder,
        transport=transport,
        calls=len(callers),
        rate=rate,
        values={
            "law": law,
            "number": NUMBERS[law],
            "file": str(raw),
            "milliseconds": str(sent.size // 8 + 300),
        },
        rows="SEQUENTIAL\n" + "".join(f"{caller};\n" for caller in callers),
    )
    return sent


def check_whole(sent: Samples, recorded: Samples) -> None:
    """Check: 0 samples missing, 0 shifted, nothing besides."""
    placement = place(sent, recorded)
    assert placement.missing == 0, placement
    assert placement.shifted == 0, placement
    assert placement.offset >= 0, placement
    assert is_quiet(around(placement, sent, recorded))


@pytest.mark.interop("sipp", "speech")
async def test_speech_from_sipp_is_recorded_from_first_to_last_packet(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    """UDP and TCP, PCMU and PCMA: the recorded samples equal the sent ones."""
    speech = choose(speech_files, 3.0, 4.0)
    ways = [(law, transport) for law in NUMBERS for transport in ("udp", "tcp")]

    async def one(number: int, law: str, transport: str) -> None:
        caller = f"sipp-{law}-{transport}"
        sent = await leave_messages(
            stage, tmp_path / caller, speech[number], [caller], law=law, transport=transport
        )
        last = await stage.receiver.until_final(f"/record/{caller}")
        assert last.state == "finished"
        check_whole(sent, stage.server.samples(last.params["recording_id"]))

    await asyncio.gather(*(one(number, *way) for number, way in enumerate(ways)))


@pytest.mark.interop("sipp", "speech")
async def test_two_hundred_calls_at_once_leave_two_hundred_right_files(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    """And 200 `finished` callbacks; that there is no traceback is checked as the server stops."""
    began = time.monotonic()
    speech = choose(speech_files, 5.0, 6.0)[:SPEECHES]
    share = MANY // SPEECHES
    callers = [[f"crowd-{n}-{m}" for m in range(share)] for n in range(SPEECHES)]
    sent = await asyncio.gather(
        *(
            leave_messages(stage, tmp_path / str(n), speech[n], callers[n], rate=RATE // SPEECHES)
            for n in range(SPEECHES)
        )
    )
    paths = [f"/record/{caller}" for group in callers for caller in group]
    receiver = stage.receiver

    def complete() -> bool:
        return all(receiver.final(path) is not None for path in paths)

    await receiver.until(complete, 60, "not all are announced as ended")
    assert time.monotonic() - began < 60
    files = set()
    for group, samples in zip(callers, sent, strict=True):
        for caller in group:
            callbacks = receiver.accepted(f"/record/{caller}")
            assert [c.state for c in callbacks] == ["recording", "finished"]
            id = callbacks[-1].params["recording_id"]
            files.add(stage.server.file(id))
            check_whole(samples, stage.server.samples(id))
    assert len(files) == MANY
    log = [line for line in stage.server.lines() if line["event"] == "call ended"]
    assert np.sum([line["packets_lost"] for line in log]) == 0
