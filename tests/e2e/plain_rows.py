"""Plain requests and what the agent server answers to each, observed on 1.58.2.

The key in the query never counts here, and the gateway must not make it count. The order of the
rows is of no importance.
"""

from dataclasses import dataclass

GOOD = "X-Session-API-Key: secret-one"
BAD = "X-Session-API-Key: wrong-key"
COOKIE = "Cookie: oh_workspace_session_key=secret-one"
BEARER = "Authorization: Bearer secret-one"
UNAUTHORIZED = b'{"detail":"Unauthorized"}'

_TOOLS = "/api/tools/"
_QUERY = "?session_api_key=secret-one"
_WORKSPACE = "/api/conversations/{id}/workspace/"


@dataclass(frozen=True)
class PlainRow:
    name: str
    target: str
    status_line: str
    fields: tuple[str, ...] = ()
    method: str = "GET"
    version: str = "HTTP/1.1"
    host: bool = True
    body: bytes | None = None
    """The whole body of the answer, where it is always the same."""


_PREFLIGHT = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: X-Session-API-Key")
_OK = "HTTP/1.1 200 OK"
_NOT_IN = "HTTP/1.1 401 Unauthorized"

PLAIN_ROWS = [
    PlainRow("nothing", _TOOLS, _NOT_IN, body=UNAUTHORIZED),
    PlainRow("query", _TOOLS + _QUERY, _NOT_IN, body=UNAUTHORIZED),
    PlainRow("query with an encoded name", _TOOLS + "?session%5Fapi_key=secret-one", _NOT_IN, body=UNAUTHORIZED),
    PlainRow("bad field", _TOOLS, _NOT_IN, (BAD,), body=UNAUTHORIZED),
    PlainRow("empty field", _TOOLS, _NOT_IN, ("X-Session-API-Key:",), body=UNAUTHORIZED),
    PlainRow("bearer", _TOOLS, _NOT_IN, (BEARER,), body=UNAUTHORIZED),
    PlainRow("cookie", _TOOLS, _NOT_IN, (COOKIE,), body=UNAUTHORIZED),
    PlainRow("good query, bad field", _TOOLS + _QUERY, _NOT_IN, (BAD,), body=UNAUTHORIZED),
    PlainRow("field with underscores", _TOOLS, _NOT_IN, ("X_Session_API_Key: secret-one",), body=UNAUTHORIZED),
    PlainRow("good field", _TOOLS, _OK, (GOOD,)),
    PlainRow("good field, bad query", _TOOLS + "?session_api_key=wrong-key", _OK, (GOOD,)),
    PlainRow("good field, empty query", _TOOLS + "?session_api_key", _OK, (GOOD,)),
    PlainRow("two lines, good first", _TOOLS, _OK, (GOOD, BAD)),
    PlainRow("two lines, bad first", _TOOLS, _NOT_IN, (BAD, GOOD), body=UNAUTHORIZED),
    PlainRow("Latin-1 field", _TOOLS, _OK, ("X-Session-API-Key: cl\xe9-\xfc",)),
    PlainRow("UTF-8 field", _TOOLS, _NOT_IN, ("X-Session-API-Key: cl\xc3\xa9-\xc3\xbc",), body=UNAUTHORIZED),
    PlainRow("another protocol's upgrade", "/alive", _OK, ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
    PlainRow("models, bearer", "/v1/models", _OK, (BEARER,)),
    PlainRow("models, bad field and good bearer", "/v1/models", _OK, (BAD, BEARER)),
    PlainRow("models, query", "/v1/models" + _QUERY, _NOT_IN),
    PlainRow("workspace, nothing", _WORKSPACE, _NOT_IN, body=UNAUTHORIZED),
    PlainRow("workspace, query", _WORKSPACE + _QUERY, _NOT_IN, body=UNAUTHORIZED),
    PlainRow("workspace, cookie", _WORKSPACE + "hello.txt", _OK, (COOKIE,), body=b"hello"),
    PlainRow("workspace, bad field and good cookie", _WORKSPACE + "hello.txt", _OK, (BAD, COOKIE), body=b"hello"),
    PlainRow("workspace, a range", _WORKSPACE + "hello.txt", "HTTP/1.1 206 Partial Content", (GOOD, "Range: bytes=1-3"), body=b"ell"),
    PlainRow("workspace session, query", "/api/auth/workspace-session" + _QUERY, _NOT_IN, method="POST", body=UNAUTHORIZED),
    PlainRow("alive", "/alive", _OK, body=b'{"status":"ok"}'),
    PlainRow("alive with a query", "/alive" + _QUERY, _OK, body=b'{"status":"ok"}'),
    PlainRow("HTTP/1.0", "/alive", _OK, version="HTTP/1.0", body=b'{"status":"ok"}'),
    PlainRow("HTTP/1.0 without Host", "/alive", _OK, version="HTTP/1.0", host=False, body=b'{"status":"ok"}'),
    PlainRow("empty Host", "/alive", _OK, ("Host:",), host=False, body=b'{"status":"ok"}'),
    PlainRow("OPTIONS *", "*", "HTTP/1.1 404 Not Found", method="OPTIONS"),
    PlainRow("preflight", _TOOLS, _OK, _PREFLIGHT + ("Origin: http://localhost:3000",), method="OPTIONS"),
    PlainRow("preflight from elsewhere", _TOOLS, "HTTP/1.1 400 Bad Request", _PREFLIGHT + ("Origin: https://evil.example",), method="OPTIONS"),
    PlainRow("server_info", "/server_info", _OK),
    PlainRow("docs", "/docs", _OK),
    PlainRow("openapi.json", "/openapi.json", _OK),
    PlainRow("no such path", "/nowhere" + _QUERY, "HTTP/1.1 404 Not Found"),
    PlainRow("other method", "/alive", "HTTP/1.1 405 Method Not Allowed", method="DELETE"),
]
