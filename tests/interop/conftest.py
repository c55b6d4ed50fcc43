"""A receiver of callbacks for all tests of a live server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from farend.receiver import Receiver


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()
