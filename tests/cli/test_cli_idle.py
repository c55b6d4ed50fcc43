"""What a server that has nothing to do has not loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from mediaserver import cli

LATER: Final = (
    "OpenSSL",  # these four: what aiortc brings with itself
    "aioice",
    "aiortc",
    "cryptography",
    "alembic",  # with the first database of an older program
    "av",  # FFmpeg: with the first file that is played
    "dns",  # with the first name that is looked up
    "mediaserver.phone",  # for other commands
    "pylibsrtp",  # with the first call that is, or may be, encrypted
    "numpy.polynomial",  # with the first recording that is resampled
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
)
"""Each of them is megabytes and tens of milliseconds of every start."""

SERVE: Final = """
import asyncio, pathlib, sys
from mediaserver import cli

cli.commands("serve")

from mediaserver.app import Server
from mediaserver.config import load

async def idle():
    server = Server(load(pathlib.Path(sys.argv[1]), {}))
    await server.start()
    print("loaded:", *sorted(set(sys.argv[2:]) & sys.modules.keys()))
    await server.stop(0)

asyncio.run(idle())
"""


def test_an_idle_server_has_not_loaded_what_it_may_never_need(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "{sip: {listen: ['udp:127.0.0.1:0']}, http: {listen: '127.0.0.1:0'}, data_dir: data}"
    )
    command = [sys.executable, "-c", SERVE, str(config), *LATER]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    told = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("loaded:")]
    assert told == [[]]


@pytest.mark.parametrize("wanted", ["serve", "check-config", "call", "recordings", "demo"])
def test_each_command_is_found_by_its_name(wanted: str) -> None:
    def names(app: typer.Typer) -> list[str]:
        group = get_command(app)
        assert isinstance(group, TyperGroup)
        return list(group.commands)

    assert names(cli.commands(wanted)) == [wanted]
    assert wanted in names(cli.commands(None))
