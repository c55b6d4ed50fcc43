"""The ways packets can go through the kernel, and the choice between them."""

from __future__ import annotations

import ctypes
import sys
from enum import StrEnum

import structlog

from ..errors import LocalError
from .endpoints import Endpoints
from .sweep import BatchSweeper, PortableSweeper, Sweeper
from .transmit import BatchTransmitter, PortableTransmitter, Transmitter
from .uring import UringSweeper, UringTransmitter

log = structlog.get_logger(__name__)


class Lane(StrEnum):
    """How packets are received and sent; every lane keeps the same promises."""

    URING = "io_uring"
    """One system call for all sockets."""
    BATCH = "recvmmsg"
    """One a socket, or a packet sent."""
    PORTABLE = "portable"
    """One a packet, through Python's own sockets: on any system."""


def open_lane(endpoints: Endpoints, wanted: Lane | None) -> tuple[Lane, Sweeper, Transmitter]:
    """Return a lane and its two ends; None wanted: the quickest this system has.

    LocalError when the lane wanted is not there.
    """
    if wanted is not None:
        try:
            return wanted, *_open(endpoints, wanted)
        except (AttributeError, OSError) as error:
            raise LocalError(f"rtp.lane: {wanted} is not to be had here: {error}") from None
    for lane in (Lane.URING, Lane.BATCH):
        try:
            return lane, *_open(endpoints, lane)
        except (AttributeError, OSError) as error:
            log.debug("a quicker way for media is not to be had here", lane=lane, error=str(error))
    return Lane.PORTABLE, *_open(endpoints, Lane.PORTABLE)


def _open(endpoints: Endpoints, lane: Lane) -> tuple[Sweeper, Transmitter]:
    if lane is Lane.URING:
        return UringSweeper(), UringTransmitter(endpoints)
    if lane is Lane.BATCH:
        if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise OSError("it is for 64-bit Linux")
        return BatchSweeper(), BatchTransmitter(endpoints)
    return PortableSweeper(), PortableTransmitter(endpoints)
