//! `Grip-Sig`: shows the backend that a request came through gripd. Its `exp` lies an hour ahead,
//! so one signature per route serves for a minute.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use tokio::time::Instant;

use crate::{config::Settings, grip::signature::Signer, routes::grammar::Route};

/// The signers of the routes in use, with their last signature. One per thread.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// By the route's address; the weak handle keeps that address from being used again.
    known: RefCell<HashMap<*const Route, Known>>,
}

#[derive(Debug)]
struct Known {
    route: Weak<Route>,
    signer: Option<Signer>,
    last: Option<(Instant, HeaderValue)>,
}

impl Signatures {
    /// The signature for a route's requests; `None` when nothing is signed there.
    pub(super) fn of(&self, route: &Arc<Route>, settings: &Settings) -> Option<HeaderValue> {
        let mut known = self.known.borrow_mut();
        let key = Arc::as_ptr(route);
        if !known.contains_key(&key) {
            // A new route is rare, and the time to forget those of an older table.
            known.retain(|_, known| known.route.strong_count() > 0);
        }
        let known = known.entry(key).or_insert_with(|| Known {
            route: Arc::downgrade(route),
            signer: signer(route, settings),
            last: None,
        });
        let signer = known.signer.as_ref()?;
        if let Some((at, signature)) = &known.last
            && at.elapsed() < FRESH
        {
            return Some(signature.clone());
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let signature = signer
            .sign(now)
            .inspect_err(|error| tracing::warn!("Grip-Sig cannot be made: {error}"))
            .ok()?;
        let signature = HeaderValue::from_str(&signature).ok()?;
        known.last = Some((Instant::now(), signature.clone()));
        Some(signature)
    }
}

/// Issuer and key are the route's, each falling back to the settings' by itself; so does a key
/// that cannot be read.
fn signer(route: &Route, settings: &Settings) -> Option<Signer> {
    let grip = &settings.grip;
    let issuer = route.sig_iss.as_deref().unwrap_or(&grip.sig_iss);
    let folder = settings.routes.file.as_deref().and_then(Path::parent);
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let own = route.sig_key.as_deref().filter(|key| !key.is_empty());
    if let Some(key) = own {
        match Signer::new(issuer, key, folder) {
            Ok(signer) => return signer,
            Err(error) => tracing::debug!("a route's sig_key cannot be used: {error}"),
        }
    }
    Signer::new(issuer, &grip.sig_key.0, &grip.key_dir)
        .inspect_err(|error| tracing::warn!("grip.sig_key cannot be used: {error}"))
        .ok()
        .flatten()
}

/// How long a signature is used.
const FRESH: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn signed(route: Route, iss: &str, key: &str) -> Option<String> {
        let mut settings = Settings::default();
        settings.grip.sig_iss = iss.into();
        settings.grip.sig_key = Secret(key.into());
        let signature = Signatures::default().of(&Arc::new(route), &settings)?;
        Some(signature.to_str().unwrap().to_owned())
    }

    #[test]
    fn issuer_and_key_fall_back_by_themselves() {
        let route = |iss: Option<&str>, key: Option<&str>| Route {
            sig_iss: iss.map(str::to_owned),
            sig_key: key.map(str::to_owned),
            ..Route::default()
        };
        let all = signed(route(None, None), "i", "k").unwrap();
        assert_eq!(all.split('.').count(), 3, "a JWT: {all}");
        assert_eq!(
            signed(route(None, Some("")), "i", "k").map(|_| ()),
            Some(())
        );
        assert_eq!(
            signed(route(None, Some("file:missing")), "i", "k").map(|_| ()),
            Some(())
        );
        assert_eq!(
            signed(route(None, Some("own")), "i", "").map(|_| ()),
            Some(())
        );
        assert_eq!(signed(route(None, None), "i", ""), None);
        assert_eq!(signed(route(None, None), "", "k"), None);
        assert_eq!(
            signed(route(Some("me"), None), "", "k").map(|_| ()),
            Some(())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_serves_for_a_minute() {
        let (signatures, settings) = (Signatures::default(), Settings::default());
        let route = Arc::new(Route::default());
        signatures.of(&route, &settings).unwrap();
        let made = |signatures: &Signatures| {
            signatures
                .known
                .borrow()
                .values()
                .next()
                .unwrap()
                .last
                .as_ref()
                .unwrap()
                .0
        };
        let first = made(&signatures);
        tokio::time::advance(FRESH / 2).await;
        signatures.of(&route, &settings).unwrap();
        assert_eq!(made(&signatures), first);
        tokio::time::advance(FRESH / 2).await;
        signatures.of(&route, &settings).unwrap();
        assert!(made(&signatures) > first);
    }

    #[test]
    fn old_routes_are_forgotten() {
        let (signatures, settings) = (Signatures::default(), Settings::default());
        for _ in 0..10 {
            signatures.of(&Arc::new(Route::default()), &settings);
        }
        assert_eq!(signatures.known.borrow().len(), 1);
    }
}
