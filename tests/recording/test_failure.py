"""Why a recording failed, told apart whatever raised it."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import av
import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.failure import Failure, RecordingFailed, encoding_failure, failure_of
from mediaserver.recording.journal import open_journal
from mediaserver.recording.states import ErrorCode
from mediaserver.store.encoder import _portable


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ENOSPC, Failure.STORAGE_FULL),
        (errno.EDQUOT, Failure.STORAGE_FULL),
        (errno.EIO, Failure.STORAGE_ERROR),
        (errno.EROFS, Failure.STORAGE_ERROR),
        (errno.EMFILE, Failure.OUT_OF_FILES),
        (errno.ENFILE, Failure.OUT_OF_FILES),
    ],
)
def test_what_the_system_said_decides_however_deep_it_lies(number: int, failure: Failure) -> None:
    cause = OSError(number, "said the system")
    assert failure_of(cause) is failure
    middle = LocalError("cannot write the journal")
    middle.__cause__ = cause
    outer = LocalError("it failed")
    outer.__cause__ = middle
    assert failure_of(outer) is failure


@pytest.mark.parametrize("error", [ZeroDivisionError(), TimeoutError(), LocalError("no idea")])
def test_what_nobody_thought_of_is_internal(error: Exception) -> None:
    assert failure_of(error) is Failure.INTERNAL


def test_a_journal_that_is_gone_or_damaged_is_told_from_a_disk_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "speak.journal"
    with pytest.raises(LocalError) as gone:
        open_journal(path)
    path.write_bytes(b"?" * 5000)
    with pytest.raises(LocalError) as damaged:
        open_journal(path)
    assert failure_of(gone.value) is failure_of(damaged.value) is Failure.JOURNAL_UNUSABLE


def test_an_encoders_error_is_the_encoders_unless_the_disk_is_named() -> None:
    assert encoding_failure(av.error.InvalidDataError(1, "bad")) is Failure.ENCODER_FAILED
    assert encoding_failure(OSError(errno.ENOSPC, "full")) is Failure.STORAGE_FULL


def test_it_comes_whole_from_an_encoders_process() -> None:
    cause = OSError(errno.ENOSPC, "full")
    error = LocalError("cannot render a.wav: full")
    error.__cause__ = cause
    for sent in (error, RecordingFailed("cannot render a.wav: full", Failure.STORAGE_FULL)):
        got = pickle.loads(pickle.dumps(_portable(sent)))
        assert (str(got), failure_of(got)) == ("cannot render a.wav: full", Failure.STORAGE_FULL)


def test_each_has_a_sentence_and_a_code_of_the_contract() -> None:
    for failure in Failure:
        assert failure.sentence.endswith(".")
        late = failure is Failure.RENDER_TIMEOUT
        assert failure.code is (ErrorCode.TIMEOUT if late else ErrorCode.INTERNAL_ERROR)
