//! An explanation as a person reads it.

use std::{
    fmt::{self, Formatter},
    net::IpAddr,
    sync::Arc,
};

use http::HeaderName;

use super::request::Asked;
use crate::{
    forward::{
        Cause,
        explain::{Explanation, Outcome, Outgoing},
    },
    routes::{
        grammar::{Address, Balance, Domain, Route, Target, masked},
        table::Table,
        why::Misfit,
    },
    upstream::show_address,
};

/// The whole text.
pub(super) struct Page<'a> {
    /// The request as it was given.
    pub(super) asked: &'a Asked,
    /// What would become of it.
    pub(super) explanation: &'a Explanation,
    /// The routes.
    pub(super) table: &'a Table,
    /// What their lines are told to be of.
    pub(super) name: &'a str,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.request(f)?;
        self.choice(f)?;
        match &self.explanation.outcome {
            Outcome::Asks(requests) => self.requests(f, requests),
            Outcome::Preflight => {
                f.write_str("gripd itself would answer this preflight, with 204 (aco_preflight).\n")
            }
            Outcome::Refused(failure) => {
                let cause = failure.cause.to_string();
                let (status, cause) = (failure.status(), cause.trim_end_matches('.'));
                writeln!(f, "The client would get {status}: {cause}.")
            }
        }
    }
}

impl Page<'_> {
    /// What gripd makes of the request as such.
    fn request(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let asked = &self.explanation.asked;
        write!(f, "{} {} of host {}", asked.method, asked.path, asked.host)?;
        if self.explanation.websocket {
            f.write_str(" as a WebSocket")?;
        }
        f.write_str(if self.explanation.secure {
            ", over TLS"
        } else {
            ", without TLS"
        })?;
        if self.explanation.trusted {
            f.write_str(", from a proxy that speaks GRIP itself (grip.upstream_key)")?;
        }
        let cross_origin = self.explanation.cross_origin.as_ref();
        if cross_origin.is_some_and(|cross_origin| cross_origin.call().is_some()) {
            f.write_str(", by JSON-P")?;
        }
        f.write_str("\n\n")
    }

    /// The lines that were looked at, as they stand in the file but for secrets, and what became of
    /// each.
    fn choice(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Explanation { tried, route, .. } = self.explanation;
        let (name, host) = (self.name, &self.explanation.asked.host);
        // What was tried is in the order of the lines, too.
        let mut lines = self.table.lines();
        let mut shown = |route| {
            let line = lines.find(|(.., other)| Arc::ptr_eq(other, route));
            line.map_or_else(String::new, |(number, line, _)| {
                format!("{number:>6}: {}\n", masked(line).0.trim())
            })
        };
        match (tried.first(), route) {
            (_, Some(route)) if route.targets[0].address == Address::Welcome => {
                f.write_str("Nothing is configured: the welcome page is served.\n")?;
            }
            // Why there is none stands in the refusal.
            (None, None) => return Ok(()),
            (None, Some(route)) => {
                let line = shown(route);
                write!(f, "The request names its route (Pushpin-Route):\n{line}")?;
            }
            (Some((first, _)), _) => {
                write!(f, "Lines of {name} that are looked at: ")?;
                if first.domain == Domain::Any {
                    writeln!(f, "those for *, since none is for host {host}.")?;
                } else {
                    writeln!(f, "those for host {host} alone, since there are such.")?;
                }
                for (route, misfit) in tried {
                    let (line, verdict) = (shown(route), self.verdict(route, *misfit));
                    writeln!(f, "{line}          {verdict}")?;
                }
            }
        }
        f.write_str("\n")
    }

    fn verdict(&self, route: &Arc<Route>, misfit: Option<Misfit>) -> String {
        match (misfit, &self.explanation.route) {
            (Some(Misfit::Path), _) => format!("not for it: its path_beg is {}", route.path_beg),
            (Some(Misfit::Proto), _) => "not for it: its proto is the other one".into(),
            (Some(Misfit::Tls), _) => "not for it: its ssl is the other one".into(),
            (None, Some(taken)) if !Arc::ptr_eq(taken, route) => {
                format!("would do, but the one taken {}", better(taken, route))
            }
            (None, _) => "taken".into(),
        }
    }

    /// What the targets would be sent, in their order on the line.
    fn requests(&self, f: &mut Formatter<'_>, requests: &[Result<Outgoing, Cause>]) -> fmt::Result {
        let Some(route) = &self.explanation.route else {
            return Ok(());
        };
        let mut last = None;
        for (nth, (target, request)) in route.targets.iter().zip(requests).enumerate() {
            if nth > 0 {
                f.write_str(otherwise(route))?;
            }
            f.write_str(&show_address(&target.address))?;
            match request {
                Err(cause) => writeln!(f, " gets nothing, the client an error: {cause}.\n")?,
                Ok(request) => {
                    let head = self.head(request);
                    f.write_str(&manner(target, request))?;
                    if last.as_ref() == Some(&head) {
                        f.write_str(" would be sent the same.\n\n")?;
                    } else {
                        write!(f, " would be sent:\n\n{head}")?;
                    }
                    last = Some(head);
                }
            }
        }
        Ok(())
    }

    /// A request as it goes out, without what is another for each.
    fn head(&self, request: &Outgoing) -> String {
        let head = &request.head;
        let mut lines = vec![format!("{} {} {:?}", head.method, head.uri, head.version)];
        for (name, value) in &head.headers {
            let own = self.asked.spelled(name);
            let spelled = own.map_or_else(|| titled(name), str::to_owned);
            let is_clients = self.asked.values(name).any(|own| own == value);
            let value = match name.as_str() {
                "grip-sig" if !is_clients => "(a token, made for each request)".into(),
                "grip-connection" | "connection-id" if !is_clients => {
                    "(the id of the client's connection)".into()
                }
                _ => String::from_utf8_lossy(value.as_bytes()),
            };
            lines.push(format!("{spelled}: {value}"));
        }
        let body = String::from_utf8_lossy(&request.body).replace("\r\n", "\n");
        let end = if body.is_empty() { "" } else { "\n\n" };
        lines.join("\n") + "\n\n" + body.trim_end() + end
    }
}

/// When a target of a route is asked that is not the first on the line.
fn otherwise(route: &Route) -> &'static str {
    match route.balance {
        Some(Balance::LeastRequests) => {
            "Or, with fewer requests under way, or if that does not take it: "
        }
        Some(Balance::RoundRobin) => "Or, in its turn, or if that does not take it: ",
        _ if route.minds_targets() => "If it rests or cannot be reached: ",
        _ => "If it cannot be reached: ",
    }
}

/// How a target is spoken to.
fn manner(target: &Target, request: &Outgoing) -> String {
    let mut text = match &request.tls_name {
        _ if matches!(target.address, Address::Test | Address::Welcome) => {
            return " (gripd itself)".into();
        }
        None => " (without TLS".to_owned(),
        Some(name) => {
            // An address is no name to ask for (RFC 6066 section 3).
            let sni = name.parse::<IpAddr>().map_or(&**name, |_| "none");
            let certificate = if target.insecure { "any" } else { name };
            format!(" (over TLS, SNI: {sni}, certificate: {certificate}")
        }
    };
    if target.untrusted {
        text += ", untrusted: at a public address only";
    }
    text + ")"
}

/// Why a route is taken and not another that would do, in the order in which that is decided.
fn better(taken: &Route, other: &Route) -> &'static str {
    if taken.proto.is_some() && other.proto.is_none() {
        "says more: proto"
    } else if taken.path_beg.len() > other.path_beg.len() {
        "has the longer path_beg"
    } else if taken.ssl.is_some() && other.ssl.is_none() {
        "says more: ssl"
    } else {
        "wins by the order of the lines"
    }
}

/// A name as gripd spells those of its own.
fn titled(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}
