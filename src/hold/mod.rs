//! What a held connection is.
