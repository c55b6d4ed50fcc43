"""The documentation is run: its examples work and its links lead somewhere."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediaserver import app
from mediaserver.audio.vad import vad_setting
from mediaserver.calls import registry as calls
from mediaserver.calls.description import describe_call
from mediaserver.calls.services import Identity
from mediaserver.config import load as load_config
from mediaserver.errors import ConfigError
from mediaserver.recording.announcement import Envelope, announce
from mediaserver.recording.resource import (
    Audio,
    Direction,
    Format,
    Pause,
    PauseBehavior,
    PostProcessing,
    Recording,
    Source,
    Span,
)
from mediaserver.recording.states import State, StopReason
from mediaserver.sip.message import Request, parse_message
from mediaserver.store import renderer
from mediaserver.swml import document
from mediaserver.swml.errors import Code, ScriptError
from mediaserver.swml.methods.method import Method
from mediaserver.swml.methods.record import RECORD
from mediaserver.swml.methods.registry import METHODS
from mediaserver.web import delivery
from mediaserver.web.errors import ApiError, error_body, not_found
from mediaserver.web.relay_recordings import relay_error, relay_view
from mediaserver.web.signatures import (
    RECORDING_READY,
    EnfonicaSigner,
    Signer,
    derived_enfonica_key,
)
from mediaserver.web.views import recording_view

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SWML = ROOT / "docs" / "swml.md"


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
    stop_reason=StopReason.TERMINATOR,
    stop_digit="#",
    pauses=(Pause(start=0, behavior=PauseBehavior.SKIP, end=4000),),
    post_processing=(PostProcessing.TRIM_SILENCE,),
    ready_uri="https://app.example.com/ready",
    expires_at=2 * SECOND,
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
    shown = recording_view(RECORDING, lambda audio: f"https://media.example.com/r.{audio.format}")
    examples = [json.loads(source) for source in blocks(ROOT / "docs" / "rest.md", "json")]
    documented = next(e for e in examples if "recordings" in e)
    assert shape(documented["recordings"][0]) == shape(shown)


def test_the_documented_relay_item_has_exactly_the_fields_that_are_shown() -> None:
    (documented,) = example(ROOT / "docs" / "rest.md", "links")["data"]
    assert shape(documented) == shape(relay_view(RECORDING, "https://media.example.com"))
    told = example(ROOT / "docs" / "rest.md", "errors")
    detail = told["errors"][0]["detail"]
    assert told == json.loads(relay_error(ApiError(422, detail)))


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
    event, ready = RECORDING_READY, (names["ready_url"], names["ready_body"])
    assert EnfonicaSigner(names["ready_key"]).headers(event, *ready) == {
        "X-Enfonica-Event": event,
        "X-Enfonica-Signature": names["ready_signature"],
    }
    assert derived_enfonica_key(names["key"]) == names["derived_key"]


def shape(value: Any) -> Any:
    """Return the names and kinds of `value` without what it says."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def test_documented_scripts_are_accepted() -> None:
    scripts = blocks(SWML, "yaml")
    assert scripts
    for source in scripts:
        document.load(source)


@pytest.mark.parametrize(
    "name",
    [
        "after_hours.yaml",
        "announce.yaml",
        "conference.yaml",
        "consent.yaml",
        "menu.yaml",
        "record_and_connect.yaml",
        "record_call.yaml",
        "voicemail.yaml",
    ],
)
def test_the_scripts_that_come_with_it_are_accepted(name: str) -> None:
    document.load((ROOT / "config" / name).read_bytes())


def test_the_table_of_methods_is_that_of_the_registry() -> None:
    text = SWML.read_text().partition("<!-- methods")[2].partition("-->\n")[2]
    documented = text.partition("<!-- end of methods -->")[0].strip()
    assert documented == methods_table()


def methods_table() -> str:
    """Return what docs/swml.md says of the methods, made of the registry."""
    known = [METHODS[name] for name in sorted(METHODS)]
    lines = [
        "| method | parameters, with their defaults | checked, and not carried out |",
        "|---|---|---|",
        *(
            f"| `{m.name}` | {signature(m, used=True)} | {signature(m, used=False)} |"
            for m in known
            if m.carried_out
        ),
        "",
        f"Understood and not carried out, `{Code.METHOD_EXECUTE_FAILED}` at the step:",
        "",
        "| method | parameters, with their defaults |",
        "|---|---|",
        *(f"| `{m.name}` | {signature(m, used=True)} |" for m in known if not m.carried_out),
    ]
    return "\n".join(lines)


def signature(method: Method, *, used: bool) -> str:
    """Return the parameters of a method: alternatives first, then the others and their defaults."""
    if method.whole:
        return "none: see [below](#branches-jumps-subroutines)" if used else ""
    named = []
    if used and method.exactly_one:
        named.append(" or ".join(f"`{name}`" for name in method.exactly_one))
    for parameter in method.parameters:
        if parameter.name not in method.exactly_one and parameter.used == used:
            default = written(parameter.default)
            named.append(f"`{parameter.name}`" + (f" ({default})" if default else ""))
    return ", ".join(named)


def written(default: object) -> str:
    """Return a default as a script would have it, nothing for none."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, frozenset | tuple):
        return ",".join(sorted(default))
    return "" if default in (None, {}) else str(default)


def rows(page: Path, first: str) -> list[list[str]]:
    """Return the cells of a page's table whose first heading is `first`, without backquotes."""
    lines = page.read_text().partition(f"\n| {first} |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_parameters_of_record_are_those_of_the_method() -> None:
    documented = [(name, default) for name, default, _ in rows(SWML, "parameter")]
    assert documented == [(p.name, written(p.default) or "none") for p in RECORD.parameters]


def test_the_documented_curve_of_sensitivity_is_the_one_that_holds() -> None:
    table = [[float(cell) for cell in row] for row in rows(SWML, "`input_sensitivity` | mode")]
    assert [sensitivity for sensitivity, *_ in table] == [0, 25, 44, 50, 75, 100]
    for sensitivity, mode, floor, margin in table:
        setting = vad_setting(sensitivity)
        assert setting.mode == mode
        assert setting.floor_dbov == pytest.approx(floor)
        assert setting.margin_db == pytest.approx(margin)


def test_the_documented_codes_are_those_that_scripts_are_refused_with() -> None:
    sources = (ROOT / "mediaserver" / "swml").rglob("*.py")
    text = "".join(path.read_text() for path in sources if path.name != "errors.py")
    used = {Code[name] for name in re.findall(r"\bCode\.([A-Z_]+)", text)}
    cells = " ".join(row[0] for row in rows(SWML, "code"))
    assert set(re.findall(r"relay_script_\w+", cells)) == used


def test_the_documented_error_is_the_one_that_is_told() -> None:
    told = example(SWML, "event_type")["params"]["error"]
    steps = [{"answer": {}}, {"answer": {}}, {"record": {"max_lenght": 3}}]
    script = json.dumps({"sections": {"main": steps}})
    with pytest.raises(ScriptError) as refused:
        document.load(script)
    error = refused.value
    assert told == {"code": error.code, "path": error.path, "message": error.message}


INVITE = (
    b"INVITE sip:voicemail@192.0.2.10 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:+4930123456@trunk.example.com>;tag=1\r\n"
    b"To: <sip:voicemail@192.0.2.10>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    b"Contact: <sip:trunk@198.51.100.7:5060>\r\nX-Account: 17\r\nContent-Length: 0\r\n\r\n"
)


def test_the_documented_request_for_a_script_is_the_one_that_is_sent() -> None:
    call = example(SWML, "call")["call"]
    request = parse_message(INVITE)
    assert isinstance(request, Request)
    identity = Identity(
        project_id=call["project_id"], space_id=call["space_id"], node_id=call["node_id"]
    )
    assert call == describe_call(call["call_id"], request, identity)


def test_the_documented_problems_are_what_check_config_says(tmp_path: Path) -> None:
    (told,) = blocks(ROOT / "docs" / "configuration.md", "text")
    file = tmp_path / "config.yaml"
    file.write_text("sip: {advertis: 192.0.2.10}\nrtp: {ports: 10001-20000}\n")
    with pytest.raises(ConfigError) as wrong:
        load_config(file, {})
    assert told == f"mediaserver: {wrong.value}\n"


def test_systemd_waits_longer_than_a_stop_takes() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    work = 2 * calls.LAST_WORK  # of calls, and of a recovery
    under_way = renderer.CLOSING + delivery.GRACE + 5.0  # the last is WebServer.stop's
    longest = app.GRACE + work + app.LAST_CALLBACKS + under_way
    (waits,) = re.findall(r"TimeoutStopSec=(\d+)", text)
    assert f"{longest:g} seconds" in text
    assert f"{app.GRACE:g} seconds" in text
    assert f"{calls.LAST_WORK:g} seconds" in text
    assert int(waits) > longest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:tests|mediaserver|config|scripts|docs|\.ci)/[\w./-]*)`", page.read_text()
    )
    missing = {name for name in named if not (ROOT / name).exists()}
    assert {name for name in missing if not (ROOT / f"{name}.py").exists()} == set()


def test_every_module_that_contributors_are_sent_to_exists() -> None:
    folders = "audio|calls|net|recording|rtp|sdp|sip|store|swml|web"
    named = re.findall(rf"`((?:{folders})/\w+)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert named
    package = ROOT / "mediaserver"
    gone = {name for name in named if not (package / name).with_suffix(".py").exists()}
    assert {name for name in gone if not (package / name).is_dir()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) - targets == set()
    commands = {"serve", "check-config", "call", "recordings", "demo"}
    assert set(re.findall(r"bin/mediaserver ([a-z][a-z-]*)", text)) - commands == set()


def example(page: Path, key: str) -> Any:
    """Return the JSON example of a page that has `key`."""
    return next(e for e in map(json.loads, blocks(page, "json")) if key in e)


def test_every_dependency_has_its_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"]
    for extra in setup["options.extras_require"].values():
        wanted += extra
    names = {re.split(r"[\[<>=]", line)[0] for line in wanted.split()}
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in names if f"`{name}`" not in text} == set()
