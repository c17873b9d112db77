"""A language model on loopback that answers by rule, so that the agent server has someone to ask."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer_to(message: str) -> str:
    """What the model says to a message. Every conversation of the suite expects this."""
    return f"echo: {message}"


class Model:
    """Speaks as much of the OpenAI chat API as the agent server uses."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def settings(self) -> dict:
        """The `llm` of an agent that asks this model."""
        port = self._server.server_address[1]
        # The model's own key is none of ours, but a client has to send one.
        return {"model": "openai/scripted", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "unused"}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": answer_to(_last_user_message(asked["messages"]))}
        about = {"id": "answer", "created": 0, "model": asked["model"]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "finish_reason": "stop"}
        if asked.get("stream"):
            pieces = [{"choices": [{**choice, "delta": message}]}, {"choices": [], "usage": usage}]
            lines = [json.dumps({**about, "object": "chat.completion.chunk", **piece}) for piece in pieces]
            self._answer("text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]))
        else:
            whole = {**about, "object": "chat.completion", "choices": [{**choice, "message": message}], "usage": usage}
            self._answer("application/json", json.dumps(whole))

    def _answer(self, kind: str, text: str):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _last_user_message(messages: list[dict]) -> str:
    content = [message["content"] for message in messages if message["role"] == "user"][-1]
    if isinstance(content, str):
        return content
    # The first part is what the user said; context that the agent adds comes after it.
    return content[0]["text"]
