"""`mediaserver recordings`: ask a running server for its recordings."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, Final

import aiohttp
import typer
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from ..errors import LocalError
from .explain import explain
from .rest import Api
from .usage import UsageFault

STDOUT: Final = Path("-")


class Shown(StrEnum):
    """How something is printed."""

    TABLE = "table"
    JSON = "json"


class Audio(StrEnum):
    """The files of a recording, by the end of their names."""

    WAV = "wav"
    MP3 = "mp3"
    MP4 = "mp4"


TYPES: Final = {Audio.WAV: "audio/x-wav", Audio.MP3: "audio/mpeg", Audio.MP4: "audio/mp4"}


app = typer.Typer(help="List, show, explain, download and delete recordings.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The server's YAML file: address, project and key."),
]
ServerOption = Annotated[
    str | None, typer.Option("--server", help="Base URL, such as http://127.0.0.1:8080.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="API key.")]
FormatOption = Annotated[
    Shown, typer.Option("--format", help="table is for people, json for programs.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


@app.command("list")
def list_recordings(
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many at most.")] = 20,
    shown: FormatOption = Shown.TABLE,
    as_json: JsonOption = False,
) -> None:
    """List the newest recordings; as JSON, one a line."""
    found = asyncio.run(_list(Api.of(config, server, key), count))
    if as_json or shown is Shown.JSON:
        for recording in found:
            print(json.dumps(recording))
        return
    table = Table("created", "state", "seconds", box=None, pad_edge=False)
    # An id that is cut off is of no use; these columns fit 80 characters.
    table.add_column("id", no_wrap=True, min_width=36)
    for recording in found:
        table.add_row(
            recording["createTime"][:19].replace("T", " "),
            recording["state"],
            _seconds(recording.get("duration", "")),
            recording["name"].rpartition("/")[2],
        )
    Console().print(table if found else "No recordings yet.")


@app.command()
def show(
    recording: Annotated[str, typer.Argument(help="Its id, or its whole name.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    shown: FormatOption = Shown.JSON,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of a recording, as JSON unless --format says otherwise."""
    found = asyncio.run(_show(Api.of(config, server, key), recording))
    if as_json or shown is Shown.JSON:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _entries(found):
        table.add_row(Text(name), Text(value, overflow="fold"))
    Console().print(table)


@app.command("explain")
def explain_recording(
    recording: Annotated[str, typer.Argument(help="Its id, or its whole name.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    shown: FormatOption = Shown.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Say why a recording stopped, and where every millisecond of it came from."""
    found = asyncio.run(_show(Api.of(config, server, key), recording))
    known = found.get("x-mediaserver", {})
    account, failure = known.get("account"), known.get("failure")
    if account is None and failure is None:
        raise LocalError(f"nothing was noted of {found['name']}")
    if as_json or shown is Shown.JSON:
        print(json.dumps((account or {}) | ({"failure": failure} if failure else {}), indent=2))
    else:
        name = found["name"].rpartition("/")[2]
        Console().print(explain(name, found["state"], account or {}, failure))


@app.command()
def delete(
    recording: Annotated[str, typer.Argument(help="Its id, or its whole name.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
) -> None:
    """Delete a recording for good, with every byte of it."""
    print(asyncio.run(_delete(Api.of(config, server, key), recording)))


@app.command()
def get(
    recording: Annotated[str, typer.Argument(help="Its id, or its whole name.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to (- for standard output); default: its id, here."
        ),
    ] = None,
    audio: Annotated[
        Audio | None,
        typer.Option(
            "--audio", help="Which of its files; default: as --output ends, or else the first."
        ),
    ] = None,
    shown: FormatOption = Shown.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Download a recording's audio, and print where it was written."""
    whole = as_json or shown is Shown.JSON
    if whole and output == STDOUT:
        raise UsageFault("--format json: with --output - standard output is for the audio")
    if audio is None and output is not None and output.suffix[1:].lower() in set(Audio):
        audio = Audio(output.suffix[1:].lower())
    written = asyncio.run(_download(Api.of(config, server, key), recording, output, audio))
    if whole:
        print(json.dumps(written))
    elif output != STDOUT:
        print(written["file"])


async def _list(api: Api, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = {"pageSize": str(min(count, 100))}
    async with api.session() as session:
        while len(found) < count:
            page = await api.get(session, f"/v1beta1/projects/{api.project}/recordings", **query)
            found += page.get("recordings", [])
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = page["nextPageToken"]
    return found[:count]


async def _show(api: Api, recording: str) -> dict[str, Any]:
    async with api.session() as session:
        return await api.find(session, recording)


async def _delete(api: Api, recording: str) -> str:
    """Delete a recording; return its name."""
    async with api.session() as session:
        name: str = (await api.delete(session, api.name(recording)))["name"]
        return name


async def _download(
    api: Api, recording: str, output: Path | None, audio: Audio | None
) -> dict[str, Any]:
    """Write a file of a recording; return what it is, and where it was written."""
    async with api.session() as session:
        resource = await api.find(session, recording)
        chosen = _choose(resource, audio)
        suffix = next((a for a, kind in TYPES.items() if kind == chosen["mimeType"]), Audio.WAV)
        path = output or Path(f"{resource['name'].rpartition('/')[2]}.{suffix}")
        written = {"name": resource["name"], "file": str(path), **chosen}
        del written["uri"]
        try:
            if path == STDOUT:
                await _fetch(session, chosen["uri"], path.name, sys.stdout.buffer)
                return written
            part = path.with_name(path.name + ".part")
            with part.open("wb") as file:
                await _fetch(session, chosen["uri"], path.name, file)
            part.replace(path)
        except aiohttp.ClientError as error:
            raise LocalError(f"the download broke off: {error}") from None
        except OSError as error:
            raise LocalError(f"--output {path}: {error.strerror}") from None
        return written


def _choose(resource: dict[str, Any], audio: Audio | None) -> dict[str, Any]:
    """Return the file that is wanted; LocalError with those there are, if it is none of them."""
    files: list[dict[str, Any]] = resource.get("audio") or []
    if not files:
        raise LocalError(f"there is no audio: the recording is {resource['state']}")
    if audio is None:
        return files[0]
    for file in files:
        if file["mimeType"] == TYPES[audio]:
            return file
    there = ", ".join(
        name for name, kind in TYPES.items() if kind in {f["mimeType"] for f in files}
    )
    raise LocalError(f"--audio {audio}: the recording has {there} (recording.formats)")


async def _fetch(session: aiohttp.ClientSession, uri: str, name: str, file: IO[bytes]) -> None:
    """Write what is at `uri` to `file`, with progress on a terminal."""
    async with session.get(uri) as response:
        if response.status != 200:
            raise LocalError(f"the download was refused with status {response.status}")
        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        with Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        ) as progress:
            task = progress.add_task(name, total=response.content_length)
            async for chunk in response.content.iter_chunked(1 << 16):
                file.write(chunk)
                progress.advance(task, len(chunk))


def _entries(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names and the values of what is in some JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in inner:
        here = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
        if isinstance(entry, dict | list) and entry:
            yield from _entries(entry, here)
        else:
            yield here, entry if isinstance(entry, str) else json.dumps(entry)


def _seconds(duration: str) -> str:
    """Return a proto3 Duration with one decimal place; empty if there is none."""
    try:
        return f"{float(duration.removesuffix('s')):.1f}"
    except ValueError:
        return ""
