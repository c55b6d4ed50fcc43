"""A yardstick in C: what a compiled kernel would bring.

`compiled.c` does what the engine does with a packet, and nothing else: it takes it from its
socket, checks where it is from, decodes it to its place in the leg's ring, writes whole blocks to
the leg's journal, and, where legs are played to or relayed, sends. There is no late packet, no
digit, no report, no voice detection, no second source, no fault. It has the engine's own rhythm:
relayed legs are drained at every tick of 20 ms, others at every fifth.

So it is a bound: an engine whose inner loops were compiled, and whose other work cost nothing,
would cost this much. It needs a C compiler (`cc`).
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.g711 import ULAW_DECODE

from .mmsg import socket_addresses
from .options import HOST
from .process import Channel
from .sockets import bound, stamp_arrivals
from .speech import load_voice
from .yardsticks import Ready

TICK: Final = 0.02

RELAXED: Final = 5
"""Ticks between two turns of a leg that is not relayed."""

RING: Final = 14 * 2400
"""Samples, as in the source."""

_LEG: Final = np.dtype(
    [
        ("socket", "i4"), ("journal", "i4"), ("party", "u1", 16), ("partner", "i8"),
        ("anchored", "i8"), ("anchor", "i8"), ("placed", "i8"), ("kept", "i8"),
        ("received", "i8"), ("sequence", "u4"), ("timestamp", "u4"), ("ssrc", "u4"),
        ("offset", "u4"),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked for."""

    load: str
    """`record`, `play` or `relay`."""
    ports: tuple[int, ...]
    """Where each leg's party is."""
    first: int
    """The first of the legs' own ports, every second from there on."""


def compiler() -> bool:
    """Tell whether there is one."""
    return shutil.which("cc") is not None


def compiled(work: Work, channel: Channel) -> None:
    """Do the work until the other side closes the channel."""
    with tempfile.TemporaryDirectory(prefix="bench-compiled-") as folder:
        library = _build(Path(folder))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        sockets = [bound(work.first + 2 * leg) for leg in range(len(work.ports))]
        for sock in sockets:
            stamp_arrivals(sock)
        legs: NDArray[np.void] = np.zeros(len(sockets), _LEG)
        legs["socket"] = [sock.fileno() for sock in sockets]
        legs["journal"] = [
            os.open(f"{folder}/{leg}", os.O_WRONLY | os.O_CREAT) for leg in range(legs.size)
        ]
        legs["party"] = socket_addresses([(HOST, port) for port in work.ports])[:, :16]
        legs["partner"] = np.arange(legs.size) ^ 1 if work.load == "relay" else -1
        legs["ssrc"] = np.arange(legs.size) + 1
        legs["sequence"] = legs["timestamp"] = 1000
        gc.freeze()
        channel.send(Ready())
        _run(work, legs, library, channel)


def _run(work: Work, legs: NDArray[np.void], library: ctypes.CDLL, channel: Channel) -> None:
    rings: NDArray[np.int16] = np.zeros((legs.size, RING), np.int16)
    law = np.ascontiguousarray(ULAW_DECODE, np.int16)
    clip = load_voice().codes
    at, count = legs.ctypes.data, legs.size
    step = 1 if work.load == "relay" else RELAXED
    due, tick = time.monotonic(), 0
    while not channel.poll():
        if work.load == "play":
            library.play(at, count, clip.ctypes.data, clip.size)
        library.drain(at, count, tick % step, step, rings.ctypes.data, law.ctypes.data)
        tick += 1
        due += TICK
        time.sleep(max(0.0, due - time.monotonic()))


def _build(folder: Path) -> ctypes.CDLL:
    source, library = Path(__file__).with_suffix(".c"), folder / "compiled.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    loaded.drain.argtypes = [pointer, number, number, number, pointer, pointer]
    loaded.play.argtypes = [pointer, number, pointer, ctypes.c_uint32]
    return loaded
