"""`mediaserver check-config`: is this configuration right?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..config import Config, load
from ..config.remarks import remarks
from ..errors import ConfigError
from ..swml.document import load as load_document
from ..swml.errors import ScriptError
from ..swml.loose_ends import loose_ends
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
    notes = _check_documents(settings)
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
        print(
            "  no signing_key: one is made at each start, so nobody can verify callbacks,"
            " and download links end with the process"
        )
    for key, remark in remarks(settings):
        print(f"  {key}: {remark}")
    for note in notes:
        print(f"  {note}")


def _check_documents(settings: Config) -> list[str]:
    """Check the scripts; return what is worth knowing of those that are right.

    That is what they play, and where they go, that is not there.
    """
    problems: list[tuple[str, str]] = []
    notes: list[str] = []
    for key, path in settings.documents():
        try:
            text = path.read_bytes()
            document = load_document(text, allow_files=True)
            notes += (
                f"{key}: {where}: {why}; a call that comes here fails"
                for where, why in loose_ends(document)
            )
            notes += (
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
    return notes
