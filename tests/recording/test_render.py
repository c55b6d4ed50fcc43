"""Renders: the wav is the journal bit for bit, the others have its length, a kill costs nothing."""

from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import os
import pickle
import re
import struct
import uuid
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import mediaserver.recording.render as subject
from mediaserver.errors import LocalError
from mediaserver.recording.journal import JournalHeader, create, offset
from mediaserver.recording.render import render
from mediaserver.recording.rendering import RenderJob
from mediaserver.recording.resource import Direction, Format

RATE = 8000
FIRST = 1000
COUNT = 25 * RATE + 7  # more than two chunks, and no multiple of anything
_RNG = np.random.default_rng(1)
SPEAK = _RNG.integers(-32768, 32768, COUNT).astype(np.int16)
LISTEN = _RNG.integers(-32768, 32768, COUNT).astype(np.int16)


def _journal(
    data: Path, direction: Direction, samples: NDArray[np.int16], rate: int = RATE
) -> Path:
    path = data / "journals" / "leg" / f"{direction.value}.journal"
    header = JournalHeader(leg_id="leg", direction=direction, rate=rate, first=FIRST, wall_us=0)
    fd = create(path, header)
    os.pwrite(fd, samples.astype("<i2").tobytes(), offset(header, FIRST))
    os.close(fd)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    _journal(tmp_path, Direction.SPEAK, SPEAK)
    _journal(tmp_path, Direction.LISTEN, LISTEN)
    return tmp_path


def _job(data: Path, **changes: object) -> RenderJob:
    job = RenderJob(
        data_dir=str(data),
        recording_id=str(uuid.uuid4()),
        journal="journals/leg",
        rate=RATE,
        start=FIRST,
        end=FIRST + COUNT,
        format=Format.WAV,
        direction=Direction.SPEAK,
        stereo=False,
    )
    return replace(job, **changes)  # type: ignore[arg-type]  # the fields are the test's to choose


def _wav(path: Path) -> NDArray[np.int16]:
    """Return the samples by the standard library's reader, shape (n, channels)."""
    with wave.open(str(path)) as file:
        assert (file.getsampwidth(), file.getframerate()) == (2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).astype(np.int16)


def _decoded(path: Path) -> NDArray[np.float64]:
    """Return what a player hears, shape (channels, n), full scale 1."""
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def test_a_wav_is_the_journal_bit_for_bit(data: Path) -> None:
    job = _job(data, start=FIRST + 123, end=FIRST + 20 * RATE)
    rendered = render(job)
    path = data / rendered.audio.path
    assert np.array_equal(_wav(path)[:, 0], SPEAK[123 : 20 * RATE])
    assert rendered.samples == 20 * RATE - 123
    assert not rendered.silent
    assert path.stat().st_size == 44 + 2 * rendered.samples == rendered.audio.size_bytes
    assert hashlib.sha256(path.read_bytes()).hexdigest() == rendered.audio.sha256
    assert (rendered.audio.sample_rate, rendered.audio.channels) == (RATE, 1)


def test_the_wav_header_is_the_plain_one_of_44_bytes(data: Path) -> None:
    """complaints 13: sizes that are zero or stale."""
    head = (data / render(_job(data)).audio.path).read_bytes()[:44]
    fields = struct.unpack("<4sI4s4sIHHIIHH4sI", head)
    size = 2 * COUNT
    assert fields == (
        b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", size,
    )  # fmt: skip


def test_stereo_has_the_voice_on_the_left_and_what_it_hears_on_the_right(data: Path) -> None:
    both = _wav(data / render(_job(data, direction=Direction.BOTH, stereo=True)).audio.path)
    assert np.array_equal(both, np.stack([SPEAK, LISTEN], axis=1))
    speak = _wav(data / render(_job(data, direction=Direction.SPEAK, stereo=True)).audio.path)
    assert np.array_equal(speak, np.stack([SPEAK, np.zeros(COUNT)], axis=1))
    listen = _wav(data / render(_job(data, direction=Direction.LISTEN, stereo=True)).audio.path)
    assert np.array_equal(listen, np.stack([np.zeros(COUNT), LISTEN], axis=1))


def test_mono_of_both_directions_is_their_sum_and_saturates(data: Path) -> None:
    mixed = _wav(data / render(_job(data, direction=Direction.BOTH)).audio.path)
    total = np.clip(SPEAK.astype(int) + LISTEN, -32768, 32767)
    assert np.array_equal(mixed[:, 0], total)
    listen = _wav(data / render(_job(data, direction=Direction.LISTEN)).audio.path)
    assert np.array_equal(listen[:, 0], LISTEN)


@pytest.mark.parametrize("form", [Format.MP3, Format.MP4])
@pytest.mark.parametrize("stereo", [False, True])
def test_compressed_files_have_the_length_the_rate_and_the_sound(
    tmp_path: Path, form: Format, stereo: bool
) -> None:
    time = np.arange(COUNT) / RATE
    left, right = (np.asarray(9000 * np.sin(2 * np.pi * hz * time), np.int16) for hz in (440, 1300))
    _journal(tmp_path, Direction.SPEAK, left)
    _journal(tmp_path, Direction.LISTEN, right)
    rendered = render(_job(tmp_path, format=form, direction=Direction.BOTH, stereo=stereo))
    heard = _decoded(tmp_path / rendered.audio.path)
    assert heard.shape[0] == (2 if stereo else 1) == rendered.audio.channels
    assert COUNT <= heard.shape[1] <= COUNT + 1024
    spectrum = np.abs(np.fft.rfft(heard[:, RATE : 11 * RATE], axis=1))
    expected = [[440], [1300]] if stereo else [[440, 1300]]
    for channel, tones in enumerate(expected):
        peaks = np.argsort(spectrum[channel])[-len(tones) :]
        assert sorted(peaks / 10) == pytest.approx(tones, abs=0.2)
    kbits = 8 * rendered.audio.size_bytes / (COUNT / RATE) / 1000
    # The mp3 encoder's own choice would be 8; AAC spends less than asked on two pure tones.
    assert kbits / rendered.audio.channels > (31 if form is Format.MP3 else 12)


def test_an_mp4_has_its_index_in_front(data: Path) -> None:
    content = (data / render(_job(data, format=Format.MP4)).audio.path).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("stereo", [False, True])
def test_a_recording_without_a_sample_is_still_a_file(
    data: Path, form: Format, stereo: bool
) -> None:
    """complaints 11: an empty or missing file."""
    rendered = render(_job(data, format=form, stereo=stereo, end=FIRST))
    assert (rendered.samples, rendered.silent) == (0, True)
    path = data / rendered.audio.path
    if form is Format.WAV:
        assert _wav(path).shape == (0, 2 if stereo else 1)
    else:
        assert 0 < _decoded(path).shape[1] < RATE


@pytest.mark.parametrize(("peak", "silent"), [(0, True), (32, True), (33, False), (-33, False)])
def test_silent_is_what_nobody_would_hear(tmp_path: Path, peak: int, silent: bool) -> None:
    samples = np.zeros(COUNT, np.int16)
    samples[15 * RATE] = peak
    _journal(tmp_path, Direction.SPEAK, samples)
    assert render(_job(tmp_path)).silent is silent


def test_what_the_journal_lacks_is_silence_of_the_right_length(data: Path) -> None:
    os.truncate(data / "journals/leg/speak.journal", 4096 + 2 * 100 + 1)  # torn in a sample
    heard = _wav(data / render(_job(data)).audio.path)
    assert np.array_equal(heard[:100, 0], SPEAK[:100])
    assert len(heard) == COUNT
    assert not heard[100:].any()


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
@pytest.mark.parametrize("stereo", [False, True])
def test_a_party_that_was_sent_nothing_heard_silence(data: Path, left: str, stereo: bool) -> None:
    """Its journal is created with the first sample, and the server may be killed right then."""
    (data / "journals/leg/listen.journal").unlink()
    if left == "an empty file":
        (data / "journals/leg/listen.journal").touch()
    both = _wav(data / render(_job(data, direction=Direction.BOTH, stereo=stereo)).audio.path)
    assert np.array_equal(both[:, 0], SPEAK)
    assert not both[:, 1:].any()
    rendered = render(_job(data, direction=Direction.LISTEN, stereo=stereo))
    heard = _wav(data / rendered.audio.path)
    assert heard.shape == (COUNT, 2 if stereo else 1)
    assert not heard.any()
    assert rendered.silent


def test_a_journal_of_the_party_that_is_gone_is_an_error_and_not_silence(data: Path) -> None:
    (data / "journals/leg/speak.journal").unlink()
    with pytest.raises(LocalError, match="has no journal"):
        render(_job(data))
    (data / "journals/leg/listen.journal").unlink()
    for direction in Direction:
        with pytest.raises(LocalError, match="has no journal"):
            render(_job(data, direction=direction))


def test_a_damaged_journal_or_one_of_another_rate_is_named(data: Path) -> None:
    with pytest.raises(LocalError, match=r"speak\.journal is of 8000 Hz, not 16000 Hz"):
        render(_job(data, rate=16000))
    (data / "journals/leg/speak.journal").write_bytes(b"\0" * 9999)
    with pytest.raises(LocalError, match=r"speak\.journal is damaged"):
        render(_job(data))
    assert not list(data.glob("recordings/*/*"))


def test_the_name_is_made_of_the_id_alone(data: Path) -> None:
    rendered = render(_job(data))
    folder, name = rendered.audio.path.removeprefix("recordings/").split("/")
    assert re.fullmatch(r"[0-9a-f-]{36}\.(wav|mp3|mp4)", name)
    assert folder == name[:2]
    for name in ("../../../../etc/passwd", "A" * 36, "", "0" * 36 + "\n", "0" * 35 + "/"):
        with pytest.raises(LocalError, match="is not a recording's id"):
            render(_job(data, recording_id=name))


def test_the_same_job_again_gives_the_same_file(data: Path) -> None:
    for form in Format:
        job = _job(data, format=form)
        first = render(job)
        inode = (data / first.audio.path).stat().st_ino
        assert render(job) == first
        assert (data / first.audio.path).stat().st_ino == inode


def test_another_file_of_that_name_is_never_overwritten(data: Path) -> None:
    """complaints 15."""
    job = _job(data)
    path = data / render(job).audio.path
    path.write_bytes(b"somebody else's")
    with pytest.raises(LocalError, match="holds something else"):
        render(job)
    assert path.read_bytes() == b"somebody else's"
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_render_left_behind_is_taken_over(data: Path) -> None:
    job = _job(data)
    final = data / job.path
    final.parent.mkdir(parents=True)
    final.with_name(f".{final.name}.part").write_bytes(b"\xff" * 1_000_000)
    render(job)
    assert np.array_equal(_wav(final)[:, 0], SPEAK)
    assert os.listdir(final.parent) == [final.name]


def test_two_that_render_the_same_job_at_once_both_get_the_whole_file(data: Path) -> None:
    job = _job(data, format=Format.MP3)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(render, [job] * 4))
    assert len(set(results)) == 1
    path = data / job.path
    assert os.listdir(path.parent) == [path.name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == results[0].audio.sha256


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(subject, "_sync", full)
    job = _job(data)
    with pytest.raises(LocalError, match=rf"cannot render .*{job.recording_id}.*No space left"):
        render(job)
    assert not list(data.glob("recordings/*/*"))


def test_a_folder_nobody_may_write_is_one_sentence(data: Path) -> None:
    (data / "recordings").write_text("a file where a folder should be")
    with pytest.raises(LocalError, match="cannot render"):
        render(_job(data))


def test_beyond_4_gib_a_wav_is_rf64(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered instead of writing 4 GiB; the muxer's path is the same."""
    monkeypatch.setattr(subject, "RF64_FROM", 2 * COUNT)
    path = data / render(_job(data)).audio.path
    content = path.read_bytes()
    assert content[:16] == b"RF64\xff\xff\xff\xffWAVEds64"
    riff, size, frames = struct.unpack("<QQQ", content[20:44])
    assert (riff, size, frames) == (len(content) - 8, 2 * COUNT, COUNT)
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.array_equal(heard[0], SPEAK)
    short = render(_job(data, end=FIRST + COUNT - 1)).audio.path
    assert (data / short).read_bytes()[:4] == b"RIFF"


def test_a_job_and_its_result_cross_processes(data: Path) -> None:
    job = _job(data)
    assert pickle.loads(pickle.dumps(job)) == job
    rendered = render(job)
    assert pickle.loads(pickle.dumps(rendered)) == rendered


def test_memory_does_not_grow_with_the_length(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour and a half that is a hole in the journal: never more than a chunk at a time."""
    longest = 0
    mix = subject._Source._mix

    def watched(
        self: subject._Source, sides: dict[Direction, NDArray[np.int16]], count: int
    ) -> NDArray[np.int16]:
        nonlocal longest
        longest = max(longest, count)
        return mix(self, sides, count)

    monkeypatch.setattr(subject._Source, "_mix", watched)
    rendered = render(_job(data, end=FIRST + 5400 * RATE, direction=Direction.BOTH))
    assert longest == subject.CHUNK_SECONDS * RATE
    assert rendered.audio.size_bytes == 44 + 2 * 5400 * RATE
