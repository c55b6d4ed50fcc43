"""What every test can use: the `interop` marker and speech that people recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from farend.speech import prompt_files
from scripts import interop_tools

REAL_TIME = frozenset(
    (
        "interop",
        "net",
        "test_server_account",
        "test_server_attacks",
        "test_server_clock",
        "test_server_disk",
        "test_server_matrix",
        "test_server_network",
        "test_server_record",
    )
)
"""Folders and files that take turns: they make so many calls at once, or look so closely at when
something happens, that two of them would disturb each other, or they have ports or calls in common.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each of several processes file after file, and one of them what takes turns."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _turn
    return scheduler


def _turn(nodeid: str) -> str:
    file = Path(nodeid.partition("::")[0])
    return "real time" if REAL_TIME & {file.parent.name, file.stem} else str(file)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Leave the log set up as it was found: what another test captures depends on its level."""
    found = structlog.get_config()
    yield
    structlog.configure(**found)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `interop("sipp", ...)` where a tool it names is missing, or fail it.

    Without names the marker asks for every tool.
    """
    for marker in item.iter_markers("interop"):
        _need(*marker.args)


def _need(*names: str) -> None:
    absent = interop_tools.missing(names or interop_tools.TOOLS)
    if not absent:
        return
    reason = interop_tools.sentence(absent)
    if interop_tools.required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def speech_files() -> tuple[Path, ...]:
    """Recorded speech: wav, 16 bit, mono, 8000 Hz, each a second or longer, sorted by name."""
    _need("speech")
    return prompt_files(interop_tools.ASTERISK_SPEECH)


@pytest.fixture(scope="session")
def italian_speech_files() -> tuple[Path, ...]:
    """The same by another voice in another language."""
    _need("italian")
    return prompt_files(interop_tools.ITALIAN_SPEECH)


@pytest.fixture(scope="session")
def wideband_speech_files() -> tuple[Path, ...]:
    """Recorded speech: wav, 16 bit, mono, 16000 Hz, sorted by name."""
    _need("pocketsphinx")
    return tuple(sorted(interop_tools.POCKETSPHINX_SPEECH.rglob("*.wav")))
