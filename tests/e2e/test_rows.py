"""Every row of `rows.py`, once directly and once through the gateway: the answer is the same."""

import pytest

from harness.verdict import judge
from rows import ROWS, Row
from stricter import STRICTER

BY_NAME = {row.name: row for row in ROWS}
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def request(row: Row, way) -> bytes:
    """The exact bytes of the row's request."""
    host, port = way.address
    target = row.target.format(
        events=f"/sockets/events/{way.conversation}",
        session=f"/sockets/session/{way.conversation}",
        bash="/sockets/bash-events",
        hex=way.conversation.replace("-", ""),
        authority=f"{host}:{port}",
    )
    lines = [f"{row.method} {target} {row.version}", f"Host: {row.host or f'{host}:{port}'}", *row.opening, *row.fields]
    return "\r\n".join([*lines, "", row.body]).encode("latin-1")


@every_row
def test_the_agent_server_answers_as_it_was_observed(row, direct):
    with direct.connect() as connection:
        answer, _ = judge(connection, request(row, direct))
    assert answer == row.answer


@every_row
def test_the_answer_is_the_same_through_the_gateway(row, through):
    with through.connect() as connection:
        answer, head = judge(connection, request(row, through))
    stricter = STRICTER.get(row.name)
    if stricter is None:
        assert answer == row.answer
    else:
        assert (head.status, answer.socket) == (stricter.status, "none"), stricter.reason


def test_whatever_is_stricter_is_a_row_and_differs_from_it():
    for name, stricter in STRICTER.items():
        row = BY_NAME[name]
        assert not row.answer.status_line.startswith(f"HTTP/1.1 {stricter.status} "), name


def test_no_two_rows_have_one_name():
    assert len(BY_NAME) == len(ROWS)
