"""Plain requests: the same answers, and the key in a query neither counts nor goes further."""

import json
import os
import re

import pytest

from harness.credentials import ONE
from harness.raw import Connection, Head
from plain_rows import GOOD, PLAIN_ROWS, PlainRow

# The two ends of a connection settle these between themselves.
_HOP_BY_HOP = {"connection", "keep-alive", "date", "transfer-encoding", "content-length"}


def exchange(connection: Connection, method: str, target: str, *fields: str, version="HTTP/1.1", body=b"") -> tuple[Head, bytes]:
    lines = [f"{method} {target} {version}", *fields]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    head = connection.read_head()
    has_body = method != "HEAD" and head.status not in (204, 304)
    return head, connection.read_body(head) if has_body else b""


def ask(way, method: str, target: str, *fields: str, body: bytes = b"") -> tuple[Head, bytes]:
    with way.connect() as connection:
        return exchange(connection, method, target, f"Host: {way.authority}", *fields, body=body)


def ask_row(way, row: PlainRow) -> tuple[Head, bytes]:
    host = [f"Host: {way.authority}"] if row.host else []
    target = row.target.replace("{id}", way.conversation)
    with way.connect() as connection:
        return exchange(connection, row.method, target, *host, *row.fields, version=row.version)


def end_to_end(head: Head) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in head.fields if name.lower() not in _HOP_BY_HOP)


@pytest.fixture(scope="session", autouse=True)
def file_in_each_workspace(agent_servers):
    for server in agent_servers:
        (server.folder / "hello.txt").write_text("hello")


@pytest.mark.parametrize("row", PLAIN_ROWS, ids=lambda row: row.name)
def test_the_answer_is_the_one_observed(way, row):
    head, body = ask_row(way, row)
    assert head.status_line == row.status_line
    assert row.body is None or body == row.body


@pytest.mark.parametrize("row", PLAIN_ROWS, ids=lambda row: row.name)
def test_the_answer_has_the_same_fields_through_the_gateway(direct, through, row):
    # What differs from one agent server to the other by nature: times, tags, sizes.
    def comparable(head: Head) -> list[tuple[str, str]]:
        return [field for field in end_to_end(head) if field[0] not in ("etag", "last-modified", "x-request-id")]

    directly, _ = ask_row(direct, row)
    answered, _ = ask_row(through, row)
    assert comparable(answered) == comparable(directly)


def test_requests_on_one_connection_are_judged_one_by_one(way):
    with way.connect() as connection:
        for fields, status in (((GOOD,), 200), ((), 401), ((GOOD,), 200)):
            head, _ = exchange(connection, "GET", "/api/tools/", f"Host: {way.authority}", *fields)
            assert head.status == status


def test_a_redirect_no_longer_repeats_the_key(through):
    head, _ = ask(through, "GET", f"/api/tools?x=%2b&session_api_key={ONE}&y=1")
    assert head.status == 307
    (location,) = head.values("Location")
    assert location == f"http://{through.authority}/api/tools/?x=%2b&y=1"


def test_a_workspace_session_sets_the_same_cookie(direct, through):
    """The cookie is the key itself; it is the client's own and reaches it, but no log."""
    cookies = []
    for way in (direct, through):
        head, _ = ask(way, "POST", "/api/auth/workspace-session", GOOD)
        assert head.status == 204
        cookies.append(head.values("Set-Cookie"))
    assert cookies[0] == cookies[1]
    assert ONE in cookies[0][0]


def test_head_has_no_body(way):
    with way.connect() as connection:
        head, _ = exchange(connection, "HEAD", "/docs", f"Host: {way.authority}")
        # Were there a body, the next answer on the connection would begin with it.
        after, _ = exchange(connection, "GET", "/alive", f"Host: {way.authority}")
    assert (head.status, after.status) == (200, 200)
    assert int(head.values("Content-Length")[0]) > 0


def test_a_command_runs_and_its_output_comes_back(way):
    body = json.dumps({"command": "printf '%s' $((6 * 7))"}).encode()
    head, answer = ask(way, "POST", "/api/bash/execute_bash_command", GOOD, "Content-Type: application/json", body=body)
    assert head.status == 200
    assert re.search(rb'"stdout": *"42"', answer), answer


@pytest.mark.parametrize("shape", ["length", "chunks", "expect"])
def test_an_upload_arrives_whole_and_comes_back(way, shape):
    content = os.urandom(3_000_001)
    path = f"{way.agent_server.folder}/upload-{shape}"
    form = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + content + b"\r\n--edge--\r\n"
    lines = [f"POST /api/file/upload?path={path} HTTP/1.1", f"Host: {way.authority}", GOOD, "Content-Type: multipart/form-data; boundary=edge"]
    lines.append("Transfer-Encoding: chunked" if shape == "chunks" else f"Content-Length: {len(form)}")
    if shape == "expect":
        lines.append("Expect: 100-continue")
    with way.connect() as connection:
        connection.wait_at_most(30)
        connection.send("\r\n".join([*lines, "", ""]).encode())
        if shape == "expect":
            assert connection.read_head().status == 100
        connection.send(_chunked(form) if shape == "chunks" else form)
        head = connection.read_head()
        assert head.status == 200, connection.read_body(head)
    head, downloaded = ask(way, "GET", f"/api/file/download?path={path}", GOOD)
    assert head.status == 200
    assert downloaded == content


def _chunked(content: bytes) -> bytes:
    size = 70_000
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
