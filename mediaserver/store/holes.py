"""Taking a stretch out of a file: its bytes are gone, its length and all other bytes stay."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_KEEP_SIZE: Final = 0x01
_PUNCH_HOLE: Final = 0x02

ZEROS: Final = bytes(1 << 20)
"""What is written over a stretch where the file system knows no holes."""

_UNKNOWN: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})

_libc: Final = ctypes.CDLL(None, use_errno=True)


def punch(descriptor: int, start: int, end: int) -> None:
    """Give the bytes from `start` to before `end` back to the file system; they read as zeros.

    What lies past the end of the file is no bytes. Raises OSError. Blocks.
    """
    end = min(end, os.fstat(descriptor).st_size)
    if start >= end:
        return
    failed = _fallocate(descriptor, start, end - start)
    if failed in _UNKNOWN:
        overwrite(descriptor, start, end)
    elif failed:
        raise OSError(failed, os.strerror(failed))


def overwrite(descriptor: int, start: int, end: int) -> None:
    """Write zeros over the bytes from `start` to before `end`. Raises OSError. Blocks."""
    while start < end:
        start += os.pwrite(descriptor, ZEROS[: end - start], start)


def _fallocate(descriptor: int, start: int, length: int) -> int:
    """Punch a hole; return 0 or the number of the error."""
    call = getattr(_libc, "fallocate64", None)
    if call is None:
        return errno.ENOSYS
    done: int = call(
        descriptor,
        _PUNCH_HOLE | _KEEP_SIZE,
        ctypes.c_int64(start),
        ctypes.c_int64(length),
    )
    return ctypes.get_errno() if done else 0
