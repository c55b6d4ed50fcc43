"""`mediaserver call`: what is typed wrongly, what cannot be reached, and a call that works."""

from __future__ import annotations

import json
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from farend.ports import free_port
from farend.server import Server

from .conftest import Run

ROOT = Path(__file__).resolve().parents[2]
URI = "sip:voicemail@127.0.0.1"


@pytest.mark.parametrize("uri", ["voicemail", "voicemail@127.0.0.1", "http://127.0.0.1", "sip:"])
def test_what_is_no_sip_address_is_status_2(run: Run, uri: str) -> None:
    run("call", uri).assert_one_sentence(uri, "no SIP address", status=2)


@pytest.mark.parametrize("digits", ["xyz", "", "12 3"])
def test_digits_that_are_none_are_status_2(run: Run, digits: str) -> None:
    run("call", URI, "--digits", digits).assert_one_sentence("--digits", "12#", status=2)


def test_a_caller_that_is_no_address_is_status_2(run: Run) -> None:
    run("call", URI, "--from", "nobody").assert_one_sentence("--from", "nobody", status=2)


def test_a_file_that_cannot_be_played_is_told_before_the_call(run: Run, tmp_path: Path) -> None:
    run("call", URI, "--play", "no.wav").assert_one_sentence("--play no.wav", "no such file")
    (tmp_path / "text.wav").write_text("this is no sound")
    run("call", URI, "--play", "text.wav").assert_one_sentence("--play text.wav", "not audio")


def test_a_file_that_cannot_be_written_is_told_before_the_call(run: Run) -> None:
    run("call", URI, "--record", "no/x.wav").assert_one_sentence(
        "--record no/x.wav", "no folder no"
    )
    run("call", URI, "--record", "/").assert_one_sentence("--record /", "is a folder")
    run("call", URI, "--play", "/").assert_one_sentence("--play /", "is a folder")


def test_a_transport_that_is_not_spoken_is_one_sentence(run: Run) -> None:
    run("call", URI + ";transport=tls").assert_one_sentence("transport")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_where_nobody_listens_is_one_sentence(run: Run, transport: str) -> None:
    uri = f"{URI}:{free_port()};transport={transport}"
    run("call", uri).assert_one_sentence(uri, "nobody can be reached there")


def test_a_call_speaks_and_keeps_what_it_hears(run: Run, server: Server, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(4000) / 3) * 9000).astype("<i2").tobytes())
    ran = run(
        "call", f"{URI}:{server.sip_port}", "--play", "speech.wav", "--digits", "#",
        "--record", "heard.wav", "--hangup-after", "5",
    )  # fmt: skip
    assert (ran.status, ran.err) == (0, "")
    assert "answered" in ran.out
    assert "ended by" in ran.out
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert file.getframerate() == 8000


def test_the_line_of_a_call_has_the_documented_fields(run: Run, server: Server) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    run("call", f"{URI}:{server.sip_port}", "--digits", "#")
    lines: list[dict[str, object]] = []
    deadline = time.monotonic() + 5
    while not lines and time.monotonic() < deadline:
        time.sleep(0.05)
        lines = [line for line in server.lines() if line["event"] == "call ended"]
    assert {frozenset(line) for line in lines} == {frozenset(example)}


def test_a_refusal_has_its_status(run: Run, server: Server) -> None:
    uri = f"sip:nobody@127.0.0.1:{server.sip_port}"
    run("call", uri).assert_one_sentence(uri, "404", "no route for the number or name called")
