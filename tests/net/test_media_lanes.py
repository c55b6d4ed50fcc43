"""Which lane is taken, and what is said when one is not to be had."""

from __future__ import annotations

import pytest

from farend.scarcity import python
from mediaserver.net.endpoints import Endpoints
from mediaserver.net.lanes import Lane, open_lane


@pytest.mark.parametrize("lane", list(Lane))
def test_every_lane_is_to_be_had_by_its_name(lane: Lane) -> None:
    assert open_lane(Endpoints(4), lane)[0] is lane


def test_the_quickest_is_taken_when_none_is_named() -> None:
    assert open_lane(Endpoints(4), None)[0] is Lane.URING


_FORBIDDEN = """
from farend.scarcity import forbid
from mediaserver.errors import LocalError
from mediaserver.net.endpoints import Endpoints
from mediaserver.net.lanes import Lane, open_lane

forbid(425)  # io_uring_setup
try:
    open_lane(Endpoints(4), Lane.URING)
except LocalError as error:
    assert str(error).startswith("rtp.lane: io_uring is not to be had here: "), error
    assert "Operation not permitted" in str(error), error
    print(open_lane(Endpoints(4), None)[0])
"""


def test_a_container_that_forbids_io_uring_gets_the_next_lane() -> None:
    assert python(_FORBIDDEN) == "recvmmsg"
