"""`mediaserver check-config`: is this configuration right?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..config import Config, load
from ..errors import ConfigError
from ..swml.document import load as load_document
from ..swml.errors import ScriptError
from ..swml.tree import read_tree
from .sounds import missing_sounds


def check_config(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The YAML file; without it the defaults are checked."),
    ] = None,
) -> None:
    """Check a configuration and the documents its routes name, and say what it amounts to."""
    settings = load(config, os.environ)
    silent = _check_documents(settings)
    print(f"{config or 'The defaults'}: all right.")
    print(f"  SIP on {', '.join(str(listen) for listen in settings.sip.listen)}")
    print(f"  RTP on {settings.rtp.ports}, announced as {settings.media_address}")
    print(f"  HTTP on {settings.http.listen}, known as {settings.http.base_url}")
    print(f"  recordings in {settings.data_dir}")
    for route in settings.routes:
        print(f"  calls to {route.to} from {route.from_}: {route.swml}")
    for trunk in settings.trunks:
        print(f"  calls to numbers {trunk.numbers}: {trunk.uri}")
    if not settings.routes:
        print("  no routes: every call will be answered 404")
    if not settings.api_keys:
        print("  no api_keys: the REST API will refuse everybody")
    if "signing_key" not in settings.model_fields_set:
        print("  no signing_key: one is made at each start, with which nobody can verify callbacks")
    for note in silent:
        print(f"  {note}")


def _check_documents(settings: Config) -> list[str]:
    """Check the scripts; return what they play that is not there."""
    problems: list[tuple[str, str]] = []
    silent: list[str] = []
    for key, path in _documents(settings):
        try:
            text = path.read_bytes()
            load_document(text, allow_files=True)
            silent += (
                f"{key}: {where}: there is no {sound}, and it will be left out"
                for where, sound in missing_sounds(read_tree(text), path.parent)
            )
        except OSError as error:
            problems.append((key, f"{path}: {error.strerror}"))
        except ScriptError as error:
            problems.append((key, f"{path}: {error}"))
    if problems:
        (key, problem), *rest = problems
        raise ConfigError(key, "\n".join([problem, *(f"{k}: {p}" for k, p in rest)]))
    return silent


def _documents(settings: Config) -> Iterator[tuple[str, Path]]:
    """Yield each document that is a file, after its key."""
    for number, route in enumerate(settings.routes):
        if not route.is_url:
            yield f"routes[{number}].swml", Path(route.swml)
        if route.apology is not None:
            yield f"routes[{number}].on_failure", route.apology
