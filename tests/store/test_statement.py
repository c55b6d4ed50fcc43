from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from mediaserver.store.schema import PeerText
from mediaserver.store.statement import Statement

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("state", String(8)),
    Column("said", PeerText),
    Column("about", JSON),
)
ADD = insert(TABLE).values(
    id=bindparam("b_id"), state="new", said=bindparam("b_said"), about=bindparam("b_about")
)


@pytest.fixture
def connection() -> Any:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        yield connection
    engine.dispose()


def test_constants_and_values_arrive_as_their_columns_want_them(connection: Connection) -> None:
    add = Statement(ADD, connection.dialect)
    add.execute(connection, [{"b_id": 1, "b_said": "a\0b", "b_about": {"x": [1]}}])
    add.execute(
        connection,
        [{"b_id": n, "b_said": None, "b_about": None} for n in (2, 3)],
    )
    rows = connection.execute(select(TABLE).order_by(TABLE.c.id)).all()
    assert [tuple(row) for row in rows] == [
        (1, "new", "a\N{REPLACEMENT CHARACTER}b", {"x": [1]}),
        (2, "new", None, None),
        (3, "new", None, None),
    ]


def test_the_rows_it_changed_are_counted(connection: Connection) -> None:
    rows = [{"b_id": n, "b_said": "", "b_about": []} for n in range(3)]
    Statement(ADD, connection.dialect).execute(connection, rows)
    change = update(TABLE).where(TABLE.c.id == bindparam("b_id")).values(state="old")
    done = Statement(change, connection.dialect).execute(
        connection, [{"b_id": 0}, {"b_id": 2}, {"b_id": 7}]
    )
    assert done.rowcount == 2


def test_a_dialect_that_names_its_parameters_is_given_names() -> None:
    class Driver:
        def exec_driver_sql(self, text: str, parameters: list[dict[str, Any]]) -> None:
            self.text, self.parameters = text, parameters

    driver: Any = Driver()
    add = Statement(ADD, sqlite.dialect(paramstyle="named"))
    add.execute(driver, [{"b_id": 1, "b_said": "a", "b_about": None}])
    assert ":b_said" in driver.text
    (row,) = driver.parameters
    assert row["state"] == "new"
    assert row["b_said"] == "a"


def test_a_statement_with_a_list_is_refused_at_once() -> None:
    clause = update(TABLE).where(TABLE.c.state.in_(["a", "b"])).values(said=bindparam("b_said"))
    with pytest.raises(AssertionError):
        Statement(clause, sqlite.dialect())
