"""A WebSocket of the PyPI client `websockets`, with permessage-deflate and its liveness check.

Usage: python websocket_client.py URL PING_EVERY [SUBPROTOCOL...]

PING_EVERY is in seconds. Reads commands, one a line: `text TEXT`, `binary HEX`,
`close CODE [REASON]`. Tells what happens, one a line: `open EXTENSIONS SUBPROTOCOL` (`-` for
none), `text TEXT`, `binary HEX`, `pong NUMBER`, `closed CODE REASON`, `refused STATUS BODY`,
`error WHAT`.
"""

import asyncio
import sys
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

PATIENCE = 10  # seconds until a pong must be there
LINE = 1 << 20  # bytes that a command may have


async def main(url, ping_every, *protocols):
    """Connects, and ends when the connection does."""
    liveness = {"ping_interval": float(ping_every), "ping_timeout": PATIENCE}
    subprotocols = list(protocols) or None
    try:
        socket = await connect(url, subprotocols=subprotocols, proxy=None, **liveness)
    except InvalidStatus as error:
        tell("refused", error.response.status_code, error.response.body.decode().strip())
        return
    except InvalidHandshake as error:
        tell("error", error)
        return
    extensions = ",".join(extension.name for extension in socket.protocol.extensions)
    tell("open", extensions or "-", socket.subprotocol or "-")
    others = [asyncio.create_task(obey(socket)), asyncio.create_task(count_pongs(socket))]
    with suppress(ConnectionClosed):
        async for message in socket:
            tell(*(("binary", message.hex()) if isinstance(message, bytes) else ("text", message)))
    tell("closed", socket.close_code, socket.close_reason)
    for task in others:
        task.cancel()


async def obey(socket):
    """Carries out the commands."""
    reader = asyncio.StreamReader(limit=LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := (await reader.readline()).decode():
        command, _, rest = line.removesuffix("\n").partition(" ")
        if command == "text":
            await socket.send(rest)
        elif command == "binary":
            await socket.send(bytes.fromhex(rest))
        elif command == "close":
            code, _, reason = rest.partition(" ")
            await socket.close(int(code), reason)


async def count_pongs(socket):
    """Pings beside the library's own, which it does not tell of."""
    number = 0
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(socket.ping_interval)
            number += 1
            await (await socket.ping(str(number)))
            tell("pong", number)


def tell(*words):
    """Prints a line."""
    print(*words, flush=True)


asyncio.run(main(*sys.argv[1:]))
