"""Renders: the wav is the journal bit for bit, the others have its length, a kill costs nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import hashlib
import os
import pickle
import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from farend.journals import FIRST, RATE, job_for, played, wav_samples, write_journal
from mediaserver.errors import LocalError
from mediaserver.recording import encoding
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Rendered, RenderJob, Target
from mediaserver.recording.resource import Audio, Direction, Format
from mediaserver.recording.track import CHUNK_FRAMES, Track

COUNT = 25 * RATE + 7  # more than two chunks, and no multiple of anything
_RNG = np.random.default_rng(1)
SPEAK = _RNG.integers(-32768, 32768, COUNT).astype(np.int16)
LISTEN = _RNG.integers(-32768, 32768, COUNT).astype(np.int16)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_journal(tmp_path, SPEAK)
    write_journal(tmp_path, LISTEN, Direction.LISTEN)
    return tmp_path


def _job(data: Path, *formats: Format, **changes: Any) -> RenderJob:
    return job_for(data, COUNT, *formats, **changes)


def _only(rendered: Rendered) -> Audio:
    (audio,) = rendered.audio
    return audio


def _wav(data: Path, **changes: Any) -> NDArray[np.int16]:
    return wav_samples(data / _only(render(_job(data, **changes))).path)


def test_a_wav_is_the_journal_bit_for_bit(data: Path) -> None:
    job = _job(data, start=FIRST + 123, end=FIRST + 20 * RATE)
    rendered = render(job)
    path = data / _only(rendered).path
    assert np.array_equal(wav_samples(path)[:, 0], SPEAK[123 : 20 * RATE])
    assert rendered.samples == 20 * RATE - 123
    assert not rendered.silent
    assert path.stat().st_size == 44 + 2 * rendered.samples == _only(rendered).size_bytes
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _only(rendered).sha256
    assert (_only(rendered).sample_rate, _only(rendered).channels) == (RATE, 1)


def test_the_wav_header_is_the_plain_one_of_44_bytes(data: Path) -> None:
    """complaints 13: sizes that are zero or stale."""
    head = (data / _only(render(_job(data))).path).read_bytes()[:44]
    fields = struct.unpack("<4sI4s4sIHHIIHH4sI", head)
    size = 2 * COUNT
    assert fields == (
        b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", size,
    )  # fmt: skip


def test_stereo_has_the_voice_on_the_left_and_what_it_hears_on_the_right(data: Path) -> None:
    both = _wav(data, direction=Direction.BOTH, stereo=True)
    assert np.array_equal(both, np.stack([SPEAK, LISTEN], axis=1))
    speak = wav_samples(
        data / _only(render(_job(data, direction=Direction.SPEAK, stereo=True))).path
    )
    assert np.array_equal(speak, np.stack([SPEAK, np.zeros(COUNT)], axis=1))
    listen = wav_samples(
        data / _only(render(_job(data, direction=Direction.LISTEN, stereo=True))).path
    )
    assert np.array_equal(listen, np.stack([np.zeros(COUNT), LISTEN], axis=1))


def test_mono_of_both_directions_is_their_sum_and_saturates(data: Path) -> None:
    mixed = _wav(data, direction=Direction.BOTH)
    total = np.clip(SPEAK.astype(int) + LISTEN, -32768, 32767)
    assert np.array_equal(mixed[:, 0], total)
    listen = _wav(data, direction=Direction.LISTEN)
    assert np.array_equal(listen[:, 0], LISTEN)


@pytest.mark.parametrize("form", [Format.MP3, Format.MP4])
@pytest.mark.parametrize("stereo", [False, True])
def test_compressed_files_have_the_length_the_rate_and_the_sound(
    tmp_path: Path, form: Format, stereo: bool
) -> None:
    time = np.arange(COUNT) / RATE
    left, right = (np.asarray(9000 * np.sin(2 * np.pi * hz * time), np.int16) for hz in (440, 1300))
    write_journal(tmp_path, left)
    write_journal(tmp_path, right, Direction.LISTEN)
    rendered = render(_job(tmp_path, form, direction=Direction.BOTH, stereo=stereo))
    heard, _ = played(tmp_path / _only(rendered).path)
    assert heard.shape[0] == (2 if stereo else 1) == _only(rendered).channels
    assert COUNT <= heard.shape[1] <= COUNT + 1024
    spectrum = np.abs(np.fft.rfft(heard[:, RATE : 11 * RATE], axis=1))
    expected = [[440], [1300]] if stereo else [[440, 1300]]
    for channel, tones in enumerate(expected):
        peaks = np.argsort(spectrum[channel])[-len(tones) :]
        assert sorted(peaks / 10) == pytest.approx(tones, abs=0.2)
    kbits = 8 * _only(rendered).size_bytes / (COUNT / RATE) / 1000
    # The mp3 encoder's own choice would be 8; AAC spends less than asked on two pure tones.
    assert kbits / _only(rendered).channels > (31 if form is Format.MP3 else 12)


def test_an_mp4_has_its_index_in_front(data: Path) -> None:
    content = (data / _only(render(_job(data, Format.MP4))).path).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("stereo", [False, True])
def test_a_recording_without_a_sample_is_still_a_file(
    data: Path, form: Format, stereo: bool
) -> None:
    """complaints 11: an empty or missing file."""
    rendered = render(_job(data, form, stereo=stereo, end=FIRST))
    assert (rendered.samples, rendered.silent) == (0, True)
    path = data / _only(rendered).path
    if form is Format.WAV:
        assert wav_samples(path).shape == (0, 2 if stereo else 1)
    else:
        assert 0 < played(path)[0].shape[1] < RATE


@pytest.mark.parametrize(("peak", "silent"), [(0, True), (32, True), (33, False), (-33, False)])
def test_silent_is_what_nobody_would_hear(tmp_path: Path, peak: int, silent: bool) -> None:
    samples = np.zeros(COUNT, np.int16)
    samples[15 * RATE] = peak
    write_journal(tmp_path, samples)
    assert render(_job(tmp_path)).silent is silent


def test_what_the_journal_lacks_is_silence_of_the_right_length(data: Path) -> None:
    os.truncate(data / "journals/leg/speak.journal", 4096 + 2 * 100 + 1)  # torn in a sample
    heard = _wav(data)
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
    both = wav_samples(
        data / _only(render(_job(data, direction=Direction.BOTH, stereo=stereo))).path
    )
    assert np.array_equal(both[:, 0], SPEAK)
    assert not both[:, 1:].any()
    rendered = render(_job(data, direction=Direction.LISTEN, stereo=stereo))
    heard = wav_samples(data / _only(rendered).path)
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
    folder, name = _only(rendered).path.removeprefix("recordings/").split("/")
    assert re.fullmatch(r"[0-9a-f-]{36}\.(wav|mp3|mp4)", name)
    assert folder == name[:2]
    for name in ("../../../../etc/passwd", "A" * 36, "", "0" * 36 + "\n", "0" * 35 + "/"):
        with pytest.raises(LocalError, match="is not a recording's id"):
            render(_job(data, recording_id=name))


def test_the_same_job_again_gives_the_same_file(data: Path) -> None:
    for form in Format:
        job = _job(data, form)
        first = render(job)
        path = data / _only(first).path
        inode = path.stat().st_ino
        assert render(job) == first
        assert path.stat().st_ino == inode


def test_another_file_of_that_name_is_never_overwritten(data: Path) -> None:
    """complaints 15."""
    job = _job(data)
    path = data / _only(render(job)).path
    path.write_bytes(b"somebody else's")
    with pytest.raises(LocalError, match="holds something else"):
        render(job)
    assert path.read_bytes() == b"somebody else's"
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_render_left_behind_is_taken_over(data: Path) -> None:
    job = _job(data)
    final = data / job.path(job.targets[0])
    final.parent.mkdir(parents=True)
    final.with_name(f".{final.name}.part").write_bytes(b"\xff" * 1_000_000)
    render(job)
    assert np.array_equal(wav_samples(final)[:, 0], SPEAK)
    assert os.listdir(final.parent) == [final.name]


def test_two_that_render_the_same_job_at_once_both_get_the_whole_file(data: Path) -> None:
    job = _job(data, Format.MP3)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(render, [job] * 4))
    assert len(set(results)) == 1
    path = data / job.path(job.targets[0])
    assert os.listdir(path.parent) == [path.name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _only(results[0]).sha256


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
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
    monkeypatch.setattr(encoding, "RF64_FROM", 2 * COUNT)
    path = data / _only(render(_job(data))).path
    content = path.read_bytes()
    assert content[:16] == b"RF64\xff\xff\xff\xffWAVEds64"
    riff, size, frames = struct.unpack("<QQQ", content[20:44])
    assert (riff, size, frames) == (len(content) - 8, 2 * COUNT, COUNT)
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.array_equal(heard[0], SPEAK)
    short = _only(render(_job(data, end=FIRST + COUNT - 1))).path
    assert (data / short).read_bytes()[:4] == b"RIFF"


def test_a_job_and_its_result_cross_processes(data: Path) -> None:
    job = _job(data)
    assert pickle.loads(pickle.dumps(job)) == job
    rendered = render(job)
    assert pickle.loads(pickle.dumps(rendered)) == rendered


def test_memory_does_not_grow_with_the_length(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour and a half that is a hole in the journal: never more than a chunk at a time."""
    longest = 0
    read = Track.read

    def watched(self: Track, begin: int, end: int) -> NDArray[np.int16]:
        nonlocal longest
        longest = max(longest, end - begin)
        return read(self, begin, end)

    monkeypatch.setattr(Track, "read", watched)
    rendered = render(_job(data, end=FIRST + 5400 * RATE, direction=Direction.BOTH))
    assert longest == CHUNK_FRAMES * RATE // 50
    assert _only(rendered).size_bytes == 44 + 2 * 5400 * RATE


FORMATS = (Format.WAV, Format.MP3, Format.MP4)


def test_every_format_is_made_in_one_pass_over_the_journal(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [_only(render(_job(data, form))).sha256 for form in FORMATS]
    reads: list[tuple[int, int]] = []
    read = Track.read

    def counted(self: Track, begin: int, end: int) -> NDArray[np.int16]:
        reads.append((begin, end))
        return read(self, begin, end)

    monkeypatch.setattr(Track, "read", counted)
    rendered = render(_job(data, *FORMATS))
    assert [audio.format for audio in rendered.audio] == list(FORMATS)
    assert [audio.sha256 for audio in rendered.audio] == alone
    chunk = CHUNK_FRAMES * RATE // 50
    ends = [*range(chunk, COUNT, chunk), COUNT]
    # The first chunk twice: there is sound in it.
    assert [end for _, end in reads] == [chunk, *ends]


def test_a_silent_recording_is_made_as_it_was_asked_for_and_no_other(tmp_path: Path) -> None:
    write_journal(tmp_path, np.full(COUNT, 5, np.int16))
    job = _job(tmp_path, Format.MP3, Format.WAV, Format.MP4)
    rendered = render(job)
    assert rendered.silent
    assert rendered.samples == COUNT
    path = tmp_path / _only(rendered).path
    assert _only(rendered).format is Format.MP3
    assert os.listdir(path.parent) == [path.name]


def test_renditions_have_files_of_their_own(data: Path) -> None:
    job = _job(data)
    first = render(job)
    later = replace(job, targets=(Target(format=Format.WAV, rendition=3),), start=FIRST + 5)
    assert _only(render(later)).path.endswith(f"{job.recording_id}-3.wav")
    assert render(job) == first


def test_a_conflict_on_one_name_leaves_no_other_file(data: Path) -> None:
    job = _job(data, Format.WAV, Format.MP3)
    taken = data / job.path(job.targets[1])
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody else's")
    with pytest.raises(LocalError, match=r"\.mp3 exists already and holds something else"):
        render(job)
    assert os.listdir(taken.parent) == [taken.name]


def test_jobs_that_name_their_files_in_another_order_do_not_wait_for_each_other(
    data: Path,
) -> None:
    job = _job(data, *FORMATS, peaks=True)
    jobs = [replace(job, targets=targets) for targets in (job.targets, job.targets[::-1])] * 4
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(render, jobs, timeout=120))
    assert {frozenset(rendered.audio) for rendered in results} == {frozenset(results[0].audio)}


@pytest.mark.parametrize("room", [0, 100, 60_000, 150_000])
def test_a_disk_that_is_full_on_the_way_leaves_nothing(data: Path, room: int) -> None:
    """With a real limit, by which writing fails in the middle of each of the files in turn."""
    job = _job(data, *FORMATS, peaks=True)
    code = (
        "import pickle, resource, signal, sys\n"
        "from mediaserver.recording.render import render\n"
        "from mediaserver.errors import LocalError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "job = pickle.loads(sys.stdin.buffer.read())\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try:\n"
        "    render(job)\n"
        "except LocalError as error:\n"
        "    sys.stderr.write(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(job), capture_output=True, check=True
    )
    assert b"cannot render" in done.stderr
    assert b"File too large" in done.stderr
    assert not list(data.glob("recordings/*/*"))


def test_a_render_killed_at_any_moment_leaves_no_file_and_the_next_makes_them_all(
    data: Path,
) -> None:
    job = _job(data, *FORMATS, peaks=True, end=FIRST + 60 * RATE)
    code = (
        "import pickle, sys\n"
        "from mediaserver.recording.render import render\n"
        "job = pickle.loads(sys.stdin.buffer.read())\n"
        "print(flush=True)\n"
        "render(job)\n"
    )
    seen = {}
    for delay in (0.0, 0.02, 0.06, 0.12, 0.2):
        worker = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(pickle.dumps(job))
        worker.stdin.close()
        worker.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(delay)
        worker.kill()
        worker.wait()
        worker.stdout.close()
        for path in data.glob("recordings/*/*[!t]"):  # not those that are called .part
            seen[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    rendered = render(job)
    names = {Path(audio.path).name for audio in rendered.audio} | {f"{job.recording_id}.peaks"}
    assert {path.name for path in data.glob("recordings/*/*")} == names
    for audio in rendered.audio:
        digest = hashlib.sha256((data / audio.path).read_bytes()).hexdigest()
        assert digest == audio.sha256 == seen.get(Path(audio.path).name, digest)
