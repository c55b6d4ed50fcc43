"""A socket in the place of the server that is measured."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock
