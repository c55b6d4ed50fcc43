"""What the sections of the settings have in common."""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr

from .values import Network, parse_network

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
"""A duration in seconds, at most a day."""

SecondsOrNever = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""The same, where 0 means: however long it takes."""

LongSeconds = Annotated[float, Field(gt=0, le=3_155_760_000, allow_inf_nan=False)]
"""A duration in seconds, at most a hundred years."""

LongSecondsOrNever = Annotated[float, Field(ge=0, le=3_155_760_000, allow_inf_nan=False)]
"""The same, where 0 means: for ever."""


def _listed(value: Any) -> Any:
    """Let a list be one text, as the environment has it: `a, b` or YAML's own `[a, b]`."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return yaml.load(value, yaml.BaseLoader)
        except yaml.YAMLError:
            raise ValueError("must be a list, written [first, second]") from None
    return [part.strip() for part in value.split(",") if part.strip()]


AsList = BeforeValidator(_listed)
Secret = Annotated[SecretStr, Field(min_length=1)]

Networks = Annotated[tuple[Annotated[Network, PlainValidator(parse_network)], ...], AsList]


class Section(BaseModel):
    """Unknown keys are refused, known ones do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
