from __future__ import annotations

import wave
from pathlib import Path

import pytest

from scripts import interop_tools


@pytest.fixture
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(interop_tools.REQUIRE, raising=False)
    nothing = {
        name: interop_tools.Tool(name, tool.package, tool.proves, tool.program, tmp_path / "no")
        for name, tool in interop_tools.TOOLS.items()
    }
    monkeypatch.setattr(interop_tools, "TOOLS", nothing)
    monkeypatch.setattr(
        interop_tools, "missing", lambda names=nothing: [nothing[name] for name in names]
    )


@pytest.mark.usefixtures("_bare_machine")
def test_what_is_left_out_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(tool.present for tool in interop_tools.TOOLS.values())
    assert interop_tools.main(["--report"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "calls from SIPp" in out
    assert out.endswith(
        "apt-get install sip-tester baresip-core asterisk-core-sounds-en-wav "
        "asterisk-core-sounds-it-wav pocketsphinx-testdata\n"
    )


@pytest.mark.usefixtures("_bare_machine")
def test_where_nothing_may_be_left_out_a_missing_tool_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(interop_tools.REQUIRE, "1")
    assert interop_tools.main(["--report"]) == 1
    assert "sip-tester" in capsys.readouterr().err


def test_nothing_is_said_when_all_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interop_tools, "missing", list)
    assert interop_tools.main(["--report"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.interop("speech")
def test_the_speech_is_what_its_fixture_says(speech_files: tuple[Path, ...]) -> None:
    assert len(speech_files) > 100
    for path in speech_files[:20]:
        with wave.open(str(path)) as file:
            assert file.getparams()[:3] == (1, 2, 8000)
            assert file.getnframes() >= 8000


@pytest.mark.interop("pocketsphinx")
def test_the_wideband_speech_is_what_its_fixture_says(
    wideband_speech_files: tuple[Path, ...],
) -> None:
    assert wideband_speech_files
    for path in wideband_speech_files:
        with wave.open(str(path)) as file:
            assert file.getparams()[:3] == (1, 2, 16000)
