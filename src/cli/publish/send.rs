//! Posts items to a control port, and reads what it answers.

use std::time::Duration;

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    redirect::Policy,
};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use super::{
    address::Address,
    error::{Error, root},
};

/// Who posts. Connections are kept for a short while, so that many small batches share one.
#[derive(Debug)]
pub(super) struct Publisher {
    runtime: Runtime,
    client: Client,
    address: Address,
    timeout: Duration,
}

/// What a control port tells of published items. Only gripd tells anything of each.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Receipts {
    /// One for each item.
    #[serde(default)]
    pub(super) items: Vec<Receipt>,
}

/// What became of one item.
#[derive(Debug, Deserialize)]
pub(super) struct Receipt {
    /// In a word or a few.
    pub(super) status: String,
    /// How many subscriptions it met.
    pub(super) connections: u64,
}

impl Publisher {
    /// A publisher for this address. `timeout`: how long one post may take, connecting included.
    ///
    /// # Errors
    /// The system gives no runtime, or no certificates for `https`.
    pub(super) fn new(address: Address, timeout: Duration) -> Result<Self, Error> {
        let failed = |why: String| Error::failed(address.shown(), why);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let mut client = Client::builder()
            .user_agent(concat!("gripd/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // The control port is asked, and nobody else in its name.
            .no_proxy()
            .redirect(Policy::none())
            .pool_idle_timeout(KEPT);
        if address.url.scheme() == "http" {
            // A system without certificates can do without them.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| failed(root(&error)))?;
        Ok(Self {
            runtime,
            client,
            address,
            timeout,
        })
    }

    /// Posts items, each as JSON text.
    ///
    /// # Errors
    /// The control port cannot be reached, or answers anything but 200. Whether the items were
    /// published is not known when it does not answer.
    pub(super) fn publish(&self, items: &[String]) -> Result<Receipts, Error> {
        self.runtime.block_on(self.post(items))
    }

    async fn post(&self, items: &[String]) -> Result<Receipts, Error> {
        let mut request = self
            .client
            .post(self.address.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(format!("{{\"items\":[{}]}}", items.join(",")));
        if let Some(auth) = &self.address.auth {
            request = request.header(AUTHORIZATION, auth.header()?);
        }
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(self.refused(answer).await);
        }
        // It is published, whatever is wrong with the rest of the answer.
        let body = read(answer).await.unwrap_or_default();
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            let why = format!("no answer within {:?} (--timeout)", self.timeout);
            let error = Error::failed(self.address.shown(), why);
            return error.with("what was sent may have been published");
        }
        Error::failed(self.address.shown(), root(error))
    }

    async fn refused(&self, answer: Response) -> Error {
        let status = answer.status().as_u16();
        let scheme = answer.headers().get(WWW_AUTHENTICATE).cloned();
        let why = match read(answer).await {
            Ok(body) => String::from_utf8_lossy(&body).trim().to_owned(),
            Err(error) => root(&error),
        };
        let error = Error::failed(format!("{} answers {status}", self.address.shown()), why);
        match scheme {
            Some(scheme) if status == 401 => {
                let scheme = String::from_utf8_lossy(scheme.as_bytes());
                error.with(format!("it asks for {scheme}: {SIGN_IN}"))
            }
            _ => error,
        }
    }
}

/// The body of an answer, as far as anybody wants to read it.
async fn read(mut answer: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER {
            break;
        }
    }
    Ok(body)
}

const SIGN_IN: &str = "a GRIP URL with ?iss=ISSUER&key=KEY or ?key=TOKEN, --user or --bearer";

/// Most bytes read of an answer: a receipt of some hundred items, each with long names.
const ANSWER: usize = 1 << 20;

/// How long an unused connection is kept: shorter than any control port keeps it.
const KEPT: Duration = Duration::from_secs(1);
