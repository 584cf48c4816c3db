"""An HTTP backend that sends WebSocket messages back as WebSocket-over-HTTP, and closes when asked.

Usage: python -m autobahn_cases.events. It prints `listening on PORT`, and ends when stopped. Pings
it leaves to the proxy, as serve-grip does.
"""

import asyncio
import re

from gripcontrol import decode_websocket_events, encode_websocket_events

ANSWERED = {"OPEN", "TEXT", "BINARY", "CLOSE"}
TYPE = b"Content-Type: application/websocket-events"
HEAD = b"HTTP/1.1 200 OK\r\n" + TYPE + b"\r\nContent-Length: %d\r\n\r\n"


def answer(body):
    """The same events again, without those that want no answer."""
    events = decode_websocket_events(body)
    return encode_websocket_events([event for event in events if event.type in ANSWERED])


async def serve(reader, writer):
    """Answers requests until the proxy has had enough."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            body = answer(await reader.readexactly(int(length[1])))
            writer.write(HEAD % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    """Serves."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
