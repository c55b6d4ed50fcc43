"""A receiver of callbacks, and a server that records for whoever calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from farend.receiver import Receiver
from farend.scene import Stage
from farend.server import Server


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stage]:
    """A mailbox that announces each recording under the caller's name."""
    record = {
        "record": {
            "status_url": receiver.url("/record/${call.sip_data.sip_from_user}"),
            "initial_timeout": 10,
        }
    }
    server = Server(
        tmp_path_factory.mktemp("interop"),
        {"mailbox": [record]},
        {"limits": {"max_calls_per_second": 1000}},
    ).start()
    yield Stage(server, receiver, ())
    server.stop()
