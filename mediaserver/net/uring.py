"""One system call for all sockets: io_uring, through `ctypes` and numpy.

A ring is two queues in memory shared with the kernel: requests of 64 bytes go in, results of 16
come out. Here every request is one `recvmsg` or `sendmsg` that must not wait, so that all of them
are carried out while the one call that hands them in lasts, and their results are there when it
returns. The requests of a ring are always the same but for the socket, so they are written once;
a thousand packets then cost filling a column, one system call and no loop in Python. Sending one
packet from each of many sockets, or receiving one, costs about two thirds of what a call each does.

Where the kernel is too old (before 5.18) or a container forbids io_uring, as many do, `open_ring`
says so and the other lanes do the work.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .endpoints import Endpoints
from .sweep import BatchSweeper, SocketSet
from .transmit import FLAGS, Messages, Outgoing

ENTRIES: Final = 4096
"""Requests handed in at once, at the most."""

_SETUP, _ENTER = 425, 426  # the same on every architecture
_SUBMIT_ALL, _SINGLE_ISSUER, _DEFER_TASKRUN = 1 << 7, 1 << 12, 1 << 13
_SINGLE_MMAP: Final = 1  # both queues lie in one piece of memory (since Linux 5.4)
_GETEVENTS: Final = 1
_SENDMSG, _RECVMSG = 9, 10
_REQUESTS_AT: Final = 0x1000_0000
_EAGAIN: Final = -11

_PARAMETERS: Final = np.dtype(
    [
        ("sq_entries", "u4"), ("cq_entries", "u4"), ("flags", "u4"), ("cpu", "u4"),
        ("idle", "u4"), ("features", "u4"), ("wq_fd", "u4"), ("reserved", "u4", 3),
        ("sq_head", "u4"), ("sq_tail", "u4"), ("sq_mask", "u4"), ("sq_size", "u4"),
        ("sq_flags", "u4"), ("sq_dropped", "u4"), ("sq_array", "u4"), ("sq_rest", "u4", 3),
        ("cq_head", "u4"), ("cq_tail", "u4"), ("cq_mask", "u4"), ("cq_size", "u4"),
        ("cq_overflow", "u4"), ("cqes", "u4"), ("cq_flags", "u4"), ("cq_rest", "u4", 3),
    ]
)  # fmt: skip
"""`struct io_uring_params`."""

_REQUEST: Final = np.dtype(
    [
        ("opcode", "u1"), ("flags", "u1"), ("priority", "u2"), ("descriptor", "i4"),
        ("offset", "u8"), ("address", "u8"), ("length", "u4"), ("message_flags", "u4"),
        ("number", "u8"), ("rest", "u8", 3),
    ]
)  # fmt: skip
"""`struct io_uring_sqe`."""

_RESULT: Final = np.dtype([("number", "u8"), ("value", "i4"), ("flags", "u4")])
"""`struct io_uring_cqe`."""


class Uring:
    """A ring whose request `i` is always the operation `opcode` on the message at `addresses[i]`.

    Used by the thread that made it alone. OSError when the system has no such thing.
    """

    _descriptor = -1

    def __init__(self, opcode: int, addresses: NDArray[np.uint64], flags: int) -> None:
        if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise OSError("it is for 64-bit Linux")
        count = addresses.size
        self._call = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.argtypes = [ctypes.c_long] * 7
        self._call.restype = ctypes.c_long
        parameters = np.zeros(1, _PARAMETERS)
        self._descriptor = self._open(count, parameters)
        try:
            self._map(parameters[0])
        except BaseException:
            os.close(self._descriptor)
            raise
        requests = self._requests[:count]
        requests["opcode"] = opcode
        requests["address"] = addresses
        requests["length"] = 1
        requests["message_flags"] = flags
        requests["number"] = np.arange(count)
        self._order = np.arange(count, dtype=np.uint32)

    def close(self) -> None:
        """Give the ring back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def submit(self, descriptors: NDArray[np.int32], first: int = 0) -> NDArray[np.int32]:
        """Carry out request `first` + i on `descriptors[i]`; return results, errors negative."""
        count = descriptors.size
        self._requests["descriptor"][first : first + count] = descriptors
        tail = int(self._words[self._sq_tail])
        places = (tail + self._order[:count]) & self._sq_mask
        self._array[places] = self._order[first : first + count]
        self._words[self._sq_tail] = (tail + count) & 0xFFFF_FFFF
        left = count
        while left > 0:
            taken = self._call(_ENTER, self._descriptor, left, left, _GETEVENTS, 0, 0)
            if taken <= 0:
                # Out of memory for a moment: what was not taken in was not done.
                self._words[self._sq_tail] = self._words[self._sq_head]
                break
            left -= taken
        return self._collect(first, count)

    def _collect(self, first: int, count: int) -> NDArray[np.int32]:
        head, tail = int(self._words[self._cq_head]), int(self._words[self._cq_tail])
        ready = (tail - head) & 0xFFFF_FFFF
        results = self._results[(head + self._order_of(ready)) & self._cq_mask]
        self._words[self._cq_head] = tail
        values: NDArray[np.int32] = np.full(count, _EAGAIN, np.int32)
        values[results["number"] - np.uint64(first)] = results["value"]
        return values

    def _order_of(self, count: int) -> NDArray[np.uint32]:
        return self._order[:count] if count <= self._order.size else np.arange(count, dtype="u4")

    def _open(self, count: int, parameters: NDArray[np.void]) -> int:
        """Return the ring's descriptor, the parameters filled in by the kernel."""
        # Since Linux 6.1 a ring of one thread is spared the locks; before, it works as well.
        for flags in (_SUBMIT_ALL | _SINGLE_ISSUER | _DEFER_TASKRUN, _SUBMIT_ALL):
            parameters[:] = np.zeros(1, _PARAMETERS)
            parameters["flags"] = flags
            descriptor = self._call(_SETUP, count, parameters.ctypes.data, 0, 0, 0, 0)
            if descriptor >= 0:
                return int(descriptor)
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))

    def _map(self, parameters: np.void) -> None:
        if not parameters["features"] & _SINGLE_MMAP:
            raise OSError("the kernel is too old")
        size = max(
            int(parameters["sq_array"]) + 4 * int(parameters["sq_entries"]),
            int(parameters["cqes"]) + _RESULT.itemsize * int(parameters["cq_entries"]),
        )
        queues = np.frombuffer(self._memory(size, 0), np.uint8)
        at = int(parameters["sq_array"])
        self._array = queues[at : at + 4 * int(parameters["sq_entries"])].view(np.uint32)
        at = int(parameters["cqes"])
        size = _RESULT.itemsize * int(parameters["cq_entries"])
        self._results = queues[at : at + size].view(_RESULT)
        self._words = queues[: queues.size // 4 * 4].view(np.uint32)
        self._sq_head, self._sq_tail = (int(parameters[f"sq_{x}"]) // 4 for x in ("head", "tail"))
        self._cq_head, self._cq_tail = (int(parameters[f"cq_{x}"]) // 4 for x in ("head", "tail"))
        self._sq_mask = np.uint32(int(parameters["sq_entries"]) - 1)
        self._cq_mask = np.uint32(int(parameters["cq_entries"]) - 1)
        size = _REQUEST.itemsize * int(parameters["sq_entries"])
        self._requests = np.frombuffer(self._memory(size, _REQUESTS_AT), _REQUEST)

    def _memory(self, size: int, offset: int) -> mmap.mmap:
        populate = getattr(mmap, "MAP_POPULATE", 0)
        return mmap.mmap(
            self._descriptor,
            size,
            flags=mmap.MAP_SHARED | populate,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
            offset=offset,
        )


class UringSweeper:
    """Receives one packet of each of many sockets in one system call.

    Where a socket holds several, `recvmmsg` is the quicker, and is used.
    """

    def __init__(self, capacity: int = ENTRIES) -> None:
        self._several = BatchSweeper(capacity)
        self._inbox = self._several.inbox
        self.batch = self._several.batch
        self._ring = Uring(_RECVMSG, self._inbox.addresses, FLAGS)

    def sweep(self, sockets: SocketSet, start: int = 0) -> tuple[int, NDArray[np.int64]]:
        """See `Sweeper.sweep`."""
        if sockets.expected > 1:
            return self._several.sweep(sockets, start)
        end = min(len(sockets), start + self.batch.room)
        result = self._ring.submit(sockets.descriptor[start:end], self.batch.count)
        found: NDArray[np.int64] = np.flatnonzero(result > 0)
        if found.size:
            length = np.maximum(result, 0).astype(np.int64)
            self._inbox.add(sockets.slot[start:end], length)
        return end, found + start


class UringTransmitter:
    """Sends: the packets of a tick in one system call."""

    def __init__(self, endpoints: Endpoints, capacity: int = ENTRIES) -> None:
        self._endpoints = endpoints
        self._messages = Messages(endpoints, capacity)
        self._ring = Uring(_SENDMSG, self._messages.address, FLAGS)
        self._capacity = capacity

    def send(self, packets: Outgoing) -> None:
        """See `Transmitter.send`."""
        for start in range(0, packets.slot.size, self._capacity):
            part = packets.take(slice(start, start + self._capacity))
            self._messages.fill(part)
            self._ring.submit(self._endpoints.descriptors[part.slot])
