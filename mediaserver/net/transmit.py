"""Sending the packets of a tick: through `sendmsg` from where they lie, or portably.

See `net.uring` for the lane that sends a whole tick's packets in one system call.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .endpoints import Endpoints

CAPACITY: Final = 4096
"""Packets handed to the kernel in one go."""

FLAGS: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Packets to send, in parallel arrays; each is two pieces of memory, the second may be empty.

    Addresses are of memory that stays where it is until they are sent.
    """

    slot: NDArray[np.int64]
    head: NDArray[np.uint64]
    head_size: NDArray[np.int64]
    body: NDArray[np.uint64]
    body_size: NDArray[np.int64]

    def take(self, wanted: NDArray[np.bool_] | slice) -> Outgoing:
        """Return those that `wanted` marks."""
        return Outgoing(
            self.slot[wanted],
            self.head[wanted],
            self.head_size[wanted],
            self.body[wanted],
            self.body_size[wanted],
        )


class Transmitter(Protocol):
    """Sends packets. What a socket does not take is lost, as RTP may be."""

    def send(self, packets: Outgoing) -> None:
        """Send each packet through its slot's socket, to its slot's destination."""


class PortableTransmitter:
    """One `sendto` a packet."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def send(self, packets: Outgoing) -> None:
        """See `Transmitter.send`."""
        for index, slot in enumerate(packets.slot.tolist()):
            target = self._endpoints.address(slot)
            if target is None:
                continue
            head = ctypes.string_at(int(packets.head[index]), int(packets.head_size[index]))
            body = ctypes.string_at(int(packets.body[index]), int(packets.body_size[index]))
            with contextlib.suppress(OSError):  # full buffer or unreachable
                self._endpoints.sockets[slot].sendto(head + body, target)


class Messages:
    """`struct msghdr`s in one array, filled column by column."""

    def __init__(self, endpoints: Endpoints, capacity: int = CAPACITY) -> None:
        self._endpoints = endpoints
        self._names = int(endpoints.names.ctypes.data)
        self._vectors: NDArray[np.uint64] = np.zeros((capacity, 4), np.uint64)
        self._messages: NDArray[np.uint64] = np.zeros((capacity, 7), np.uint64)
        rows = np.arange(capacity, dtype=np.uint64)
        # Name, its length, vectors, their count, control, its length, flags.
        self._messages[:, 2] = self._vectors.ctypes.data + rows * 32
        self.address: NDArray[np.uint64] = self._messages.ctypes.data + rows * 56
        """Where each message is."""

    def fill(self, packets: Outgoing) -> None:
        """Describe the packets, at most as many as there is room for."""
        count = packets.slot.size
        vectors, messages = self._vectors[:count], self._messages[:count]
        vectors[:, 0] = packets.head
        vectors[:, 1] = packets.head_size
        vectors[:, 2] = packets.body
        vectors[:, 3] = packets.body_size
        messages[:, 3] = 1 + (packets.body_size > 0)  # one piece alone takes a shorter way
        endpoints = self._endpoints
        messages[:, 0] = packets.slot * endpoints.names.shape[1] + self._names
        messages[:, 1] = endpoints.sizes[packets.slot]


class BatchTransmitter:
    """`sendmsg` through `ctypes.PyDLL`: no Python object a packet, and the lock is kept."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._messages = Messages(endpoints)
        self._at = self._messages.address.tolist()
        self._send = ctypes.PyDLL(None).sendmsg
        self._send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
        self._send.restype = ctypes.c_ssize_t

    def send(self, packets: Outgoing) -> None:
        """See `Transmitter.send`."""
        send = self._send
        for start in range(0, packets.slot.size, CAPACITY):
            part = packets.take(slice(start, start + CAPACITY))
            self._messages.fill(part)
            descriptors = self._endpoints.descriptors[part.slot].tolist()
            for descriptor, at in zip(descriptors, self._at, strict=False):
                send(descriptor, at, FLAGS)
