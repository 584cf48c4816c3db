//! Why a route, or any, does not fit a request: what was looked at, for whoever writes the routes.

use std::sync::Arc;

use super::{
    grammar::{Domain, Proto, Route},
    table::{IdMatch, Query, Table},
};

/// Why a route is not for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The path does not begin with its `path_beg`.
    Path,
    /// `proto` asks for the other kind of request.
    Proto,
    /// `ssl` asks for the other kind of connection.
    Tls,
}

impl Misfit {
    /// The first reason; `None`: it is for the request.
    pub(super) fn of(route: &Route, query: &Query<'_>) -> Option<Self> {
        let proto = if query.websocket {
            Proto::WebSocket
        } else {
            Proto::Http
        };
        if route.proto.is_some_and(|wanted| wanted != proto) {
            Some(Self::Proto)
        } else if route.ssl.is_some_and(|wanted| wanted != query.tls) {
            Some(Self::Tls)
        } else {
            (!query.path.starts_with(&route.path_beg)).then_some(Self::Path)
        }
    }
}

impl Table {
    /// What was tried for a request that [`Table::find`] has nothing for.
    pub fn why_none(&self, query: &Query<'_>) -> String {
        let kind = if query.websocket {
            "a WebSocket"
        } else {
            "plain HTTP"
        };
        let tls = if query.tls { "with" } else { "without" };
        let asked = format!("{kind} {tls} TLS");
        let (own, any) = self.lines_for(query.host);
        match (own, any) {
            ([], []) => "no line names this host, and there is no `*` line".into(),
            ([], any) => format!(
                "no line names this host, and no `*` line fits its path ({asked}); tried: {}",
                listed(any)
            ),
            (own, []) => format!(
                "no line of this host fits the path ({asked}); tried: {}",
                listed(own)
            ),
            (own, _) => format!(
                "no line of this host fits the path ({asked}), and `*` lines are not for a host \
                 that has its own; tried: {}",
                listed(own)
            ),
        }
    }
}

/// Why an id that a client gave as `Pushpin-Route` leads nowhere.
pub fn why_not_by_id(found: &IdMatch) -> &'static str {
    match found {
        IdMatch::OtherPath => "the line of its Pushpin-Route has another path_beg",
        IdMatch::Shared => "several lines have the id of its Pushpin-Route",
        IdMatch::Unknown | IdMatch::Found(_) => "no line has the id of its Pushpin-Route",
    }
}

fn listed(routes: &[Arc<Route>]) -> String {
    let mut texts: Vec<_> = routes
        .iter()
        .take(MOST)
        .map(|route| condition(route))
        .collect();
    if routes.len() > MOST {
        texts.push(format!("and {} more", routes.len() - MOST));
    }
    texts.join(" ")
}

/// A route's condition as a line writes it.
fn condition(route: &Route) -> String {
    let mut text = match &route.domain {
        Domain::Any => "*".to_owned(),
        Domain::Host(host) => host.clone(),
        Domain::IdOnly => String::new(),
    };
    if !route.path_beg.is_empty() {
        text.push_str(",path_beg=");
        text.push_str(&route.path_beg);
    }
    match route.proto {
        Some(Proto::Http) => text += ",proto=http",
        Some(Proto::WebSocket) => text += ",proto=ws",
        None => {}
    }
    match route.ssl {
        Some(true) => text += ",ssl=yes",
        Some(false) => text += ",ssl=no",
        None => {}
    }
    text
}

/// Lines that are named.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_was_tried_is_named() {
        let text = "a.test,path_beg=/only test\na.test,proto=ws,ssl=yes test\n*,path_beg=/x test\n";
        let (table, _) = Table::parse("routes", text, Path::new("."));
        let why = |table: &Table, host| {
            let query = Query {
                host,
                path: "/y",
                websocket: false,
                tls: false,
            };
            assert_eq!(table.find(&query), None);
            table.why_none(&query)
        };
        let own = why(&table, "a.test");
        assert!(
            own.ends_with("tried: a.test,path_beg=/only a.test,proto=ws,ssl=yes"),
            "{own}"
        );
        assert!(own.contains("plain HTTP without TLS"), "{own}");
        assert!(own.contains("`*` lines are not for a host"), "{own}");
        let other = why(&table, "b.test");
        assert!(other.contains("no line names this host"), "{other}");
        assert!(other.ends_with("tried: *,path_beg=/x"), "{other}");
        let many: Vec<_> = (0..20).map(|n| format!("*,path_beg=/{n} test")).collect();
        let (table, _) = Table::parse("routes", &many.join("\n"), Path::new("."));
        assert!(why(&table, "b.test").ends_with("and 12 more"));
        assert!(why(&Table::default(), "b.test").ends_with("no `*` line"));
    }
}
