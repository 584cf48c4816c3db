//! A client's socket as a held connection's wire.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::Bytes;

use super::outlet::Wire;
use crate::socket::{ClientSocket, Remote};

impl Wire for ClientSocket {
    fn try_write(&self, bytes: &Bytes) -> io::Result<usize> {
        match self {
            // It keeps them for a while, and need not copy them.
            Self::Stream(stream) => stream.try_send(bytes),
            _ => Self::try_write(self, bytes),
        }
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::try_write_vectored(self, pieces)
    }

    fn try_flush(&self) -> io::Result<()> {
        Self::try_flush(self)
    }

    fn flushed(&self) -> u64 {
        Self::flushed(self)
    }

    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, into)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_write_ready(self, context)
    }

    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_read_ready(self, context)
    }

    fn remote(&self) -> Option<Remote> {
        Self::remote(self)
    }
}
