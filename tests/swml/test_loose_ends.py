"""What a document names that is not there, told before a call comes to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter
from mediaserver.swml.loose_ends import loose_ends

AROUND = "in this section, or in the blocks around"


def ends(*main: Any, **sections: Any) -> list[tuple[str, str]]:
    return list(loose_ends(load(json.dumps({"sections": {"main": main, **sections}}))))


def test_a_label_that_is_nowhere_is_told_with_its_place_and_what_was_meant() -> None:
    assert ends({"label": "again"}, {"goto": {"label": "agian"}}) == [
        (
            "sections.main[1].goto.label",
            f'there is no label "agian" {AROUND}; did you mean again?',
        )
    ]


def test_a_label_counts_in_its_section_and_from_the_blocks_in_it_alone() -> None:
    inside = [{"label": "inner"}, {"goto": {"label": "outer"}}, {"goto": {"label": "inner"}}]
    cond = {"cond": [{"when": "true", "then": inside}]}
    found = ends({"goto": {"label": "inner"}}, cond, {"label": "outer"}, {"goto": {"label": "far"}},
                 other=[{"label": "far"}])  # fmt: skip
    assert [path for path, _ in found] == [
        "sections.main[0].goto.label",
        "sections.main[3].goto.label",
    ]


@pytest.mark.parametrize(
    "step",
    [
        {"execute": {"dest": "mneu"}},
        {"transfer": {"dest": " mneu "}},
        {"connect": {"to": "sip:a@b", "transfer_after_bridge": "mneu"}},
    ],
)
def test_a_section_that_is_not_there_is_told(step: Any) -> None:
    ((path, why),) = ends(
        {"switch": {"variable": "x", "case": {"1": [step]}}}, menu=[{"hangup": {}}]
    )
    ((method, params),) = step.items()
    name = next(name for name, value in params.items() if "mneu" in str(value))
    assert path == f'sections.main[0].switch.case["1"][0].{method}.{name}'
    assert why == 'there is no section "mneu"; did you mean menu?'


@pytest.mark.parametrize(
    "dest",
    [
        "main",
        "https://a.example/x",
        "${vars.next}",
        "a%{x}",
        '{"sections": {"main": [{"hangup": {}}]}}',
    ],
)
def test_what_may_be_there_is_not_told(dest: str) -> None:
    assert ends({"execute": {"dest": dest}}, {"transfer": {"dest": dest}}) == []


def test_a_document_in_a_text_is_looked_at_too() -> None:
    inner = json.dumps({"sections": {"main": [{"goto": {"label": "x"}}]}})
    (loose, refused) = ends({"transfer": {"dest": inner}}, {"execute": {"dest": '{"sections": 1}'}})
    assert loose == (
        "sections.main[0].transfer.dest",
        f'in the document in it: sections.main[0].goto.label: there is no label "x" {AROUND}',
    )
    assert refused[0] == "sections.main[1].execute.dest"
    assert "sections: must be a map" in refused[1]


@pytest.mark.parametrize("dest", ["sip:bob@b.example", "+4930123456"])
def test_who_is_to_be_called_is_no_place_to_go_to(dest: str) -> None:
    ((_, why),) = ends({"transfer": {"dest": dest}})
    assert why.endswith("; numbers and SIP addresses are called by connect")


@pytest.mark.parametrize("step", [{"goto": {"label": "x"}}, {"transfer": {"dest": "x"}}])
def test_such_a_document_is_run_up_to_that_step(step: Any) -> None:
    document = load(json.dumps({"sections": {"main": [{"answer": {}}, step]}}))
    interpreter = Interpreter(document, {})
    interpreter.next()
    interpreter.complete()
    with pytest.raises(ScriptError):
        interpreter.next()
