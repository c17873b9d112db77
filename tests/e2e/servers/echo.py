"""A WebSocket server that sends every message back, with permessage-deflate for those who offer it.

    python echo.py

prints the port of loopback that it took. It takes frames one by one, in their order, however they
were cut into segments: what it answers depends on the bytes alone, never on when they came. Only so
can what a client sees with and without a gateway in between be compared.
"""

import asyncio

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

READ = 64 * 1024


class Echo:
    """One connection, from its opening handshake to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer
        self._connection = WSConnection(ConnectionType.SERVER)
        self._message = []

    async def run(self) -> None:
        is_open = True
        while is_open and (data := await self._reader.read(READ)):
            is_open = self._take(data)
            await self._writer.drain()
        self._writer.write_eof()
        # What a client still sends is read: an end with bytes unread would be a reset, and could
        # take back what was sent before it.
        while await self._reader.read(READ):
            pass

    def _take(self, data: bytes) -> bool:
        try:
            self._connection.receive_data(data)
            # Each event is made when it is asked for, so the answer to one is written before a
            # mistake in the next is found.
            return all(self._answer(event) for event in self._connection.events())
        except RemoteProtocolError as mistake:
            if mistake.event_hint:
                self._send(mistake.event_hint)
            return False

    def _answer(self, event) -> bool:
        """Whether the connection goes on."""
        if isinstance(event, Request):
            self._send(AcceptConnection(extensions=[PerMessageDeflate()]))
        elif isinstance(event, TextMessage | BytesMessage):
            self._message.append(event.data)
            if event.message_finished:
                self._send(type(event)(data=type(event.data)().join(self._message)))
                self._message.clear()
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            self._send(event.response())
            return False
        return True

    def _send(self, event) -> None:
        self._writer.write(self._connection.send(event))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await Echo(reader, writer).run()
    except OSError:
        pass  # the client is gone, and that is all that it says
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
