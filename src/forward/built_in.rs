//! Requests to the backends that are gripd itself: `test` and the welcome page. What they answer
//! is `upstream`'s; it comes back as any other backend's answer would.

use http::Method;

use super::{Cause, Forwarder, prepare::Prepared};
use crate::{
    routes::grammar::{Address, Route, Target},
    upstream::{Body, Reply, Upload, test_target},
};

impl Forwarder {
    /// Asks a built-in backend.
    ///
    /// # Errors
    /// The request has no head that any backend could be asked with.
    pub(super) async fn built_in(
        &self,
        route: &Route,
        target: &Target,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Reply, Cause> {
        let (head, body) = if target.address == Address::Welcome {
            let asked = prepared.head(route, target, upload)?;
            self.welcome.answer(&asked, upload).await
        } else {
            let base = route.path_beg.strip_suffix('/').unwrap_or(&route.path_beg);
            let path = prepared.path.strip_prefix(base).unwrap_or(&prepared.path);
            test_target::answer(path, prepared.query.as_deref(), upload).await
        };
        let body = if prepared.method == Method::HEAD {
            Body::empty()
        } else {
            body
        };
        Ok(Reply {
            head,
            body,
            upgrade: None,
        })
    }
}
