//! One request to one target: on a connection of the pool or a new one, and once more when a
//! reused connection had ended in the meantime (RFC 9110 section 9.2.2: only what is idempotent, or
//! what was not read).

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use http::{Method, request};
use hyper::{Request, body::Incoming, upgrade::OnUpgrade};
use tokio::time::{Instant, timeout_at};

use super::{
    Body, Claim, Error, Origin, Pool, Resolver, TlsClient, Upload, Waits, Way,
    body::why,
    connect::{connect, plain},
    pool::Lease,
    tls,
    upload::Reader,
};
use crate::grip::instruct;

/// What a request needs beside its head.
#[derive(Debug)]
pub struct Call<'a> {
    /// Idle connections.
    pub pool: &'a Pool,
    /// Names.
    pub resolver: &'a Resolver,
    /// TLS.
    pub tls: &'a Arc<TlsClient>,
    /// How the target is reached.
    pub way: Way,
    /// Leave to use the target, if it is counted: kept until the connection is free again.
    pub claim: Option<Arc<Claim>>,
    /// The request's body.
    pub upload: &'a Upload,
    /// Does the client ask to leave HTTP?
    pub upgrade: bool,
    /// The answer's head is wanted as the backend wrote it, whatever it says.
    pub spelling: bool,
    /// How long everything may take.
    pub waits: Waits,
    /// Names the target in logs.
    pub origin: Origin,
}

/// The answer to one request.
#[derive(Debug)]
pub struct Reply {
    /// Its head, as it came.
    pub head: http::response::Parts,
    /// Its body.
    pub body: Body,
    /// Do its headers make it an instruct?
    pub instruct: bool,
    /// The connection, when the backend agreed to leave HTTP.
    pub upgrade: Option<OnUpgrade>,
}

/// Sends a request and waits for its answer's head. `again`: makes the same head once more.
///
/// # Errors
/// [`Error`]; with [`Error::Unreachable`], [`Error::Name`], [`Error::Tls`] and a `TimedOut` of the
/// connect wait the backend was not asked.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn send(
    call: &Call<'_>,
    mut head: request::Parts,
    again: impl Fn() -> Option<request::Parts>,
) -> Result<Reply, Error> {
    let mut fresh = call.upgrade;
    loop {
        let lease = lease(call, fresh).await?;
        let Some(reader) = call.upload.reader() else {
            return Err(Error::Closed("the request body is gone".into()));
        };
        let is_idempotent = is_idempotent(&head.method);
        match exchange(call, lease, Request::from_parts(head, reader)).await {
            Ok(reply) => return Ok(reply),
            Err(Fault {
                again: Again::NeverSent(unsent),
                ..
            }) => head = *unsent,
            Err(Fault {
                error,
                again: Again::Stale,
            }) => {
                let allowed = is_idempotent || matches!(error, Error::Unread(_));
                if call.upload.overflowed() || !allowed {
                    return Err(error);
                }
                match again() {
                    Some(same) => head = same,
                    None => return Err(error),
                }
            }
            Err(Fault {
                error,
                again: Again::No,
            }) => return Err(error),
        }
        fresh = true;
    }
}

/// How one exchange failed, and what that allows.
struct Fault {
    error: Error,
    again: Again,
}

enum Again {
    /// It failed for good.
    No,
    /// The connection was a used one and nothing came from it.
    Stale,
    /// Not a byte of the request was sent.
    NeverSent(Box<request::Parts>),
}

async fn lease(call: &Call<'_>, fresh: bool) -> Result<Lease, Error> {
    if !fresh && let Some(lease) = call.pool.take(&call.way) {
        return Ok(lease.under(call.claim.clone()));
    }
    // A request on a connection that is there already need not carry the room of a handshake.
    let stream = Box::pin(connect(call)).await?;
    let lease = call.pool.open(stream, call.way.clone()).await?;
    Ok(lease.under(call.claim.clone()))
}

async fn exchange(
    call: &Call<'_>,
    mut lease: Lease,
    request: Request<Reader>,
) -> Result<Reply, Fault> {
    let answer = lease.sender().try_send_request(request);
    let mut answer = std::pin::pin!(answer);
    let started = Instant::now();
    let result = loop {
        // A long upload is not a slow backend: the time counts from the last piece of it.
        let deadline = started.max(call.upload.progress()) + call.waits.response.after;
        match timeout_at(deadline, &mut answer).await {
            Ok(result) => break result,
            Err(_) if call.upload.progress() + call.waits.response.after > Instant::now() => {}
            Err(_) => {
                let error = Error::TimedOut(call.waits.response);
                return Err(Fault {
                    error,
                    again: Again::No,
                });
            }
        }
    };
    match result {
        Ok(response) => reply(call, lease, response),
        Err(mut refused) => {
            let unsent = refused.take_message();
            let error = refused.into_error();
            let unread = !lease.heard() && (unsent.is_some() || is_reset(&error));
            let again = match unsent {
                Some(unsent) if lease.reused => Again::NeverSent(Box::new(unsent.into_parts().0)),
                None if lease.reused && !lease.heard() => Again::Stale,
                _ => Again::No,
            };
            let error = explain(call, &error, &lease, unread);
            let error = Box::pin(name_tls(call, &lease, error)).await;
            Err(Fault { error, again })
        }
    }
}

fn reply(
    call: &Call<'_>,
    lease: Lease,
    mut response: http::Response<Incoming>,
) -> Result<Reply, Fault> {
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        let (mut head, incoming) = response.into_parts();
        let instruct = is_instruct(&head.headers);
        if (instruct || call.spelling)
            && let Some(raw) = lease.raw_head()
        {
            // What the client reads is written by gripd then, spelled as the backend did.
            head.extensions.insert(raw);
        }
        let (wait, origin) = (call.waits.idle, call.origin.clone());
        let body = Body::live(incoming, lease, call.upload.clone(), wait, origin);
        return Ok(Reply {
            head,
            body,
            instruct,
            upgrade: None,
        });
    }
    if !call.upgrade {
        let error = Error::Garbage("status 101 to a request without Upgrade".into());
        return Err(Fault {
            error,
            again: Again::No,
        });
    }
    let upgrade = Some(hyper::upgrade::on(&mut response));
    lease.detach();
    Ok(Reply {
        head: response.into_parts().0,
        body: Body::empty(),
        instruct: false,
        upgrade,
    })
}

/// Do these headers of an answer make it an instruct?
pub fn is_instruct(headers: &http::HeaderMap) -> bool {
    instruct::is_instruct(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}

fn explain(call: &Call<'_>, error: &hyper::Error, lease: &Lease, unread: bool) -> Error {
    if let Some(failure) = call.upload.failure() {
        return Error::Upload(failure);
    }
    if lease.is_tls() {
        return Error::SpeaksTls;
    }
    if !lease.heard() && !lease.reused && !call.upload.overflowed() {
        // With TLS 1.3 a backend says no to a client's certificate only when it was sent already.
        let said = source(error).filter(|error| tls::is_refusal(error));
        if let Some(error) = said {
            return Error::Tls(tls::refused(error));
        }
    }
    if error.is_parse_too_large() {
        return Error::Garbage(TOO_LARGE.into());
    }
    if error.is_parse() {
        return Error::Garbage(why(error));
    }
    if unread {
        return Error::Unread(why(error));
    }
    Error::Closed(why(error))
}

/// Many a backend that speaks TLS just ends a connection on which it does not hear it.
async fn name_tls(call: &Call<'_>, lease: &Lease, error: Error) -> Error {
    let is_mute = !lease.reused && !lease.heard() && call.way.tls.is_none();
    if !is_mute || !matches!(error, Error::Closed(_) | Error::Unread(_)) {
        return error;
    }
    let again = plain(call, Instant::now() + call.waits.connect.after);
    if call.tls.is_spoken(&call.way.address, again).await {
        Error::SpeaksTls
    } else {
        error
    }
}

fn source(error: &hyper::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Was the connection ended over bytes that were not read?
fn is_reset(error: &hyper::Error) -> bool {
    source(error).is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        )
    })
}

/// May the request be made twice without harm (RFC 9110 section 9.2.2)?
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// The library does not say which of the two limits it was.
const TOO_LARGE: &str = "its head has more bytes than limits.response_head allows, or more headers \
                         than limits.response_headers";
