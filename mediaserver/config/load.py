"""From a file and the environment to a `Config`, or to one error that lists all that is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from difflib import get_close_matches
from os.path import normpath
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from mediaserver.errors import ConfigError
from mediaserver.yaml_words import in_plain_words

from .contradictions import contradictions
from .model import Config, Tls, keys, section_of
from .routes import REFUSALS

ENV_PREFIX: Final = "MEDIASERVER_"
"""Begins an environment variable that overrides a setting: MEDIASERVER_SIP__LISTEN."""
MAX_FILE: Final = 1 << 20
"""Bytes of a settings file; a larger one is surely not one."""

Problem = tuple[str, str]
"""A key, and what would be right."""


def load(path: Path | str | None, env: Mapping[str, str]) -> Config:
    """Return the settings of the file at `path` (None: the defaults), overridden by `env`.

    Relative paths of the file are relative to it, those of the environment to the working
    directory. Raises `ConfigError`; of several problems each has a line of its own.
    """
    settings = {} if path is None else _read(Path(path))
    problems = list(_unknown_variables(env))
    # Pydantic's own switches are arguments that begin so; none of them is a setting.
    problems += ((key, "is no setting") for key in settings if key.startswith("_"))
    settings = {key: value for key, value in settings.items() if not key.startswith("_")}
    try:
        config = Config(**_merged(settings, _overrides(env)))
    except ValidationError as error:
        problems += (_translate(detail) for detail in error.errors(include_url=False))
    else:
        problems += contradictions(config)
        problems += _missing_scripts(config)
        problems += _bad_certificates(config)
        if not problems:
            return config
    given = _given(env)
    raise _config_error([(_named(key, given), problem) for key, problem in problems])


def _given(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say a setting, by its key."""
    keys_of = {name: name.replace("__", ".") for name in _variables()}
    prefix = ENV_PREFIX.lower()
    return {
        keys_of[short]: name
        for name in env
        if (short := name.lower().removeprefix(prefix)) in keys_of and short != name.lower()
    }


def _named(key: str, given: Mapping[str, str]) -> str:
    """Return a key with the variable beside it that its value came from, if it did."""
    for said, variable in given.items():
        if key == said or key.startswith((f"{said}.", f"{said}[")):
            return f"{key} ({variable})"
    return key


def _config_error(problems: list[Problem]) -> ConfigError:
    (key, problem), *rest = problems
    return ConfigError(key, "\n".join([problem, *(f"{k}: {p}" for k, p in rest)]))


class _Loader(yaml.BaseLoader):
    """Reads every scalar as text: the type of its key decides what it means.

    So `to: +4930123456` stays a phone number and `to: 0800` keeps its zero. A plain empty value,
    `~` or `null` is None, which leaves the setting at its default.
    """

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        text = super().construct_scalar(node)
        return None if node.style is None and text in {"", "~", "null"} else text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "must be UTF-8 text") from None
    if len(data) > MAX_FILE:
        raise ConfigError(str(path), f"is larger than {MAX_FILE} bytes")
    try:
        settings = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not YAML: {_yaml_problem(error, text)}") from None
    except RecursionError:
        raise ConfigError(str(path), "is nested too deeply") from None
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(str(path), "must hold keys and values, such as `data_dir: data`")
    return _anchored(_without_none(settings), path.resolve().parent)


def _yaml_problem(error: yaml.YAMLError, text: str) -> str:
    """Say what and where, without the excerpt: a line of the file may hold a key."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    if "end of stream" in problem:
        mark = getattr(error, "context_mark", None) or mark  # where the quote was opened
    if mark is None:
        return problem
    return f"line {mark.line + 1}: {in_plain_words(problem, text, mark.line, mark.column)}"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _without_none(inner) for k, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value


def _anchored(settings: dict[str, Any], base: Path) -> dict[str, Any]:
    """Make the file's own relative paths absolute."""
    if isinstance(data_dir := settings.get("data_dir"), str):
        settings["data_dir"] = normpath(base / data_dir)
    sip = settings.get("sip")
    _anchor(sip.get("tls") if isinstance(sip, dict) else None, base, *Tls.model_fields)
    trunks = settings.get("trunks")
    for trunk in trunks if isinstance(trunks, list) else ():
        _anchor(trunk, base, "tls_ca")
    routes = settings.get("routes")
    for route in routes if isinstance(routes, list) else ():
        if not isinstance(route, dict):
            continue
        if isinstance(swml := route.get("swml"), str) and "://" not in swml:
            route["swml"] = normpath(base / swml)
        if isinstance(apology := route.get("on_failure"), str) and apology not in REFUSALS:
            route["on_failure"] = normpath(base / apology)
    return settings


def _anchor(section: Any, base: Path, *names: str) -> None:
    for name in names:
        if isinstance(section, dict) and isinstance(path := section.get(name), str):
            section[name] = normpath(base / path)


def _overrides(env: Mapping[str, str]) -> dict[str, Any]:
    source = EnvSettingsSource(Config, env_prefix=ENV_PREFIX, env_nested_delimiter="__")
    prefix = ENV_PREFIX.lower()
    known = {prefix + name for name in _variables()}
    source.env_vars = {name.lower(): value for name, value in env.items() if name.lower() in known}
    return source()


def _variables() -> set[str]:
    """Return the settings as the environment names them, without the prefix."""
    return {key.partition("[]")[0].replace(".", "__") for key in keys()}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merged(old or {}, value) if both else value
    return merged


def _unknown_variables(env: Mapping[str, str]) -> Iterator[Problem]:
    """Find variables that were surely meant for us and name no key.

    Others with our prefix are left alone: Kubernetes sets MEDIASERVER_PORT and the like beside a
    service of that name.
    """
    known = _variables()
    if f"{ENV_PREFIX}CONFIG" in env:
        yield f"{ENV_PREFIX}CONFIG", "is no setting; the file is named by --config"
    for name in env:
        key = name.lower().removeprefix(ENV_PREFIX.lower())
        if key in known or len(key) == len(name):
            continue
        near = get_close_matches(key, known, n=1, cutoff=0.8)
        near = near or sorted(k for k in known if k.startswith(f"{key}__"))
        if near or "__" in key:
            meant = f"; did you mean {ENV_PREFIX}{near[0].upper()}?" if near else ""
            yield name, f"is no setting{meant}"


def _missing_scripts(config: Config) -> Iterator[Problem]:
    for index, route in enumerate(config.routes):
        if not route.is_url and not Path(route.swml).is_file():
            yield (
                f"routes[{index}].swml",
                f"must be a file that exists or an http(s) URL; {_absent(route.swml)}",
            )
        if route.apology is not None and not route.apology.is_file():
            yield (
                f"routes[{index}].on_failure",
                f"must be {', '.join(REFUSALS)} or a file that exists; "
                f"{_absent(str(route.apology))}",
            )


def _bad_certificates(config: Config) -> Iterator[Problem]:
    if any(config.certificates()):
        from .certificates import problems  # what reads them takes tens of milliseconds to load

        yield from problems(config)


def _absent(path: str) -> str:
    # What was meant to be a URL may hold a password.
    return "there is no such file" if ":/" in path else f"there is no {path}"


_A_LIST: Final = "must be a list: entries that begin with `- `, or [first, second]"

_PROBLEMS: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number, without a unit",
    "float_type": "must be a number, without a unit",
    "finite_number": "must be a number",
    "frozen_set_type": _A_LIST,
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "missing": "must be given",
    "path_type": "must be a path",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_long": "must have {max_length} entries at most",
    "too_short": "must not be empty",
    "tuple_type": _A_LIST,
    "uuid_parsing": "must be a UUID, for example 6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11",
    "uuid_type": "must be a UUID, for example 6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11",
}


def _translate(detail: ErrorDetails) -> Problem:
    """Put an error of pydantic's into our words. What was written is left out: it may be a key."""
    where, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    key = _key(where)
    if kind == "extra_forbidden":
        names = _siblings(where)
        near = get_close_matches(str(where[-1]), names, n=1, cutoff=0.6)
        meant = _key((*where[:-1], near[0])) if near else ""
        hint = f"did you mean {meant}?" if near else f"known here: {', '.join(names)}"
        return key, f"is no setting; {hint}"
    if kind == "model_type":
        return key, f"must be keys and values; known here: {', '.join(_siblings((*where, '')))}"
    if kind == "value_error":
        return key, str(context["error"])
    return key, _PROBLEMS.get(kind, detail["msg"]).format(**context)


def _key(where: tuple[int | str, ...]) -> str:
    key = ""
    for part in where:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    return key.lstrip(".")


def _siblings(where: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in where[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = section_of(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]
