//! Requests to the backends that are gripd itself: `test` and the welcome page. What they answer
//! is `upstream`'s; it comes back as any other backend's answer would.

use http::{Method, request};

use super::{Forwarder, prepare::Prepared};
use crate::{
    routes::grammar::{Address, Route, Target},
    upstream::{Body, Reply, Upload, is_instruct, test_target},
};

impl Forwarder {
    /// Asks a built-in backend, with the head that any other would get.
    pub(super) async fn built_in(
        &self,
        route: &Route,
        target: &Target,
        prepared: &Prepared,
        asked: &request::Parts,
        upload: &Upload,
    ) -> Reply {
        let (head, body) = if target.address == Address::Welcome {
            self.welcome.answer(asked, upload).await
        } else {
            let base = route.path_beg.strip_suffix('/').unwrap_or(&route.path_beg);
            let path = asked.uri.path();
            let path = path.strip_prefix(base).unwrap_or(path);
            test_target::answer(path, asked.uri.query(), &asked.headers, upload).await
        };
        let body = if prepared.method == Method::HEAD {
            Body::empty()
        } else {
            body
        };
        Reply {
            instruct: is_instruct(&head.headers),
            head,
            body,
            upgrade: None,
        }
    }
}
