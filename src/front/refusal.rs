//! Every answer that gripd makes itself because something is wrong, and the close that lets the
//! client read it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    grip::status::reason,
    hold::http_date,
    http1::{
        answer::{Answer, Connection, Framing},
        gate::{Fault, Version},
    },
    socket::ClientSocket,
};

/// The head and body of a refusal, for hyper to write.
pub(super) fn response(status: u16, sentence: &str) -> Response<Bytes> {
    let body = Bytes::from(format!("{sentence}\n"));
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// Answers a request that did not pass the gate, and closes.
pub(super) async fn write(socket: &mut ClientSocket, fault: &Fault) {
    let body = format!("{fault}\n");
    let code = fault.status();
    let mut out = Vec::with_capacity(256 + body.len());
    let date = http_date();
    Answer {
        version: Version::Http11,
        code,
        reason: reason(code),
        headers: [("Content-Type", &b"text/plain"[..])],
        framing: Framing::Length(body.len() as u64),
        connection: Connection::Close,
        date: &date,
    }
    .write(&mut out);
    out.extend_from_slice(body.as_bytes());
    if let Ok(Ok(())) = timeout(LINGER, socket.write_all(&out)).await {
        close(socket, true).await;
    }
}

/// Closes a connection. While the client may still be sending (`unread`), what it sends is
/// discarded for a while: closing over unread bytes resets the connection, and a reset destroys
/// the answer before it is read.
pub(super) async fn close(socket: &mut ClientSocket, unread: bool) {
    let shut = timeout(LINGER, socket.shutdown()).await;
    if !matches!(shut, Ok(Ok(()))) || !unread {
        return;
    }
    let _ = timeout(LINGER, async {
        let mut buffer = vec![0; 4 << 10];
        let mut left = DISCARD;
        while let Ok(read @ 1..) = socket.read(&mut buffer).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    })
    .await;
}

/// How long, and for how many bytes, a closing connection listens.
pub(super) const LINGER: Duration = Duration::from_secs(2);
const DISCARD: usize = 64 << 10;
