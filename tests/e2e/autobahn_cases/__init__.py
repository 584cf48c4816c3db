"""WebSocket cases of the Autobahn test suite, played by the library autobahn, and what echoes."""
