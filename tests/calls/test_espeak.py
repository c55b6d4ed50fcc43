"""Texts that a program speaks: what it is given, what it may take, and what is kept."""

from __future__ import annotations

import asyncio
import io
import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediaserver.calls import espeak
from mediaserver.calls.espeak import Espeak, voice_of
from mediaserver.errors import LocalError, PeerError
from mediaserver.swml.actions import Speaker
from mediaserver.swml.limits import MAX_SPEECH

VOICE = Speaker()


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, 8000, 0, "NONE", ""))
        audio.writeframes((np.arange(800) % 99).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Espeak]:
    """Makes an engine of a shell script; a line goes to `runs` for each of its processes."""
    (tmp_path / "audio.wav").write_bytes(wav())

    def make(script: str = "cat > text; cat audio.wav") -> Espeak:
        path = tmp_path / "speak"
        path.write_text(f'#!/bin/sh\ncd {tmp_path}\necho "$@" >> runs\n{script}\n')
        path.chmod(0o755)
        return Espeak(str(path))

    return make


def runs(tmp_path: Path) -> list[str]:
    return (tmp_path / "runs").read_text().splitlines()


def runs_still(pid: Path) -> bool:
    """Tell whether the process that wrote its number, if it came to that, is there."""
    return pid.exists() and Path(f"/proc/{pid.read_text().strip()}").exists()


async def test_a_text_is_spoken_once_and_kept(
    program: Callable[[], Espeak], tmp_path: Path
) -> None:
    engine = program()
    one, other = await asyncio.gather(*(engine.speak("--help ü", VOICE, 8000) for _ in range(2)))
    assert one is other
    assert np.array_equal(one, np.arange(800) % 99)
    assert await engine.speak("--help ü", VOICE, 8000) is one
    assert (tmp_path / "text").read_text() == "--help ü\n"
    assert runs(tmp_path) == ["--stdin --stdout -v en-us+f2"]
    await engine.speak("--help ü", Speaker(gender="male"), 8000)
    assert len(runs(tmp_path)) == 2


async def test_what_was_not_wanted_for_longest_makes_room(
    program: Callable[[], Espeak], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "KEPT", 2 * 1600)
    engine = program()
    for text in ("a", "b", "a", "c", "a", "b"):
        await engine.speak(text, VOICE, 8000)
    assert len(runs(tmp_path)) == 4  # b again


async def test_no_program_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"speech\.engine: .*cannot be started"):
        await Espeak(str(tmp_path / "none")).speak("x", VOICE, 8000)


async def test_a_program_that_hangs_is_ended(
    program: Callable[[str], Espeak], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "TIMEOUT", 0.3)
    engine = program("echo $$ > pid; exec sleep 60")
    with pytest.raises(LocalError, match="not spoken within"):
        await engine.speak("x", VOICE, 8000)
    assert not runs_still(tmp_path / "pid")


async def test_audio_without_an_end_is_refused(
    program: Callable[[str], Espeak], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "MOST_OCTETS", 1 << 20)
    with pytest.raises(PeerError, match="too long"):
        await program("exec cat /dev/zero").speak("x", VOICE, 8000)


async def test_a_voice_there_is_not_is_a_sentence(program: Callable[[str], Espeak]) -> None:
    with pytest.raises(PeerError, match="no voice for de-de"):
        await program("exit 1").speak("x", Speaker("de-DE"), 8000)


async def test_texts_and_how_many_wait_have_limits(
    program: Callable[[str], Espeak], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "MOST_WAITING", 2)
    engine = program("exec sleep 60")
    with pytest.raises(PeerError, match="5000 are the most"):
        await engine.speak("x" * (MAX_SPEECH + 1), VOICE, 8000)
    assert (await engine.speak("  ", VOICE, 8000)).size == 0
    waiting = [asyncio.ensure_future(engine.speak(text, VOICE, 8000)) for text in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(LocalError, match="wait to be spoken"):
        await engine.speak("c", VOICE, 8000)
    await engine.close()
    assert all(
        isinstance(x, BaseException) for x in await asyncio.gather(*waiting, return_exceptions=True)
    )


@pytest.mark.parametrize(
    ("speaker", "voice"),
    [
        (Speaker(), "en-us+f2"),
        (Speaker("de-DE", "male"), "de-de+m3"),
        (Speaker("en-US", "female", "Polly.Salli"), "en-us+f2"),
        (Speaker("en-US", "female", "fr-FR-Wavenet-A"), "fr-fr+f2"),
        (Speaker("zh", "neutral"), "zh"),
    ],
)
def test_a_speaker_becomes_a_voice(speaker: Speaker, voice: str) -> None:
    assert voice_of(speaker) == voice


@pytest.mark.parametrize("language", ["", "-v", "en US", "../../etc", "e" * 99])
def test_what_is_no_language_never_reaches_the_program(language: str) -> None:
    with pytest.raises(PeerError, match="is no language"):
        voice_of(Speaker(language))


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_the_program_itself_speaks() -> None:
    engine = Espeak()
    said = await engine.speak("Good morning.", VOICE, 8000)
    assert 0.3 < said.size / 8000 < 5
    assert np.abs(said.astype(int)).max() > 3000
    with pytest.raises(PeerError, match="no voice for xx"):
        await engine.speak("Good morning.", Speaker("xx-XX"), 8000)
