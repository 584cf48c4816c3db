//! A client connection while it is busy.
