"""`mediaserver recordings` against a running server, and against what is none."""

from __future__ import annotations

import json
import threading
import time
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from farend.ports import free_port
from farend.server import KEY, PROJECT, Server
from mediaserver.audio.voice import babble
from mediaserver.cli.explain import explain

from .conftest import Run


@pytest.fixture
def recorded(run: Run, server: Server, tmp_path: Path) -> str:
    """The id of a recording that is finished."""
    speech = tmp_path / "speech.wav"
    with wave.open(str(speech), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(babble("hello")[:8000].astype("<i2").tobytes())
    uri = f"sip:voicemail@127.0.0.1:{server.sip_port}"
    assert run("call", uri, "--play", speech, "--digits", "#").status == 0
    speech.unlink()
    deadline = time.monotonic() + 20
    while True:
        listed = run("recordings", "list", "--json", "-n", "1", *_open(server)).out
        found = json.loads(listed)
        if found["state"] != "PENDING" or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert found["state"] == "SUCCEEDED"
    return str(found["name"]).rpartition("/")[2]


def _open(server: Server) -> tuple[str, str]:
    return "--config", str(server.folder / "config.yaml")


def test_a_list_shows_ids_whole_on_80_columns(
    run: Run, server: Server, recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("recordings", "list", *_open(server)).out.splitlines()
    assert any(line.rstrip().endswith(f" {recorded}") for line in lines), lines
    assert max(map(len, lines)) <= 80


def test_one_is_shown_by_id_and_by_name(run: Run, server: Server, recorded: str) -> None:
    by_id = json.loads(run("recordings", "show", recorded, *_open(server)).out)
    by_name = json.loads(run("recordings", "show", by_id["name"], *_open(server)).out)
    assert by_id["name"].startswith(f"projects/{PROJECT}/calls/")
    assert by_name["createTime"] == by_id["createTime"]


def test_a_recording_is_explained_to_people_and_to_programs(
    run: Run, server: Server, recorded: str
) -> None:
    account = json.loads(run("recordings", "explain", recorded, "--json", *_open(server)).out)
    shown = run("recordings", "explain", recorded, *_open(server)).out
    resource = json.loads(run("recordings", "show", recorded, *_open(server)).out)
    assert account == resource["x-mediaserver"]["account"]
    milliseconds = account["milliseconds"]
    total = sum(milliseconds.values())
    assert total == int(1000 * float(resource["duration"].removesuffix("s")))
    words = " ".join(shown.split())
    assert recorded in words
    assert "the key # was pressed" in words
    assert f"in all {total / 1000:.3f} s" in words
    for name, count in milliseconds.items():
        assert f"{name} {count / 1000:.3f} s" in words
    assert len(account["trace"]["spurts"]) > 0
    start, end = account["trace"]["spurts"][0]
    assert f"{start / 1000:.3f} s to {end / 1000:.3f} s" in words
    assert f"{account['leg']['packets_received']} packets" in words


def test_why_a_recording_failed_is_said_first() -> None:
    failure = {"reason": "storage_full", "message": "The server's disk was full."}
    written = StringIO()
    Console(file=written, width=100).print(explain("id", "FAILED", {}, failure))
    assert written.getvalue() == "id  FAILED\nfailed: The server's disk was full. (storage_full)\n"


def test_audio_is_written_under_the_id_or_a_name(
    run: Run, server: Server, recorded: str, tmp_path: Path
) -> None:
    ran = run("recordings", "get", recorded, *_open(server))
    assert (ran.status, ran.out, ran.err) == (0, f"{recorded}.wav\n", "")
    assert run("recordings", "get", recorded, "-o", "x.wav", *_open(server)).out == "x.wav\n"
    assert {path.name for path in tmp_path.iterdir()} == {f"{recorded}.wav", "x.wav"}
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert file.getnframes() / file.getframerate() > 0.5
    ran = run("recordings", "get", recorded, "-o", "no/x.wav", *_open(server))
    ran.assert_one_sentence("no/x.wav", "No such file")


def test_the_file_that_is_wanted_is_named_or_shows_by_the_output(
    run: Run, server: Server, recorded: str, tmp_path: Path
) -> None:
    ran = run("recordings", "get", recorded, "--audio", "mp3", *_open(server))
    assert (ran.status, ran.out) == (0, f"{recorded}.mp3\n")
    ran = run("recordings", "get", recorded, "-o", "x.MP3", "--format", "json", *_open(server))
    written = json.loads(ran.out)
    assert (written["file"], written["mimeType"]) == ("x.MP3", "audio/mpeg")
    assert written["name"].endswith(f"/recordings/{recorded}")
    assert "uri" not in written
    assert int(written["sizeBytes"]) == (tmp_path / "x.MP3").stat().st_size
    ran = run("recordings", "get", recorded, "--audio", "mp4", *_open(server))
    ran.assert_one_sentence("--audio mp4", "wav, mp3", "recording.formats")
    ran = run("recordings", "get", recorded, "--json", "-o", "-", *_open(server))
    ran.assert_one_sentence("--format json", "--output -", status=2)
    ran = run("recordings", "get", recorded, "--format", "mp3", *_open(server))
    assert ran.status == 2
    assert "--format" in ran.err


@pytest.mark.parametrize("command", ["list", "show", "explain"])
def test_every_command_prints_a_table_or_json(
    run: Run, server: Server, recorded: str, command: str
) -> None:
    words = ["recordings", command, *([] if command == "list" else [recorded]), *_open(server)]
    shown = run(*words, "--format", "json").out
    assert shown == run(*words, "--json").out
    json.loads(shown.splitlines()[0] if command == "list" else shown)
    table = run(*words, "--format", "table").out
    assert recorded in table
    assert "{" not in table


def test_what_nobody_spoke_into_has_no_audio(run: Run, server: Server) -> None:
    uri = f"sip:voicemail@127.0.0.1:{server.sip_port}"
    assert run("call", uri, "--digits", "w#").status == 0
    (newest,) = run("recordings", "list", "--json", "-n", "1", *_open(server)).out.splitlines()
    ran = run("recordings", "get", json.loads(newest)["name"], *_open(server))
    ran.assert_one_sentence("there is no audio", "EMPTY")


def test_what_is_not_there_is_one_sentence(run: Run, server: Server) -> None:
    for command in ("show", "get"):
        for name in ("nope", "../../x", "a b"):
            run("recordings", command, name, *_open(server)).assert_one_sentence("404")


def test_a_wrong_key_is_one_sentence(run: Run, server: Server) -> None:
    ran = run("recordings", "list", *_open(server), "--key", "wrong")
    ran.assert_one_sentence("401", "key")


def test_no_key_says_where_one_may_come_from(run: Run) -> None:
    run("recordings", "list").assert_one_sentence("--key", "--config")


def test_a_server_that_cannot_be_reached_is_one_sentence(run: Run) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    ran = run("recordings", "list", "--key", KEY, "--server", base)
    ran.assert_one_sentence(base, "cannot be reached")


def test_a_server_that_is_no_url_is_status_2(run: Run) -> None:
    ran = run("recordings", "list", "--key", KEY, "--server", "localhost")
    ran.assert_one_sentence("--server", "localhost", status=2)


class _Other(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(params=[b"", b"<html>", b"[1]", b"null"])
def other(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an HTTP server that is no mediaserver."""
    handler = type("Handler", (_Other,), {"answer": request.param})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_of_another_kind_is_one_sentence(run: Run, other: str) -> None:
    for command in (("list",), ("show", "x"), ("get", "x")):
        ran = run("recordings", *command, "--key", KEY, "--server", other)
        ran.assert_one_sentence(other, "does not answer as a mediaserver")


def test_one_is_deleted_by_id_and_then_it_is_gone(run: Run, server: Server, recorded: str) -> None:
    deleted = run("recordings", "delete", recorded, *_open(server))
    assert deleted.status == 0
    assert deleted.out.strip().endswith(f"/recordings/{recorded}")
    assert not [path for path in server.files() if recorded in path.name]
    for command in ("show", "delete"):
        again = run("recordings", command, recorded, *_open(server))
        again.assert_one_sentence("404", "recording not found")
