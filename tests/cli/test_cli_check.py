"""`mediaserver check-config` and what all commands share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mediaserver

from .conftest import Run

COMMANDS = ["serve", "check-config", "call", "demo", "recordings list", "recordings get"]
ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"mediaserver {mediaserver.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ran = run(*command.split(), "--help")
    assert ran.status == 0
    assert "Usage: mediaserver " + command in re.sub(r"\s+", " ", ran.out)


def test_a_command_that_is_none_is_status_2(run: Run) -> None:
    ran = run("frobnicate")
    assert ran.status == 2
    assert "frobnicate" in ran.err


@pytest.mark.parametrize("name", ["development.yaml", "production.yaml"])
def test_the_configurations_that_come_with_it_are_right(run: Run, name: str) -> None:
    ran = run("check-config", "--config", ROOT / "config" / name)
    assert (ran.status, ran.err) == (0, "")
    assert "all right" in ran.out


def test_the_defaults_say_that_they_answer_nobody(run: Run) -> None:
    out = run("check-config").out
    assert "no routes" in out
    assert "no api_keys" in out
    assert "no signing_key" in out


def test_a_missing_file_is_one_sentence(run: Run) -> None:
    run("check-config", "--config", "nope.yaml").assert_one_sentence("nope.yaml", "cannot be read")
    run("serve", "--config", "nope.yaml").assert_one_sentence("nope.yaml", "cannot be read")


def test_every_typo_is_told_with_what_was_meant(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("sip: {advertis: 192.0.2.1}\nroutess: []\n")
    ran = run("check-config", "-c", "bad.yaml")
    assert ran.status == 1
    assert ran.err == (
        "mediaserver: sip.advertis: is no setting; did you mean sip.advertise?\n"
        "routess: is no setting; did you mean routes?\n"
    )


def test_the_scripts_of_all_routes_are_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("sections: {main: [{record: {max_lenght: 3}}]}")
    (tmp_path / "two.yaml").write_text("sections: {}")
    (tmp_path / "config.yaml").write_text(
        "routes: [{to: a, swml: one.yaml}, {to: b, swml: two.yaml},"
        " {to: c, swml: http://x.example, on_failure: two.yaml}]"
    )
    ran = run("check-config", "-c", "config.yaml")
    assert ran.status == 1
    first, second, third = ran.err.splitlines()
    assert first.startswith("mediaserver: routes[0].swml: ")
    assert "sections.main[0].record.max_lenght" in first
    assert second.startswith("routes[1].swml: ")
    assert "relay_script_main_section_missing" in second
    assert third.startswith("routes[2].on_failure: ")
    assert "relay_script_main_section_missing" in third


def test_a_script_that_is_missing_is_named_unless_it_may_hold_a_password(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(
        "routes: [{to: a, swml: gone.yaml}, {to: b, swml: 'htps://me:hush@h/'}]\n"
    )
    first, second = run("check-config", "-c", "c.yaml").err.splitlines()
    assert first.endswith(f"there is no {tmp_path / 'gone.yaml'}")
    assert second.startswith("routes[1].swml: must be a file that exists or an http(s) URL")
    assert "hush" not in second


@pytest.mark.parametrize("obstacle", ["data", "data/lock"])
def test_a_folder_that_cannot_be_written_to_is_one_sentence(
    run_process: Run, tmp_path: Path, obstacle: str
) -> None:
    if obstacle == "data":
        (tmp_path / obstacle).write_text("no folder")
    else:
        (tmp_path / obstacle).mkdir(parents=True)
    (tmp_path / "c.yaml").write_text("data_dir: data\n")
    run_process("serve", "-c", "c.yaml").assert_one_sentence(
        "data_dir", str(tmp_path / "data"), "must be a folder that the server may write to"
    )


def test_sounds_that_are_not_there_are_told_and_keep_nobody_from_serving(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "here.wav").write_bytes(b"")
    (tmp_path / "menu.yaml").write_text(
        "sections:\n"
        "  main:\n"
        "    - play: {urls: [here.wav, 'silence:1', 'http://x.example/a.wav', gone.wav]}\n"
        "    - play: {url: 'names/${params.name}.wav'}\n"
        "    - switch:\n"
        "        variable: call.type\n"
        "        case: {sip: [{prompt: {play: menu.mp3}}]}\n"
    )
    (tmp_path / "c.yaml").write_text("routes: [{to: a, swml: menu.yaml}]\n")
    ran = run("check-config", "-c", "c.yaml")
    assert (ran.status, ran.err) == (0, "")
    told = [line.strip() for line in ran.out.splitlines() if "left out" in line]
    assert told == [
        f"routes[0].swml: sections.main{where}: there is no {tmp_path / name}, "
        "and it will be left out"
        for where, name in [
            ("[0].play.urls", "gone.wav"),
            ("[2].switch.case.sip[0].prompt.play", "menu.mp3"),
        ]
    ]


def test_steps_that_lead_nowhere_are_told_and_keep_nobody_from_serving(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "menu.yaml").write_text(
        "sections:\n"
        "  main: [{label: again}, {goto: {label: agian}}, {transfer: {dest: sales}}]\n"
        "  sale: [{goto: {label: again}}, {execute: {dest: '${vars.next}'}}]\n"
    )
    (tmp_path / "c.yaml").write_text("routes: [{to: a, swml: menu.yaml}]\n")
    ran = run("check-config", "-c", "c.yaml")
    assert (ran.status, ran.err) == (0, "")
    told = [line.strip() for line in ran.out.splitlines() if "there is no" in line]
    place = "in this section, or in the blocks around"
    fails = "; a call that comes here fails"
    assert told == [
        f'routes[0].swml: sections.main[1].goto.label: there is no label "agian" {place};'
        f" did you mean again?{fails}",
        'routes[0].swml: sections.main[2].transfer.dest: there is no section "sales";'
        f" did you mean sale?{fails}",
        f'routes[0].swml: sections.sale[0].goto.label: there is no label "again" {place}{fails}',
    ]


def test_routes_that_no_call_comes_to_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("sections: {main: [{hangup: {}}]}")
    patterns = [
        "to: a, from: b",
        "to: a",
        "to: a",
        "to: '+49*'",
        "to: 'sip:a@b'",
        "to: '*'",
        "to: c",
    ]
    routes = [f"{{{pattern}, swml: a.yaml}}" for pattern in patterns]
    (tmp_path / "c.yaml").write_text(f"routes: [{', '.join(routes)}]\n")
    ran = run("check-config", "-c", "c.yaml")
    assert ran.status == 0
    assert [
        line.strip() for line in ran.out.splitlines() if line.strip().startswith("routes[")
    ] == [
        "routes[2]: is never used, for routes[1] comes first and takes all its calls",
        "routes[3].to: is compared as it stands; * alone stands for all",
        "routes[4].to: is compared with USER of sip:USER@HOST alone",
        "routes[6]: is never used, for routes[5] comes first and takes all its calls",
    ]
