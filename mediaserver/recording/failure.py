"""Why a recording is in `State.ERROR`: a word that stays what it is, and a sentence for people.

The contracts know no more than TIMEOUT and INTERNAL_ERROR (B1); what is behind them is said beside.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ..errors import LocalError
from .states import ErrorCode


class Failure(StrEnum):
    """What went wrong; the value is what the database keeps and what applications are told."""

    STORAGE_FULL = "storage_full"
    STORAGE_TOO_SLOW = "storage_too_slow"
    STORAGE_ERROR = "storage_error"
    OUT_OF_FILES = "out_of_files"
    JOURNAL_UNUSABLE = "journal_unusable"
    ENCODER_FAILED = "encoder_failed"
    RENDER_TIMEOUT = "render_timeout"
    INTERNAL = "internal"

    @property
    def sentence(self) -> str:
        """What it means."""
        return _SENTENCES[self]

    @property
    def code(self) -> ErrorCode:
        """What it is to Enfonica's API (contract B1)."""
        timeout = self is Failure.RENDER_TIMEOUT
        return ErrorCode.TIMEOUT if timeout else ErrorCode.INTERNAL_ERROR


_SENTENCES: Final[Mapping[Failure, str]] = MappingProxyType(
    {
        Failure.STORAGE_FULL: "The server's disk was full.",
        Failure.STORAGE_TOO_SLOW: "The server's disk did not keep up with the calls.",
        Failure.STORAGE_ERROR: "The server's disk failed when it was written to or read from.",
        Failure.OUT_OF_FILES: "The server had as many files open as it is allowed to.",
        Failure.JOURNAL_UNUSABLE: "What was kept of the call is missing or damaged.",
        Failure.ENCODER_FAILED: "The encoder could not make the files.",
        Failure.RENDER_TIMEOUT: "The files were not made within recording.render_timeout.",
        Failure.INTERNAL: "An internal error; the server's log says more.",
    }
)

_OF_NUMBER: Final[Mapping[int, Failure]] = MappingProxyType(
    {
        errno.ENOSPC: Failure.STORAGE_FULL,
        errno.EDQUOT: Failure.STORAGE_FULL,
        errno.EMFILE: Failure.OUT_OF_FILES,
        errno.ENFILE: Failure.OUT_OF_FILES,
        errno.ENOENT: Failure.JOURNAL_UNUSABLE,
    }
)


class RecordingFailed(LocalError):
    """A recording, or a file of it, cannot be made, and it is known why."""

    # A default, so that it comes whole out of a pickle.
    def __init__(self, problem: str, failure: Failure = Failure.INTERNAL) -> None:
        super().__init__(problem)
        self.failure = failure


def failure_of(error: BaseException) -> Failure:
    """Return what an error was, by itself or by what it was raised from."""
    for cause in _causes(error):
        if isinstance(cause, RecordingFailed):
            return cause.failure
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            return _OF_NUMBER.get(cause.errno or 0, Failure.STORAGE_ERROR)
    return Failure.INTERNAL


def encoding_failure(error: Exception) -> Failure:
    """Return what an error of the encoder was: the disk is the reason only where it is named."""
    failure = _OF_NUMBER.get(getattr(error, "errno", None) or 0, Failure.ENCODER_FAILED)
    return Failure.ENCODER_FAILED if failure is Failure.JOURNAL_UNUSABLE else failure


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
