"""A conversation held by the official Python SDK; a program of its own, since it reads its
certificates and much else from the environment when it is imported.

    python official_sdk.py URL CREDENTIAL MODEL_SETTINGS MESSAGE…

prints what the agent answered to each message, as it came over the SDK's WebSocket, one JSON string
a line.
"""

import json
import sys

from openhands.sdk import LLM, Agent, Conversation, MessageEvent, RemoteConversation, Workspace


def main(url: str, credential: str, model_settings: str, *messages: str) -> None:
    answers = []

    def keep(event) -> None:
        if isinstance(event, MessageEvent) and event.source == "agent":
            answers.append(event.llm_message.content[0].text)

    conversation = Conversation(
        agent=Agent(llm=LLM(**json.loads(model_settings)), tools=[]),
        workspace=Workspace(host=url, api_key=credential, working_dir="."),
        callbacks=[keep],
        visualizer=None,
    )
    assert isinstance(conversation, RemoteConversation), "the SDK would not ask the server at all"
    try:
        for message in messages:
            conversation.send_message(message)
            conversation.run(timeout=60)
    finally:
        conversation.close()
    for answer in answers:
        print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
