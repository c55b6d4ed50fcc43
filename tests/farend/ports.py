"""Ports for what tests start, a share of them for each of the processes that run tests at once."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator, Sequence

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_SINGLE = range(14000, 19000)
"""Below 19000 single ports, then those that tests name, then blocks; clients get 32768 and more."""
_BLOCK = 600
_BLOCKS = range(20000, 32000, _BLOCK)


def _share(all_: Sequence[int]) -> Iterator[int]:
    """Return this process's share for ever, begun anywhere: other runs of the tests go on, too."""
    ours = all_[_WORKER::_WORKERS]
    start = random.randrange(len(ours))
    return itertools.cycle([*ours[start:], *ours[:start]])


_singles = _share(_SINGLE)
_blocks = _share(_BLOCKS)


def free_port() -> int:
    """Return a port that is free over UDP and TCP, out of the range that clients are given."""
    for port in itertools.islice(_singles, len(_SINGLE)):
        if _is_free(port, socket.SOCK_DGRAM) and _is_free(port, socket.SOCK_STREAM):
            return port
    raise AssertionError("no free port")


def free_block() -> range:
    """Return a range of UDP ports of which nearly all are free."""
    for first in itertools.islice(_blocks, len(_BLOCKS)):
        block = range(first, first + _BLOCK)
        if all(_is_free(port, socket.SOCK_DGRAM) for port in block[::10]):
            return block
    raise AssertionError("no free range of ports")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    try:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
