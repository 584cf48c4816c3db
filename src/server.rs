//! Assembles the server.
