"""Writing a piece to each of many files: a whole batch in one system call, or one by one.

`os.pwrite` gives the interpreter's lock away and takes it back for every piece. Beside a busy
event loop that is the dear part: at thousands of calls the writer starves, and the loop pays for
the switches. Linux' native asynchronous I/O takes a list of writes instead. On files that go
through the page cache it carries them out before `io_submit` returns, at the price of as many
`pwrite`s, and the lock is given away once.

A lane says which pieces it could not write whole, and no more: whoever asked does those again
with care and learns the reason there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

LIST: Final = 1024
"""Writes handed over at once. All processes together may have `fs.aio-max-nr`, mostly 65536."""

# io_setup, io_destroy, io_getevents, io_submit
_CALLS: Final = MappingProxyType({"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)})

_PWRITE: Final = 1
_CONTROL_BLOCK: Final = np.dtype(
    {
        "names": ["data", "opcode", "descriptor", "address", "length", "offset"],
        "formats": ["=u8", "=u2", "=u4", "=u8", "=u8", "=i8"],
        "offsets": [0, 16, 20, 24, 32, 40],
        "itemsize": 64,
    }
)
"""`struct iocb` of linux/aio_abi.h; what is not named stays zero."""
_EVENT_DATA: Final = 0
_EVENT_RESULT: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """Pieces of one buffer and where they go; every array but the buffer has one entry a piece."""

    descriptors: NDArray[np.int64]
    offsets: NDArray[np.int64]
    """Byte of the file."""
    buffer: NDArray[np.uint8]
    """Contiguous; all that is written lies in it."""
    starts: NDArray[np.int64]
    """Byte of the buffer."""
    lengths: NDArray[np.int64]
    """Bytes."""

    def take(self, rows: NDArray[np.int64]) -> Writes:
        """Return some of the pieces."""
        return Writes(
            self.descriptors[rows],
            self.offsets[rows],
            self.buffer,
            self.starts[rows],
            self.lengths[rows],
        )


class Lane(Protocol):
    """A way to write many pieces. Blocks on the disk."""

    def write(self, writes: Writes) -> NDArray[np.int64]:
        """Write the pieces; return the indices, rising, of those that were not written whole.

        The order among pieces is open: a batch should name each file once.
        """

    def close(self) -> None:
        """Give back what the lane holds."""


class SingleLane:
    """One `os.pwrite` a piece: works everywhere."""

    def write(self, writes: Writes) -> NDArray[np.int64]:
        """See `Lane.write`."""
        view = writes.buffer.data
        short: list[int] = []
        pieces = zip(
            writes.descriptors.tolist(),
            writes.offsets.tolist(),
            writes.starts.tolist(),
            writes.lengths.tolist(),
            strict=True,
        )
        for index, (descriptor, offset, start, length) in enumerate(pieces):
            try:
                if os.pwrite(descriptor, view[start : start + length], offset) != length:
                    short.append(index)
            except OSError:
                short.append(index)
        return np.array(short, np.int64)

    def close(self) -> None:
        """See `Lane.close`."""


class ListLane:
    """`io_submit`: Linux on x86-64 or 64-bit ARM. OSError when the system refuses it."""

    def __init__(self) -> None:
        numbers = _CALLS.get(platform.machine())
        if sys.platform != "linux" or numbers is None or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise OSError(errno.ENOSYS, "io_submit is not known here")
        self._setup, self._destroy, self._getevents, self._submit = numbers
        # CDLL gives the interpreter's lock away, PyDLL keeps it.
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._poll = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.restype = self._poll.restype = ctypes.c_long
        self._blocks: NDArray[np.void] = np.zeros(LIST, _CONTROL_BLOCK)
        self._blocks["data"] = np.arange(LIST)
        self._blocks["opcode"] = _PWRITE
        rows = np.arange(LIST, dtype=np.uint64)
        self._list: NDArray[np.uint64] = self._blocks.ctypes.data + 64 * rows
        self._list_at = int(self._list.ctypes.data)
        self._events: NDArray[np.int64] = np.zeros((LIST, 4), np.int64)
        self._events_at = int(self._events.ctypes.data)
        self._no_time: NDArray[np.int64] = np.zeros(2, np.int64)
        self._context = 0
        context = ctypes.c_ulong(0)
        self._ask(self._call, self._setup, LIST, ctypes.addressof(context))
        self._context = context.value
        try:
            # A filter of system calls may let the first one pass and not the others.
            self._ask(self._call, self._submit, self._context, 0, 0)
            self._ask(self._call, self._getevents, self._context, 0, 0, 0, 0)
        except OSError:
            self.close()
            raise

    def write(self, writes: Writes) -> NDArray[np.int64]:
        """See `Lane.write`."""
        count = writes.lengths.size
        short = [
            self._write_list(writes, at, min(at + LIST, count)) for at in range(0, count, LIST)
        ]
        return np.concatenate(short) if short else np.zeros(0, np.int64)

    def close(self) -> None:
        """See `Lane.close`."""
        context, self._context = self._context, 0
        if context:
            self._call(ctypes.c_long(self._destroy), ctypes.c_long(context))

    def _write_list(self, writes: Writes, start: int, end: int) -> NDArray[np.int64]:
        count = end - start
        blocks = self._blocks[:count]
        lengths = writes.lengths[start:end]
        blocks["descriptor"] = writes.descriptors[start:end]
        blocks["address"] = writes.starts[start:end] + int(writes.buffer.ctypes.data)
        blocks["length"] = lengths
        blocks["offset"] = writes.offsets[start:end]
        written = np.zeros(count, np.int64)
        events = self._events[: self._collect(self._hand_over(count))]
        written[events[:, _EVENT_DATA]] = events[:, _EVENT_RESULT]
        return np.flatnonzero(written != lengths) + start

    def _hand_over(self, count: int) -> int:
        """Submit the first `count` control blocks; return how many the kernel took."""
        at = taken = 0
        while at < count:
            try:
                done = self._ask(
                    self._call, self._submit, self._context, count - at, self._list_at + 8 * at
                )
            except OSError:
                done = 0
            taken += done
            at += max(done, 1)  # the first of them was refused, a bad descriptor say: pass it by
        return taken

    def _collect(self, count: int) -> int:
        """Wait until `count` writes are done; return how many events tell of them."""
        got, ask, time_at = 0, self._poll, int(self._no_time.ctypes.data)
        while got < count:
            left = count - got
            try:
                got += self._ask(
                    ask,
                    self._getevents,
                    self._context,
                    left,
                    left,
                    self._events_at + 32 * got,
                    time_at,
                )
            except InterruptedError:
                continue
            # Nearly always all are done at the first look. Should a file system take its time
            # after all, it is waited for without the interpreter's lock.
            ask, time_at = self._call, 0
        return got

    @staticmethod
    def _ask(call: Callable[..., int], *arguments: int) -> int:
        """Make a system call; OSError when it fails."""
        done = call(*map(ctypes.c_long, arguments))
        if done < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return done


def open_lane() -> Lane:
    """Return the quickest lane this system has."""
    try:
        return ListLane()
    except (OSError, AttributeError) as error:
        log.info("journals are written piece by piece", reason=str(error))
        return SingleLane()
