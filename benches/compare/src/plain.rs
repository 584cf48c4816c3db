//! What goes over the wires when a proxy only proxies: a small page, a large body to a client, a
//! large body from one.
//!
//! [`crate::wire`] has the pieces of what is held. Nothing here instructs a push proxy to hold
//! anything, so that every reverse proxy can be asked.

use std::fmt::Write as _;

use crate::wire::{self, answer, fetching};

/// Bytes of a large body: 10 MB of a million bytes each.
pub const BODY_LEN: usize = 10_000_000;

/// Bytes of the small page.
pub const PAGE_LEN: usize = 200;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A body of [`BODY_LEN`].
    Download,
    /// A page of [`PAGE_LEN`].
    Page,
    /// To hand in a body of [`BODY_LEN`].
    Upload,
}

impl Want {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Download, Self::Page, Self::Upload];

    /// What the beginning of a request (of a client or a proxy) is for.
    pub fn of(request: &[u8]) -> Option<Self> {
        let is = |want: &Self| {
            let (method, path) = want.target();
            let rest = request.strip_prefix(method.as_bytes());
            let rest = rest.and_then(|rest| rest.strip_prefix(b" "));
            rest.is_some_and(|rest| rest.starts_with(path.as_bytes()))
        };
        Self::ALL.into_iter().find(is)
    }

    /// A browser's request, some 900 bytes with its cookies; a body follows if [`Self::sends`].
    pub fn browser_head(self) -> Vec<u8> {
        let (method, path) = self.target();
        let mut own = fetching(method, path, "application/json, text/plain, */*");
        if self.sends() > 0 {
            own += "Content-Type: application/octet-stream\r\n";
            let _ = write!(own, "Content-Length: {}\r\n", self.sends());
        }
        wire::browser(&own, if self.sends() > 0 { 14 } else { 18 })
    }

    /// Bytes of the request's body.
    pub fn sends(self) -> usize {
        match self {
            Self::Upload => BODY_LEN,
            Self::Download | Self::Page => 0,
        }
    }

    /// Bytes of the answer's body.
    pub fn gets(self) -> usize {
        match self {
            Self::Download => BODY_LEN,
            Self::Page | Self::Upload => self.said().len(),
        }
    }

    /// The answer's body, if it is a small one.
    pub fn said(self) -> Vec<u8> {
        match self {
            Self::Download => Vec::new(),
            Self::Page => page(),
            Self::Upload => received(BODY_LEN),
        }
    }

    /// The backend's answer, up to a large body.
    pub fn backend_answer(self) -> Vec<u8> {
        match self {
            Self::Download => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
                 Content-Length: {BODY_LEN}\r\n\r\n"
            )
            .into_bytes(),
            Self::Page => answer("application/json", "Cache-Control: no-cache\r\n", &page()),
            Self::Upload => upload_answer(BODY_LEN),
        }
    }

    fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Download => ("GET", "/large/"),
            Self::Page => ("GET", "/page/"),
            Self::Upload => ("POST", "/upload/"),
        }
    }
}

/// The backend's answer to an upload of so many bytes: it says how many came.
pub fn upload_answer(bytes: usize) -> Vec<u8> {
    answer("text/plain", "", &received(bytes))
}

fn received(bytes: usize) -> Vec<u8> {
    format!("{bytes} bytes").into_bytes()
}

fn page() -> Vec<u8> {
    wire::records(PAGE_LEN).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_sends_some_nine_hundred_bytes() {
        for want in Want::ALL {
            let head = want.browser_head();
            assert!((850..950).contains(&head.len()), "{want:?}: {}", head.len());
            assert!(head.ends_with(b"\r\n\r\n"));
            assert_eq!(Want::of(&head), Some(want));
        }
        for other in [
            &b"GET /upload/ HTTP/1.1\r\n"[..],
            b"GET /events/ HTTP/1.1\r\n",
            b"GET",
        ] {
            assert_eq!(Want::of(other), None);
        }
    }

    #[test]
    fn small_answers_end_with_what_clients_wait_for() {
        for want in [Want::Page, Want::Upload] {
            let answer = want.backend_answer();
            let head = format!("Content-Length: {}\r\n\r\n", want.gets());
            assert!(answer.ends_with(&[head.as_bytes(), &want.said()].concat()));
        }
        assert_eq!(Want::Page.gets(), PAGE_LEN);
    }
}
