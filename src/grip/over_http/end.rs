//! Why a session ends.

use super::Failure;
use crate::grip::ws_events::EventError;

/// Why a client's connection is ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Both sides have closed.
    #[error("both sides have closed")]
    Closed,
    /// The backend has ended it without a close.
    #[error("the backend has ended the connection (DISCONNECT)")]
    Disconnected,
    /// The backend's fault.
    #[error(transparent)]
    Fault(Fault),
    /// The client has closed; the backend did not answer with a CLOSE and asks for no keep-alive.
    #[error("the backend's answer to the client's CLOSE has no CLOSE")]
    NoClose,
    /// The backend's fault, on a connection of its own: what it sent.
    #[error("the backend sent {0}")]
    Protocol(String),
    /// The client's fault.
    #[error("the client's message has {size} bytes; the limit is {limit}")]
    TooBig {
        /// Bytes of the message.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

impl End {
    /// The code of the close frame that is sent before the end; `None`: there is none to be sent.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Closed | Self::Disconnected | Self::NoClose => None,
            Self::Fault(_) | Self::Protocol(_) => Some(1011),
            Self::TooBig { .. } => Some(1009),
        }
    }
}

/// What the backend did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More accepted than offered.
    #[error("Content-Bytes-Accepted is {accepted}, more than the {offered} bytes offered")]
    Accepted {
        /// What it says.
        accepted: u64,
        /// What was offered.
        offered: usize,
    },
    /// A part of a CLOSE accepted.
    #[error("Content-Bytes-Accepted is {accepted}: it ends within the CLOSE, at {offered} bytes")]
    AcceptedClose {
        /// What it says.
        accepted: u64,
        /// What was offered.
        offered: usize,
    },
    /// No events.
    #[error("the answer is not application/websocket-events: {0}")]
    Events(#[from] EventError),
    /// No answer.
    #[error("{}", match .0 {
        Failure::Unreached => "the backend was not reached",
        Failure::Unread => "the backend did not read the whole request",
        Failure::Other => "the request was not answered",
    })]
    Failed(Failure),
    /// Another answer than one of events.
    #[error("the answer is no 200 of type application/websocket-events (status {code})")]
    Foreign {
        /// Its status.
        code: u16,
    },
    /// More meta than there may be.
    #[error("the values of Set-Meta-* headers take more than {limit} bytes")]
    Metas {
        /// The limit.
        limit: usize,
    },
    /// The handshake is neither granted nor to be asked for again.
    #[error("the answer to OPEN does not begin with OPEN")]
    NoOpen,
    /// OPEN a second time.
    #[error("OPEN on an open connection")]
    SecondOpen,
    /// Messages wait, and the backend takes nothing.
    #[error("the backend accepts nothing of what waits")]
    Stuck,
}
