"""`serve` and `demo` where a port is taken, and a command that is interrupted."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.ports import free_port
from mediaserver.cli.serve import lacks_signing_key
from mediaserver.config import load

from .conftest import Run


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that others have, over TCP and UDP."""
    port = free_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        udp.bind(("127.0.0.1", port))
        tcp.bind(("127.0.0.1", port))
        tcp.listen()
        yield port


@pytest.mark.parametrize("key", ["sip.listen", "http.listen"])
def test_serve_names_the_setting_whose_port_is_taken(
    run_process: Run, busy: int, key: str, tmp_path: Path
) -> None:
    sip = busy if key == "sip.listen" else free_port()
    web = busy if key == "http.listen" else free_port()
    (tmp_path / "c.yaml").write_text(
        f"sip: {{listen: ['udp:127.0.0.1:{sip}']}}\nhttp: {{listen: '127.0.0.1:{web}'}}\n"
    )
    run_process("serve", "--config", "c.yaml").assert_one_sentence(key, str(busy))


PUBLIC = "sip: {listen: ['udp:0.0.0.0:0'], advertise: 192.0.2.1}\n"
ROUTES = "routes: [{to: '*', swml: 'https://app.example/swml'}]\n"


def test_serve_says_at_its_start_that_nobody_can_verify_what_it_signs(
    run_process: Run, busy: int, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(PUBLIC + ROUTES + f"http: {{listen: '127.0.0.1:{busy}'}}\n")
    ran = run_process("serve", "--config", "c.yaml")
    told = [line for line in (ran.out + ran.err).splitlines() if "signing_key" in line]
    assert len(told) == 1
    assert "MEDIASERVER_SIGNING_KEY" in told[0]
    assert '"level": "warning"' in told[0]


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        ("", False),
        (ROUTES, False),
        (PUBLIC, False),
        (PUBLIC + ROUTES, True),
        (PUBLIC + "api_keys: [k]\n", True),
        (ROUTES + "http: {public_url: 'https://media.example'}\n", True),
        (PUBLIC + ROUTES + "signing_key: s\n", False),
    ],
)
def test_who_needs_no_signing_key_is_not_told_of_it(
    settings: str, lacks: bool, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(settings)
    assert lacks_signing_key(load(path, {})) is lacks


@pytest.mark.parametrize("option", ["--sip-port", "--http-port", "--callback-port"])
def test_the_demo_names_the_option_that_chooses_another_port(
    run_process: Run, busy: int, option: str
) -> None:
    others = {"--sip-port", "--http-port", "--callback-port"} - {option}
    free = [part for other in sorted(others) for part in (other, free_port())]
    ran = run_process("demo", option, busy, *free)
    ran.assert_one_sentence(option, str(busy))
    assert ran.out == ""


def test_a_number_that_is_no_port_is_status_2(run: Run) -> None:
    ran = run("demo", "--sip-port", "99999")
    assert ran.status == 2
    assert "--sip-port" in ran.err


def test_a_demo_without_its_file_is_one_sentence(run: Run) -> None:
    run("demo", "--play", "no.wav").assert_one_sentence("--play no.wav", "no such file")


def test_an_interrupted_call_is_status_130_without_a_word(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(20)
        uri = f"sip:nobody@127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "mediaserver", "call", uri]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as caller:
            silent.recv(4096)
            caller.send_signal(signal.SIGINT)
            _, err = caller.communicate(timeout=20)
    assert (caller.returncode, err) == (130, b"")
