"""A corpus of documents, good and bad: what is refused and how, and what SignalWire's schema says.

Each file of `corpus` has `good` documents by name, and `bad` ones with the code and the path they
are refused with. A document that is a step stands for one with that step alone; what is wrong
with a bad one is wrong in one place only.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter
from mediaserver.swml.methods.registry import METHODS
from mediaserver.swml.tree import read_tree

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).resolve().parents[2]
FIRST = "sections.main[0]"

NEWER = "in the published specification, not yet in the schema of the SDK"
TEXT = "any text to the schema; what it says is checked here"
RANGE = "any number to the schema; its range is checked here"
RULE = "a rule the specification has in words"
OURS = "an extension of ours"

DIFFERENCES = {
    "answer: an unknown codec": TEXT,
    "answer: no seconds": RANGE,
    "conference: a stream": NEWER,
    "conference: an unknown region": TEXT,
    "conference: several events": NEWER,
    "conference: types of events": NEWER,
    "connect: a SIP URI without a host": TEXT,
    "connect: a confirmation that leads elsewhere deep down": RULE,
    "connect: a confirmation with a stream": NEWER,
    "connect: a destination with a result of its own": RULE,
    "connect: a header of the server's own": TEXT,
    "connect: a header of two lines": TEXT,
    "connect: a name": NEWER,
    "connect: a name alone": TEXT,
    "connect: a queue without end": RULE,
    "connect: a status URL": NEWER,
    "connect: a stream over HTTP": TEXT,
    "connect: a stream with all its own": NEWER,
    "connect: an empty row": RANGE,
    "connect: an unknown codec": TEXT,
    "document: a section without steps": "its own error in the specification",
    "flow: a condition that is no JavaScript": TEXT,
    "flow: a variable nobody can name": TEXT,
    "flow: an answer that is no JavaScript": TEXT,
    "flow: no conditions": RANGE,
    "flow: two elses": RULE,
    "others: a refer to a telephone": TEXT,
    "others: an unknown detector": TEXT,
    "others: nobody who waits": RULE,
    "play: a file": OURS,
    "play: a status URL of another scheme": TEXT,
    "play: an empty list": RANGE,
    "prompt: a key nobody has": TEXT,
    "prompt: less than no time": RANGE,
    "prompt: no digits": RANGE,
    "record: no length": RANGE,
    "record: post-processing": OURS,
    "record: too sensitive": RANGE,
    "record_call: post-processing": OURS,
    "request: a header of the connection": RULE,
    "request: another scheme": TEXT,
    "request: less than no time": RANGE,
    "send_digits: a letter no key has": TEXT,
    "streams: a stream": NEWER,
    "streams: a stream with all of it": NEWER,
    "streams: a tap by HTTP": TEXT,
    "streams: a tap without a port": TEXT,
    "streams: an odd packet": RANGE,
    "streams: the end of a stream": NEWER,
    "unsupported: a message with a callback": NEWER,
    "unsupported: a transcript of it all": NEWER,
    "unsupported: the end of it all": NEWER,
}
"""Where the schema judges otherwise than we do, and why. What we alone accept is good in the
corpus, what we alone refuse is bad."""


@dataclass(frozen=True)
class Example:
    """A document of the corpus."""

    name: str
    document: Any
    refusal: tuple[str, str] | None
    """Code and path it is refused with; None: it is right."""


def examples() -> list[Example]:
    """Read the corpus."""
    found: list[Example] = []
    for file in sorted(CORPUS.glob("*.yaml")):
        written = read_tree(file.read_text())
        whole = file.stem == "document"
        for name, document in written["good"].items():
            text = document if whole else {"sections": {"main": [document]}}
            found.append(Example(f"{file.stem}: {name}", text, None))
        for name, (code, path, document) in written["bad"].items():
            text = document if whole else {"sections": {"main": [document]}}
            place = path if whole else f"{FIRST}.{path}"
            if path.startswith("["):
                place = f"{FIRST}{path}"
            found.append(Example(f"{file.stem}: {name}", text, (code, place)))
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Draft202012Validator:
    """The schema that comes with SignalWire's SDK, as the SDK itself uses it."""
    try:
        files = importlib.metadata.files("signalwire-sdk") or []
    except importlib.metadata.PackageNotFoundError:
        if os.environ.get("MEDIASERVER_REQUIRE_INTEROP"):
            raise
        pytest.skip("signalwire-sdk is not installed: make installs it, without what it needs")
    (schema,) = (file for file in files if file.as_posix() == "signalwire/schema.json")
    return jsonschema_rs.Draft202012Validator(json.loads(schema.read_text()))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_document_is_accepted_or_refused_where_it_is_wrong(example: Example) -> None:
    text = json.dumps(example.document)
    if example.refusal is None:
        load(text)
        return
    with pytest.raises(ScriptError) as refused:
        load(text)
    code = refused.value.code.removeprefix("relay_script_")
    assert (code, refused.value.path) == example.refusal


def test_the_official_schema_judges_alike_but_for_what_is_listed(
    official: jsonschema_rs.Draft202012Validator,
) -> None:
    differing = {
        example.name
        for example in EXAMPLES
        if official.is_valid(example.document) != (example.refusal is None)
    }
    assert differing == set(DIFFERENCES)


SCRIPTS = [
    file for file in sorted((ROOT / "config").glob("*.yaml")) if "\nsections:" in file.read_text()
]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_the_official_schema_accepts_the_scripts_that_come_with_it(
    file: Path, official: jsonschema_rs.Draft202012Validator
) -> None:
    official.validate(read_tree(file.read_text()))


def steps_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every method with its parameters that stands anywhere in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in METHODS:
                yield name, inner
            yield from steps_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from steps_in(inner)


def test_every_parameter_of_every_method_is_in_a_good_document() -> None:
    used: set[str] = set()
    for example in EXAMPLES:
        if example.refusal is None:
            for name, params in steps_in(example.document["sections"]):
                used.add(name)
                used |= {f"{name}.{key}" for key in (params if isinstance(params, dict) else ())}
    for method in METHODS.values():
        assert method.name in used
        if not method.whole:
            assert {f"{method.name}.{p.name}" for p in method.parameters} <= used


def test_every_parameter_of_every_method_that_is_carried_out_is_wrong_in_a_bad_document() -> None:
    places = {example.refusal[1] for example in EXAMPLES if example.refusal is not None}
    for method in METHODS.values():
        begin = f"{FIRST}.{method.name}"
        assert any(place.startswith(begin) for place in places)
        if method.carried_out and not method.whole:
            for parameter in method.parameters:
                here = f"{begin}.{parameter.name}"
                assert any(place.startswith(here) for place in places), here


ODD: list[Any] = [None, True, -1, 1e300, "", "${a}", "x" * 300, [], [[]], {}, {"to": 5}, [{"": {}}]]


def with_one_value_odd(value: Any, odd: Any) -> Iterator[Any]:
    """Yield a document as often as it has values, each time with another of them replaced."""
    yield odd
    if isinstance(value, dict):
        for key, inner in value.items():
            for changed in with_one_value_odd(inner, odd):
                yield {**value, key: changed}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for changed in with_one_value_odd(inner, odd):
                yield [*value[:index], changed, *value[index + 1 :]]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:10])
def test_whatever_stands_in_a_document_it_runs_or_is_refused(odd: Any) -> None:
    accepted = 0
    for example in EXAMPLES:
        if example.refusal is not None:
            continue
        for changed in with_one_value_odd(example.document["sections"]["main"][0], odd):
            text = json.dumps({"sections": {"main": [changed], "other": [{"sleep": 1}]}})
            try:
                Interpreter(load(text), {"a": 5}).next()
            except ScriptError:
                continue
            accepted += 1
    assert accepted
