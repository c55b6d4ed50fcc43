"""The sound files that a script names, and that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ..swml.actions import FileAudio
from ..swml.source import SourceError, parse_source

_PLAYED: Final = {"play": ("url", "urls"), "prompt": ("play",), "connect": ("ringback",)}
"""The parameters that name what is played, by their method."""


def missing_sounds(tree: Any, folder: Path, where: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the place and the path of each file in a checked script at `folder` that is not there.

    A name with variables in it is known only in a call, and left out.
    """
    if isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from missing_sounds(item, folder, f"{where}[{number}]")
    elif isinstance(tree, dict):
        for name, value in tree.items():
            place = f"{where}.{name}".lstrip(".")
            yield from missing_sounds(value, folder, place)
            if isinstance(value, dict):
                for parameter in _PLAYED.get(name, ()):
                    yield from _missing(value.get(parameter), folder, f"{place}.{parameter}")


def _missing(sources: Any, folder: Path, where: str) -> Iterator[tuple[str, Path]]:
    for source in sources if isinstance(sources, list) else [sources]:
        if not isinstance(source, str) or "${" in source or "%{" in source:
            continue
        try:
            named = parse_source(source, allow_files=True, filled_in=False)
        except SourceError:
            continue
        if isinstance(named, FileAudio) and not (path := folder / named.path).is_file():
            yield where, path
