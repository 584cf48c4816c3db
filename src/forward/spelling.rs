//! How a client spells the names of its headers. The HTTP library keeps that to itself, in a second
//! map beside the headers, which nobody else can make. To copy it for each request is dear, and to
//! send a request twice is rare: so the first head that goes out takes it, and for another the
//! client's head is read again.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::pending,
    pin::pin,
    rc::Rc,
    task::{Context, Waker},
};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

/// The spelling of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelling {
    /// As the library has it, until it is taken.
    known: RefCell<Extensions>,
    /// The head as it came, where the spelling can be read again.
    head: Option<Bytes>,
}

impl Spelling {
    /// The spelling that came with a request. `head`: its bytes.
    pub(super) fn new(known: Extensions, head: Option<&Bytes>) -> Self {
        Self {
            head: head.filter(|_| !known.is_empty()).cloned(),
            known: RefCell::new(known),
        }
    }

    /// The spelling for a head that goes out.
    pub(super) fn extensions(&self) -> Extensions {
        let Some(head) = &self.head else {
            return self.known.borrow().clone();
        };
        let known = self.known.take();
        if known.is_empty() { read(head) } else { known }
    }
}

/// What the library says of a whole head that has passed the gate.
fn read(head: &Bytes) -> Extensions {
    let found = Rc::new(RefCell::new(Extensions::new()));
    let service = service_fn(|request: Request<Incoming>| {
        found.replace(request.into_parts().0.extensions);
        pending::<Result<Response<String>, Infallible>>()
    });
    let io = tokio::io::join(&head[..], tokio::io::sink());
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .max_headers(memchr::memchr_iter(b'\n', head).count())
        .max_buf_size(head.len().max(LEAST_BUFFER) + 1)
        .serve_connection(TokioIo::new(io), service);
    // All of it is there, so that it is read at once.
    let _ = pin!(connection).poll(&mut Context::from_waker(Waker::noop()));
    found.take()
}

/// The library refuses smaller ones.
const LEAST_BUFFER: usize = 8192;
