"""SIPp: runs a scenario in bounded time and says how many calls went well."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from .ports import free_port

SCENARIOS = Path(__file__).resolve().parent.parent / "interop" / "scenarios"


async def run_sipp(
    scenario: str,
    server: tuple[str, int],
    folder: Path,
    *,
    transport: str = "udp",
    user: str = "mailbox",
    calls: int = 1,
    rate: int = 10,
    values: Mapping[str, str] | None = None,
    rows: str | None = None,
    timeout: float = 40.0,  # noqa: ASYNC109
) -> None:
    """Let SIPp place `calls` calls to `user`; AssertionError unless all of them succeed.

    `values` fill the words in double braces of the scenario; `rows` is the text of an injection
    file, whose first column is the caller.
    """
    path = _write_scenario(scenario, folder, values or {})
    arguments = [
        f"{server[0]}:{server[1]}",
        *("-sf", str(path), "-s", user, "-m", str(calls), "-l", str(calls), "-r", str(rate)),
        *("-t", "t1" if transport == "tcp" else "u1", "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *("-p", str(free_port()), "-nostdin"),
        *("-timeout", f"{timeout:.0f}s", "-timeout_error", "-trace_err"),
    ]
    if rows is not None:
        (folder / "rows.csv").write_text(rows)
        arguments += ["-inf", str(folder / "rows.csv")]
    process = await _start(folder, arguments)
    await _end(process, folder, scenario, timeout)


@asynccontextmanager
async def waiting_sipp(
    scenario: str, folder: Path, port: int, values: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Let SIPp be called at `port`, once; AssertionError unless that succeeds."""
    path = _write_scenario(scenario, folder, values or {})
    process = await _start(
        folder,
        [
            *("-sf", str(path), "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-t", "u1"),
            *("-p", str(port), "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err"),
        ],
    )
    try:
        while not _is_taken(port):
            assert process.returncode is None, _errors(folder)
            await asyncio.sleep(0.02)
        yield
    except BaseException:
        process.kill()
        await process.wait()
        raise
    await _end(process, folder, scenario, 30)


async def _start(folder: Path, arguments: list[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        shutil.which("sipp") or "sipp",
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _end(
    process: asyncio.subprocess.Process,
    folder: Path,
    scenario: str,
    timeout: float,  # noqa: ASYNC109
) -> None:
    """Wait for the end of its calls, which must all have succeeded."""
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout + 10)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"SIPp does not end: {scenario}") from None
    tail = output.decode(errors="replace")[-3000:]
    assert process.returncode == 0, f"SIPp: {process.returncode}\n{_errors(folder)}\n{tail}"


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _write_scenario(scenario: str, folder: Path, values: Mapping[str, str]) -> Path:
    """Fill in a scenario; return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (SCENARIOS / scenario).read_text()
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    path = folder / scenario
    path.write_text(text)
    return path


def _errors(folder: Path) -> str:
    """Return the end of what SIPp complained of."""
    texts = [path.read_text(errors="replace") for path in folder.glob("*_errors.log")]
    return "".join(texts)[-3000:]
