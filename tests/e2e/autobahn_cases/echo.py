"""A WebSocket server that sends back what it hears: the library autobahn, strict, with deflate.

Usage: python -m autobahn_cases.echo [--grip] [--careless]. It prints `listening on PORT`, and ends
when stopped. With --grip it grants the extension, by which a proxy speaks with both sides; with
--careless it lets faults pass.
"""

import asyncio
import sys

from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept


class Echo(WebSocketServerProtocol):
    """One client."""

    def onMessage(self, payload, isBinary):
        """Each message comes back as it was."""
        self.sendMessage(payload, isBinary)


class Granting(Echo):
    """Grants `grip`; the prefix is empty, so that every message is for the client."""

    def onConnect(self, request):
        """Adds a header to the answer."""
        return None, {"Sec-WebSocket-Extensions": 'grip; message-prefix=""'}


class Careless(Echo):
    """Closes alike whatever it is told."""

    def onCloseFrame(self, code, reasonRaw):
        """Does not look at the code."""
        self.sendCloseFrame(1000, isReply=True)
        self.dropConnection()


def accept(offers):
    """Takes the first offer of compression."""
    offers = (offer for offer in offers if isinstance(offer, PerMessageDeflateOffer))
    return next(map(PerMessageDeflateOfferAccept, offers), None)


async def main(options):
    """Serves."""
    factory = WebSocketServerFactory()
    if "--careless" in options:
        factory.protocol = Careless
        factory.setProtocolOptions(utf8validateIncoming=False)
    else:
        factory.protocol = Granting if "--grip" in options else Echo
        # Faults are answered with a close frame.
        factory.setProtocolOptions(failByDrop=False, perMessageCompressionAccept=accept)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1:]))
