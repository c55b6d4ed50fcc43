"""`calling.detect`: its defaults, what it refuses, and that it is passed on."""

from __future__ import annotations

from typing import Any

import pytest

from farend.control import Control
from mediaserver.audio.answering import MachineRules
from mediaserver.audio.single_tone import FaxTone
from mediaserver.calls.commands.detecting import StartDetection, StopDetection
from mediaserver.calls.detection import DetectOrder, DigitRules

PATH = "/api/calling/calls"


async def post(api: Any, name: str, **params: Any) -> tuple[int, Any]:
    sent = {"id": "call-1", "command": name, "params": params}
    status, _, answer = await api.ask(PATH, method="POST", json=sent)
    return status, answer


@pytest.mark.parametrize(
    ("detect", "rules"),
    [
        ({"type": "machine"}, MachineRules(fax=None)),
        (
            {
                "type": "machine",
                "params": {
                    "initial_timeout": 2, "end_silence_timeout": 0.5, "machine_ready_timeout": 1.5,
                    "machine_voice_threshold": 1.0, "machine_words_threshold": 4,
                    "detect_interruptions": True, "detect_message_end": True,
                },
            },
            MachineRules(
                fax=None, initial_timeout=2, end_silence_timeout=0.5, machine_ready_timeout=1.5,
                machine_voice_threshold=1.0, machine_words_threshold=4,
                detect_interruptions=True, detect_message_end=True,
            ),
        ),
        ({"type": "fax"}, MachineRules(amd=False, fax=FaxTone.CED)),
        ({"type": "fax", "params": {"tone": "CNG"}}, MachineRules(amd=False, fax=FaxTone.CNG)),
        ({"type": "digit"}, DigitRules()),
        ({"type": "digit", "params": {"digits": "1A#"}}, DigitRules(digits="1A#")),
    ],
)  # fmt: skip
async def test_what_is_to_be_found_out_is_passed_on(
    api: Any, control: Control, detect: dict[str, Any], rules: MachineRules | DigitRules
) -> None:
    status, _ = await post(
        api, "calling.detect", control_id="k", detect=detect, status_url="http://app/cb"
    )
    assert status == 200
    order = DetectOrder(rules=rules, control_id="k", status_url="http://app/cb", wait=False)
    assert control.did == [("call-1", StartDetection(order=order))]


async def test_its_end_is_passed_on(api: Any, control: Control) -> None:
    assert (await post(api, "calling.detect.stop", control_id="k"))[0] == 200
    assert control.did == [("call-1", StopDetection(control_id="k"))]


@pytest.mark.parametrize(
    ("detect", "attribute"),
    [
        ({}, "detect.type"),
        ({"type": "beep"}, "detect.type"),
        ({"type": "fax", "params": {"tone": "DIS"}}, "detect.params.tone"),
        ({"type": "fax", "params": {"digits": "1"}}, "detect.params.digits"),
        ({"type": "machine", "params": {"tone": "CED"}}, "detect.params.tone"),
        ({"type": "machine", "params": {"initial_timeout": -1}}, "detect.params.initial_timeout"),
        ({"type": "digit", "params": {"digits": "x"}}, "detect.params.digits"),
        ({"type": "digit", "params": {"digits": ""}}, "detect.params.digits"),
        ({"type": "digit", "params": {"more": 1}}, "detect.params.more"),
    ],
)
async def test_what_is_wrong_is_named(
    api: Any, control: Control, detect: dict[str, Any], attribute: str
) -> None:
    status, answer = await post(api, "calling.detect", control_id="k", detect=detect)
    assert status == 422
    assert [error["attribute"] for error in answer["errors"]] == [attribute]
    assert control.did == []
