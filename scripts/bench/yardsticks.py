"""The two yardsticks: the same packets, and next to nothing done with them.

- `floor`: every socket is drained by `recvmmsg` each 100 ms into one and the same buffer, nothing
  else. It is written in Python with ctypes: one foreign call a socket and sweep. (The same in C
  saves some 0.3 us a call, a tenth of a microsecond a packet.)
- `asyncio`: `create_datagram_endpoint` for every stream, as shipped, whose protocol does nothing.

Neither looks at a packet. What the kernel dropped is asked of the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import socket
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .process import Channel
from .sockets import bound

SWEEP: Final = 0.1
"""Seconds between two sweeps."""

_ROUND: Final = 32
_STRIDE: Final = 2048
_DONTWAIT: Final = 0x40


@dataclass(frozen=True, slots=True)
class Drain:
    """What a yardstick is to listen on: `streams` ports, every second from `first` on."""

    streams: int
    first: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Told when every socket is open."""


def floor(drain: Drain, channel: Channel) -> None:
    """Sweep all sockets until the other side closes the channel."""
    sockets = _open(drain)
    channel.send(Ready())
    data: NDArray[np.uint8] = np.zeros((_ROUND, _STRIDE), np.uint8)
    rows = np.arange(_ROUND, dtype=np.uint64)
    vectors: NDArray[np.uint64] = np.zeros((_ROUND, 2), np.uint64)
    vectors[:, 0] = data.ctypes.data + rows * _STRIDE
    vectors[:, 1] = _STRIDE
    messages: NDArray[np.uint64] = np.zeros((_ROUND, 8), np.uint64)
    messages[:, 2] = vectors.ctypes.data + rows * 16
    messages[:, 3] = 1
    at = messages.ctypes.data
    receive = ctypes.PyDLL(None).recvmmsg
    receive.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
    ]  # fmt: skip
    descriptors = [sock.fileno() for sock in sockets]
    gc.freeze()
    due = time.monotonic()
    while not channel.poll():
        for descriptor in descriptors:
            while receive(descriptor, at, _ROUND, _DONTWAIT, None) == _ROUND:
                pass
        due += SWEEP
        time.sleep(max(0.0, due - time.monotonic()))


def endpoints(drain: Drain, channel: Channel) -> None:
    """Listen with a plain asyncio endpoint a stream until the other side closes the channel."""
    asyncio.run(_listen(drain, channel))


class _Nothing(asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Do nothing."""


async def _listen(drain: Drain, channel: Channel) -> None:
    loop = asyncio.get_running_loop()
    transports = [
        (await loop.create_datagram_endpoint(_Nothing, sock=sock))[0] for sock in _open(drain)
    ]
    over = asyncio.Event()
    loop.add_reader(channel.fileno(), over.set)
    with contextlib.suppress(BrokenPipeError):
        channel.send(Ready())
    gc.freeze()
    await over.wait()
    loop.remove_reader(channel.fileno())
    for transport in transports:
        transport.close()


def _open(drain: Drain) -> list[socket.socket]:
    return [bound(drain.first + 2 * stream) for stream in range(drain.streams)]
