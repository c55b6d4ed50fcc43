"""`mediaserver recordings`: ask a running server for its recordings."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Final

import aiohttp
import typer
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from ..config import load
from ..errors import LocalError
from .explain import explain
from .usage import UsageFault

STDOUT: Final = Path("-")

app = typer.Typer(help="List, show, explain, download and delete recordings.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The server's YAML file: address, project and key."),
]
ServerOption = Annotated[
    str | None, typer.Option("--server", help="Base URL, such as http://127.0.0.1:8080.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="API key.")]


@dataclass(frozen=True, slots=True)
class Api:
    """A server's REST API and what opens it."""

    base: str
    project: str
    key: str

    @classmethod
    def of(cls, config: Path | None, server: str | None, key: str | None) -> Api:
        """Return the API the options name; LocalError if no key is to be found."""
        settings = load(config, os.environ)
        if key is None and settings.api_keys:
            key = settings.api_keys[0].key.get_secret_value()
        if key is None:
            raise LocalError(
                "no API key: give --key KEY, --config FILE with api_keys in it, "
                "or MEDIASERVER_API_KEYS in the environment"
            )
        base = (server or settings.http.base_url).rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise UsageFault(f"--server: {base} is no URL such as http://127.0.0.1:8080")
        return cls(base, str(settings.project_id), key)

    def session(self) -> aiohttp.ClientSession:
        """Return an HTTP session that presents the key."""
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"})

    async def get(self, session: aiohttp.ClientSession, path: str, **query: str) -> dict[str, Any]:
        """Return the JSON at a path; LocalError with the server's own sentence if it refuses."""
        return await self._ask(session, "GET", path, query)

    async def delete(self, session: aiohttp.ClientSession, name: str) -> dict[str, Any]:
        """Delete the recording with a name, and return it; LocalError as for `get`."""
        return await self._ask(session, "DELETE", f"/v1beta1/{name}", {})

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, query: dict[str, str]
    ) -> dict[str, Any]:
        try:
            async with session.request(method, f"{self.base}{path}", params=query) as response:
                body = await response.json(content_type=None)
                if response.status != 200:
                    raise LocalError(f"{response.status}: {body['error']['message']}")
                if not isinstance(body, dict):
                    raise TypeError
                return body
        except aiohttp.ClientConnectionError:
            raise LocalError(f"{self.base} cannot be reached: is the server running?") from None
        except (aiohttp.ClientError, ValueError, KeyError, TypeError):
            raise LocalError(f"{self.base} does not answer as a mediaserver") from None

    async def find(self, session: aiohttp.ClientSession, recording: str) -> dict[str, Any]:
        """Return the recording with a name, or an id, with all that is known of it."""
        return await self.get(session, f"/v1beta1/{self.name(recording)}", view="FULL")

    def name(self, recording: str) -> str:
        """Return the name of a recording, given that or its id."""
        if "/" in recording:
            return recording
        return f"projects/{self.project}/calls/-/recordings/{recording}"


@app.command("list")
def list_recordings(
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one a line.")] = False,
) -> None:
    """List the newest recordings."""
    found = asyncio.run(_list(Api.of(config, server, key), count))
    if as_json:
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
) -> None:
    """Show all that is known of a recording, as JSON."""
    print(json.dumps(asyncio.run(_show(Api.of(config, server, key), recording)), indent=2))


@app.command("explain")
def explain_recording(
    recording: Annotated[str, typer.Argument(help="Its id, or its whole name.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say why a recording stopped, and where every millisecond of it came from."""
    found = asyncio.run(_show(Api.of(config, server, key), recording))
    known = found.get("x-mediaserver", {})
    account, failure = known.get("account"), known.get("failure")
    if account is None and failure is None:
        raise LocalError(f"nothing was noted of {found['name']}")
    if as_json:
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
) -> None:
    """Download a recording's audio."""
    path = asyncio.run(_download(Api.of(config, server, key), recording, output))
    if path is not None:
        print(path)


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


async def _download(api: Api, recording: str, output: Path | None) -> Path | None:
    """Write a recording's audio; return the file, None for standard output."""
    async with api.session() as session:
        resource = await api.find(session, recording)
        if not resource.get("audio"):
            raise LocalError(f"there is no audio: the recording is {resource['state']}")
        audio = resource["audio"][0]
        suffix = {"audio/mpeg": ".mp3", "audio/mp4": ".mp4"}.get(audio["mimeType"], ".wav")
        path = output or Path(resource["name"].rpartition("/")[2] + suffix)
        try:
            if path == STDOUT:
                await _fetch(session, audio["uri"], path.name, sys.stdout.buffer)
                return None
            part = path.with_name(path.name + ".part")
            with part.open("wb") as file:
                await _fetch(session, audio["uri"], path.name, file)
            part.replace(path)
        except aiohttp.ClientError as error:
            raise LocalError(f"the download broke off: {error}") from None
        except OSError as error:
            raise LocalError(f"--output {path}: {error.strerror}") from None
        return path


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


def _seconds(duration: str) -> str:
    """Return a proto3 Duration with one decimal place; empty if there is none."""
    try:
        return f"{float(duration.removesuffix('s')):.1f}"
    except ValueError:
        return ""
