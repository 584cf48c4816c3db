//! A connection to a port that speaks TLS: the handshake, then the same as any other. Whoever
//! speaks plain HTTP instead is told so in plain HTTP.

use std::{io, sync::Arc};

use rustls::ServerConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Context, connection, fault::Fault, listener::Peer};

/// Serves a connection to its end. The handshake may take `timeouts.request_head`.
pub(super) async fn run(stream: TcpStream, tls: &Arc<ServerConfig>, peer: Peer, context: &Context) {
    let time = context.settings.timeouts.request_head;
    match timeout(time, shake_hands(stream, Arc::clone(tls))).await {
        Ok(Ok(Begun::Tls(stream))) => connection::run(*stream, peer, context).await,
        Ok(Ok(Begun::Plain(stream))) => {
            connection::refuse(stream, peer, context, Fault::PlainText).await;
        }
        Ok(Err(error)) => tracing::debug!(client.addr = %peer, %error, "no TLS handshake"),
        Err(_) => tracing::debug!(client.addr = %peer, "the TLS handshake took too long"),
    }
}

enum Begun {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// TLS begins with a byte below all letters; a request with the capital letter of its method.
async fn shake_hands(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<Begun> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        return Ok(Begun::Plain(stream));
    }
    Ok(Begun::Tls(Box::new(
        TlsAcceptor::from(tls).accept(stream).await?,
    )))
}
