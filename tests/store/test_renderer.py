"""Encoder processes: replaced when they die, gone when the server is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.journal import JournalHeader, create, offset
from mediaserver.recording.rendering import RenderJob
from mediaserver.recording.resource import Direction, Format
from mediaserver.store.renderer import Renderer

ID = "0f0e0d0c-0000-4000-8000-00000000000{}"


def job(folder: Path, number: int = 1) -> RenderJob:
    path = folder / f"journals/{number}/speak.journal"
    header = JournalHeader(
        leg_id=str(number), direction=Direction.SPEAK, rate=8000, first=0, wall_us=0
    )
    fd = create(path, header)
    os.pwrite(fd, np.full(8000, 500, "<i2").tobytes(), offset(header, 0))
    os.close(fd)
    return RenderJob(
        data_dir=str(folder),
        recording_id=ID.format(number),
        journal=f"journals/{number}",
        rate=8000,
        start=0,
        end=8000,
        format=Format.WAV,
        direction=Direction.SPEAK,
        stereo=False,
    )


def encoder_of(renderer: Renderer) -> int:
    (encoder,) = renderer.pids
    return encoder


async def test_a_killed_encoder_is_replaced_and_the_next_render_made(tmp_path: Path) -> None:
    renderer = Renderer()
    try:
        assert (await renderer.render(job(tmp_path, 1))).samples == 8000
        os.kill(encoder_of(renderer), signal.SIGKILL)
        assert (await renderer.render(job(tmp_path, 2))).samples == 8000
    finally:
        await renderer.close()


async def test_what_cannot_be_rendered_is_said_in_a_sentence(tmp_path: Path) -> None:
    renderer = Renderer()
    made = job(tmp_path, 3)
    (tmp_path / "journals/3/speak.journal").unlink()
    try:
        with pytest.raises(LocalError, match="journal"):
            await renderer.render(made)
    finally:
        await renderer.close()


def test_no_encoder_outlives_a_killed_server() -> None:
    code = (
        "import asyncio, time\n"
        "from mediaserver.store.renderer import Renderer\n"
        "async def main():\n"
        "    r = Renderer(); r.start()\n"
        "    while not r.pids:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(*r.pids, flush=True)\n"
        "    time.sleep(30)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    encoder = int(server.stdout.readline())
    server.kill()
    server.wait()
    server.stdout.close()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{encoder}").exists() and not _is_zombie(encoder):
        assert time.monotonic() < deadline, "the encoder lives on"
        time.sleep(0.05)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
