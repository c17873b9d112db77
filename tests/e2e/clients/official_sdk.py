"""A conversation held by the official Python SDK; a program of its own, since it reads its
certificates and much else from the environment when it is imported.

    python official_sdk.py URL CREDENTIAL MODEL_SETTINGS MESSAGE…

prints what the agent answered to each message, as it came over the SDK's WebSocket, one JSON string
a line, as soon as it is there; between two messages it waits for a line, or the end, of standard input.
"""

import json
import sys

from openhands.sdk import LLM, Agent, Conversation, MessageEvent, RemoteConversation, Workspace


def main(url: str, credential: str, model_settings: str, *messages: str) -> None:
    def show(event) -> None:
        if isinstance(event, MessageEvent) and event.source == "agent":
            print(json.dumps(event.llm_message.content[0].text), flush=True)

    conversation = Conversation(
        agent=Agent(llm=LLM(**json.loads(model_settings)), tools=[]),
        workspace=Workspace(host=url, api_key=credential, working_dir="."),
        callbacks=[show],
        visualizer=None,
    )
    assert isinstance(conversation, RemoteConversation), "the SDK would not ask the server at all"
    try:
        for count, message in enumerate(messages):
            if count:
                sys.stdin.readline()
            conversation.send_message(message)
            conversation.run(timeout=60)
    finally:
        conversation.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
