"""The documentation is run: its examples work and its links lead somewhere."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediaserver.recording.announcement import Envelope, announce
from mediaserver.recording.resource import Audio, Direction, Format, Recording, Source, Span
from mediaserver.recording.states import State
from mediaserver.web.errors import error_body, not_found
from mediaserver.web.signatures import Signer
from mediaserver.web.views import recording_view

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SCRIPT_PAGES = [ROOT / "docs" / "swml.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_json_and_yaml_examples_are_valid(page: Path) -> None:
    for source in blocks(page, "python"):
        exec(compile(source, page.name, "exec"), {"__name__": "example"})
    for source in blocks(page, "json"):
        json.loads(source)
    for source in blocks(page, "yaml"):
        yaml.safe_load(source)


SECOND = 1_000_000
RECORDING = Recording(
    id="r",
    project_id="p",
    call_id="c",
    control_id="k",
    source=Source.RECORD_ACTION,
    state=State.FINISHED,
    format=Format.WAV,
    direction=Direction.SPEAK,
    stereo=False,
    status_url="https://app.example.com/",
    created_at=0,
    started_at=0,
    span=Span(journal="j", rate=8000, start=0, end=8000),
    ended_at=SECOND,
    duration_us=SECOND,
    audio=(
        Audio(
            format=Format.WAV,
            path="r.wav",
            size_bytes=16044,
            sample_rate=8000,
            channels=1,
            sha256="",
        ),
    ),
)


def test_the_documented_callback_has_exactly_the_fields_that_are_sent() -> None:
    envelope = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")
    sent = announce(RECORDING, envelope, "https://media.example.com/r", SECOND)
    assert sent is not None
    examples = [json.loads(source) for source in blocks(ROOT / "docs" / "rest.md", "json")]
    documented = next(e for e in examples if e.get("event_type") == "calling.call.record")
    assert shape(documented) == shape(json.loads(sent.body))


def test_the_documented_resource_has_exactly_the_fields_that_are_shown() -> None:
    shown = recording_view(RECORDING, lambda format: f"https://media.example.com/r.{format}")
    examples = [json.loads(source) for source in blocks(ROOT / "docs" / "rest.md", "json")]
    documented = next(e for e in examples if "recordings" in e)
    assert shape(documented["recordings"][0]) == shape(shown)


def test_the_documented_error_is_the_one_that_is_answered() -> None:
    examples = [json.loads(source) for source in blocks(ROOT / "docs" / "rest.md", "json")]
    documented = next(e for e in examples if "error" in e)
    assert documented == json.loads(error_body(404, not_found("recording").reason))


def test_the_documented_way_to_verify_accepts_what_the_server_signs() -> None:
    (source,) = blocks(ROOT / "docs" / "rest.md", "python")
    names: dict[str, Any] = {}
    exec(compile(source, "rest.md", "exec"), names)
    headers = Signer(names["key"]).request_headers(names["url"], names["body"])
    assert headers == {
        "X-Signalwire-Signature": names["sha1"],
        "X-Signalwire-SHA256-Signature": names["sha256"],
    }


def shape(value: Any) -> Any:
    """Return the names and kinds of `value` without what it says."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


@pytest.mark.parametrize("page", SCRIPT_PAGES, ids=lambda page: page.name)
def test_documented_scripts_are_accepted(page: Path) -> None:
    document = pytest.importorskip("mediaserver.swml.document")
    scripts = blocks(page, "yaml")
    assert scripts
    for source in scripts:
        document.load(source)


def test_every_dependency_has_its_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"]
    for extra in setup["options.extras_require"].values():
        wanted += extra
    names = {re.split(r"[\[<>=]", line)[0] for line in wanted.split()}
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in names if f"`{name}`" not in text} == set()
