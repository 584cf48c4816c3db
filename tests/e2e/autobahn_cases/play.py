"""Plays cases of the suite against a server, as its own `fuzzingclient` does: their verdicts."""

import asyncio
from dataclasses import dataclass

from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol

from .suite import octets

PATIENCE = 10  # times as long as the suite waits: it is to judge what happens, not how fast
LIMIT = 1200  # seconds that a case may take in all
LENGTH = 600  # characters of a line about a case

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
CLOSED_WELL = {"OK", "INFORMATIONAL"}


@dataclass
class Verdict:
    """What came of a case, in the suite's own words."""

    name: str
    behavior: str
    close: str
    story: str

    def passed(self):
        """Whether the case has not failed, its closing handshake included."""
        return self.behavior in PASSED and self.close in CLOSED_WELL

    def __str__(self):
        return f"{self.name}: {self.behavior}, close: {self.close}\n{self.story}"


async def play(url, cases, at_once):
    """Plays cases, a dictionary by id, so many at once. Returns their verdicts in order."""
    turns = asyncio.Semaphore(at_once)
    factory = WebSocketClientFactory(url)
    factory.setProtocolOptions(
        failByDrop=False,
        openHandshakeTimeout=5 * PATIENCE,
        closeHandshakeTimeout=PATIENCE,
        serverConnectionDropTimeout=PATIENCE,
    )

    async def one(name, case):
        async with turns:
            return await Peer(factory, case).verdict(name)

    return await asyncio.gather(*(one(name, case) for name, case in cases.items()))


class Peer(WebSocketClientProtocol):
    """One connection that plays one case. The names are the library's and the suite's."""

    connectionWasOpen = False

    def __init__(self, factory, case):
        super().__init__()
        self.factory = factory
        self.txFrameStats = {}
        self._over = asyncio.get_running_loop().create_future()
        self.case = case(self)
        self.case.compare = are_equal

    async def verdict(self, name):
        """Connects, and tells what came of it."""
        loop = asyncio.get_running_loop()
        host, port = self.factory.host, self.factory.port
        try:
            async with asyncio.timeout(LIMIT):
                await loop.create_connection(lambda: self, host, port)
                await self._over
        except Exception as error:  # whatever it is, the case has not passed
            return Verdict(name, "FAILED", "FAILED", f"  {error!r}\n{self._story()}")
        finally:
            if self.transport:
                self.transport.abort()
        return Verdict(name, self.case.behavior, self.case.behaviorClose, self._story())

    def _story(self):
        """What was to happen, and what did, for people."""
        case = self.case
        lines = {
            "case": case.DESCRIPTION,
            "expected": f"{case.EXPECTATION} {case.expected or ''}",
            "happened": f"{case.result} {case.received or ''}",
            "close expected": case.expectedClose,
            "close": f"{case.resultClose}: {self.remoteCloseCode} {self.remoteCloseReason}",
        }
        texts = {what: " ".join(str(text).split())[:LENGTH] for what, text in lines.items()}
        return "\n".join(f"  {what}: {text}" for what, text in texts.items())

    # What the library tells.

    def onOpen(self):
        self.connectionWasOpen = True
        self._tell(self.case.onOpen)

    def onMessage(self, payload, isBinary):
        self._tell(self.case.onMessage, payload, isBinary)

    def onPong(self, payload):
        self._tell(self.case.onPong, payload)

    def onClose(self, wasClean, code, reason):
        self._tell(self.case.onClose, wasClean, code, reason)
        self._tell(self.case.onConnectionLost, self.failedByMe)
        if not self._over.done():
            self._over.set_result(None)

    def _tell(self, what, *arguments):
        try:
            what(*arguments)
        except Exception as error:  # raised again by `verdict`
            if not self._over.done():
                self._over.set_exception(error)

    # What the cases ask for. They may break the protocol.

    def sendFrame(self, opcode, payload=b"", **how):
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        super().sendFrame(opcode, octets(payload), **how)

    def sendMessage(self, payload, isBinary=False, **how):
        super().sendMessage(octets(payload), isBinary, **how)

    def sendMessageFrameData(self, payload, **how):
        super().sendMessageFrameData(octets(payload), **how)

    def sendCloseFrame(self, code=None, reasonUtf8=None, **how):
        reason = None if reasonUtf8 is None else octets(reasonUtf8)
        super().sendCloseFrame(code, reason, **how)

    def killAfter(self, delay):
        self.continueLater(delay * PATIENCE, self._fail_connection)

    def closeAfter(self, delay):
        self.continueLater(delay * PATIENCE, self.sendClose)

    def continueLater(self, delay, what, tag=None):
        asyncio.get_running_loop().call_later(delay, self._go_on, what)

    def enableWirelog(self, enable):
        """There is none."""

    def _go_on(self, what):
        if self.state != self.STATE_CLOSED:
            self._tell(what)


def are_equal(one, other):
    """Whether two lists of events, such as ("message", text or bytes, is it binary?), are equal."""

    def plain(events):
        return [[octets(part) if isinstance(part, str) else part for part in event]
                for event in events]  # fmt: skip

    return plain(one) == plain(other)
