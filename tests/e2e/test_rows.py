"""Every row of `rows.py` and `oddities.py`, once directly and once through the gateway: the answer is the same."""

import pytest

from harness.row import Row
from harness.verdict import judge
from oddities import ODDITIES
from rows import ROWS
from stricter import ANSWERED_FOR_IT, STRICTER

ALL = ROWS + ODDITIES
BY_NAME = {row.name: row for row in ALL}
every_row = pytest.mark.parametrize("row", ALL, ids=lambda row: row.name)


@every_row
def test_the_agent_server_answers_as_it_was_observed(row, direct):
    with direct.connect() as connection:
        answer, _ = judge(connection, row.bytes(direct.address, direct.conversation))
    assert answer == row.answer


@every_row
def test_the_answer_is_the_same_through_the_gateway(row, through):
    with through.connect() as connection:
        answer, head = judge(connection, row.bytes(through.address, through.conversation))
    stricter = STRICTER.get(row.name) or ANSWERED_FOR_IT.get(row.name)
    if stricter is None:
        assert answer == row.answer
    else:
        assert (head.status, answer.socket) == (stricter.status, "none"), stricter.reason
    if head.status == 426:
        assert head.values("Sec-WebSocket-Version") == ["13"]


def test_the_list_of_exceptions_names_rows_and_tells_them_apart():
    for name, stricter in STRICTER.items():
        assert not _has_status(BY_NAME[name], stricter.status), name
    for name, same in ANSWERED_FOR_IT.items():
        assert _has_status(BY_NAME[name], same.status), name


def test_no_two_rows_have_one_name():
    assert len(BY_NAME) == len(ALL)


def _has_status(row: Row, status: int) -> bool:
    return row.answer.status_line.startswith(f"HTTP/1.1 {status} ")
