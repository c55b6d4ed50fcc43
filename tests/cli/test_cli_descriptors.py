"""`serve` and the number of files it may have open."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.ports import free_port

RAISE = (
    "import resource; from mediaserver.cli.descriptors import raise_limit; raise_limit({}, {});"
    "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
)


def run_limited(hard: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where 256 descriptors are allowed at first, and `hard` if asked for."""
    shell = f'ulimit -Sn 256 && ulimit -Hn {hard} && exec "$0" "$@"'
    return subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_process_may_open_what_the_system_lets_it() -> None:
    done = run_limited(2000, "-c", RAISE.format(240, 20))
    assert done.stdout == "(2000, 2000)\n", done
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("calls", "pace", "needed", "enough"), [(241, 20, 2004, 240), (900, 10_000, 6400, 0)]
)
def test_too_few_for_the_calls_there_may_be_is_told(
    calls: int, pace: int, needed: int, enough: int
) -> None:
    done = run_limited(2000, "-c", RAISE.format(calls, pace))
    assert "(2000, 2000)" in done.stdout, done
    said = done.stdout + done.stderr
    for part in ("limits.max_calls", "LimitNOFILE", "2000", str(needed), str(enough)):
        assert part in said


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", free_port()))
        yield udp.getsockname()[1]


def test_serve_asks_for_what_its_limits_need(busy: int, tmp_path: Path) -> None:
    """Its port is taken, so it ends at once."""
    (tmp_path / "c.yaml").write_text(
        f"sip: {{listen: ['udp:127.0.0.1:{busy}']}}\n"
        f"http: {{listen: '127.0.0.1:{free_port()}'}}\n"
        f"data_dir: '{tmp_path}'\n"
        "limits: {max_calls: 500, max_calls_per_second: 10}\n"
    )
    done = run_limited(2000, "-m", "mediaserver", "serve", "--config", str(tmp_path / "c.yaml"))
    assert "enough_for_calls" in done.stderr
    assert "3020" in done.stderr
