"""A statement made ready once for a database: its text, and how its values go over.

SQLAlchemy looks the text of a statement up and takes every row of values apart anew each time it
is executed. The few statements that every call writes are worth doing that once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, Any]
"""By the names of a statement's parameters."""

_Convert = Callable[[Any], Any]


class Statement:
    """A statement that changes rows, in the words of one dialect."""

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params, "a list, of which the text is never ready"
        self._text = compiled.string
        self._constants: dict[str, Any] = {}
        self._given: list[tuple[str, _Convert | None]] = []
        for parameter, name in compiled.bind_names.items():
            convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if parameter.required:
                self._given.append((name, convert))
            else:
                value = parameter.value
                self._constants[name] = value if convert is None else convert(value)
        self._order = compiled.positiontup if compiled.positional else None
        """Names in the order the text has places for them; None: it names them itself."""

    def execute(self, connection: Connection, rows: Sequence[Values]) -> CursorResult[Any]:
        """Execute it for each row of values; there is at least one."""
        return connection.exec_driver_sql(self._text, [self._parameters(row) for row in rows])

    def _parameters(self, values: Values) -> Any:
        named = self._constants.copy()
        for name, convert in self._given:
            value = values[name]
            named[name] = value if convert is None else convert(value)
        return named if self._order is None else tuple([named[name] for name in self._order])
