"""The command line as a user has it: arguments in, two streams and a status out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from farend.server import Server
from mediaserver import cli

STEPS: list[object] = [
    {"answer": {}},
    {"record": {"end_silence_timeout": 1, "terminators": "#"}},
    {"hangup": {}},
]


@dataclass(frozen=True)
class Ran:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    def assert_one_sentence(self, *parts: str, status: int = 1) -> None:
        """Check that it failed with one sentence that has all `parts`, and nothing else."""
        assert self.status == status, self
        (line,) = self.err.splitlines()
        assert line.startswith("mediaserver: "), line
        assert [part for part in parts if part not in line] == [], line


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["mediaserver", *map(str, arguments)])
        capfd.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return run_it


@pytest.fixture
def run_process(tmp_path: Path) -> Run:
    """Run a command in a process of its own, for those that change the process they run in."""

    def run_it(*arguments: object) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "mediaserver", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that records who calls `voicemail`."""
    running = Server(tmp_path_factory.mktemp("server"), {"voicemail": STEPS})
    running.start()
    yield running
    running.stop()
