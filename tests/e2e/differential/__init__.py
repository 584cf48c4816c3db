"""One script of scenarios, played before Debian's Pushpin and before gripd, and compared."""
