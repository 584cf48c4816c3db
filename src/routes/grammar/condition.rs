//! The first section of a line: which requests, and the route's options.

use std::time::Duration;

use super::{
    Balance, Domain, LineError, Note, Proto, Route,
    line::{host, note_later, note_unknown, text},
    target,
    token::{Prop, Section},
};
use crate::{
    cross_origin::call::{Call, Mode},
    grip::overflow::OnOverflow,
};

/// Every option of a condition. A target that has one of them gets a hint.
pub(super) const OPTIONS: &[&str] = &[
    "aco",
    "aco_preflight",
    "as_host",
    "balance",
    "check",
    "connect_timeout",
    "debug",
    "header",
    "id",
    "idle_timeout",
    "jsonp_body",
    "jsonp_cb",
    "jsonp_defcb",
    "jsonp_defmethod",
    "jsonp_mode",
    "log_level",
    "no_grip",
    "orig_headers",
    "overflow",
    "path_beg",
    "path_rem",
    "prefix",
    "proto",
    "replace_beg",
    "response_timeout",
    "session",
    "sig_iss",
    "sig_key",
    "sockjs",
    "sockjs_as_path",
];

/// Reads the condition.
pub(super) fn parse(section: &Section, notes: &mut Vec<Note>) -> Result<Route, LineError> {
    let mut route = Route {
        domain: match section.value.as_str() {
            "" => Domain::IdOnly,
            "*" => Domain::Any,
            name => Domain::Host(name.to_owned()),
        },
        ..Route::default()
    };
    note_dead_domain(section, notes);
    for prop in &section.props {
        let known = choose(&mut route, prop, notes)?
            || log_level(&mut route, prop, notes)
            || rewrite(&mut route, prop, notes)?
            || sign(&mut route, prop)
            || cross_origin(&mut route, prop)?
            || later(&mut route, prop, notes)
            || slow(&mut route, prop)?
            || balance(&mut route, prop)?
            || timeouts(&mut route, prop)?;
        // `ssl` is both a condition's and a target's: what is left here is a target's alone.
        if !known {
            note_unknown(
                notes,
                prop,
                "condition",
                target::OPTIONS.contains(&prop.name.as_str()),
            );
        }
    }
    // Each new one goes before the others on the line: the first of a name must be applied last.
    route.headers.reverse();
    Ok(route)
}

/// A host that no request can have: the line is sound but never chosen.
fn note_dead_domain(section: &Section, notes: &mut Vec<Note>) {
    let value = section.value.as_str();
    let why = if value.starts_with('/') {
        "paths are chosen by an option: `*,path_beg=/...`"
    } else if value.contains("://") || value.contains('/') {
        "a condition is a bare host"
    } else if value != "*" && value.contains('*') {
        "there are no wildcards inside names, only `*` alone"
    } else if value.chars().any(char::is_uppercase) {
        "hosts are compared in lower case"
    } else if !value.starts_with('[') && value.contains(':') {
        "hosts are compared without their port"
    } else {
        return;
    };
    notes.push(Note {
        column: section.column,
        text: format!("`{value}` never matches: {why}"),
    });
}

fn choose(route: &mut Route, prop: &Prop, notes: &mut Vec<Note>) -> Result<bool, LineError> {
    match prop.name.as_str() {
        "id" => route.id = text(prop),
        "path_beg" => {
            if prop.text.is_empty() {
                return Err(prop.error("empty path_beg", "path_beg=/beginning/of/path"));
            }
            if !prop.text.starts_with('/') || !prop.text.bytes().all(|b| b.is_ascii_graphic()) {
                notes.push(Note {
                    column: prop.column,
                    text: "this path_beg never matches: paths begin with `/` and are \
                           percent-encoded"
                        .into(),
                });
            }
            route.path_beg.clone_from(&prop.text);
        }
        "proto" => {
            route.proto = Some(match prop.text.as_str() {
                "http" => Proto::Http,
                "ws" => Proto::WebSocket,
                _ => {
                    return Err(prop.error(
                        "unknown proto",
                        "proto=http or proto=ws (with TLS: ssl=yes)",
                    ));
                }
            });
        }
        "ssl" => {
            route.ssl = Some(match prop.text.as_str() {
                "yes" => true,
                "no" => false,
                _ => {
                    return Err(prop.error(
                        "unknown ssl",
                        "ssl=yes or ssl=no (plain `ssl` belongs behind a target)",
                    ));
                }
            });
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn rewrite(route: &mut Route, prop: &Prop, notes: &mut Vec<Note>) -> Result<bool, LineError> {
    match prop.name.as_str() {
        "as_host" => route.as_host = host(prop)?,
        "debug" => route.debug = true,
        "header" => route.headers.push(header(prop)?),
        "no_grip" => route.no_grip = true,
        "orig_headers" => route.orig_headers = true,
        "path_rem" => {
            route.path_rem = if let Ok(count) = prop.text.parse::<i64>() {
                usize::try_from(count).unwrap_or(0)
            } else {
                notes.push(Note {
                    column: prop.column,
                    text: "path_rem is not a number: nothing is removed".into(),
                });
                0
            };
        }
        "prefix" => route.prefix.clone_from(&prop.text),
        "replace_beg" => {
            if !is_path(&prop.text) {
                return Err(prop.error(
                    "replace_beg holds a character no path may have",
                    "a percent-encoded path without blanks and #",
                ));
            }
            route.replace_beg = Some(prop.text.clone());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn sign(route: &mut Route, prop: &Prop) -> bool {
    match prop.name.as_str() {
        "sig_iss" => route.sig_iss = text(prop),
        "sig_key" => route.sig_key = text(prop),
        _ => return false,
    }
    true
}

fn cross_origin(route: &mut Route, prop: &Prop) -> Result<bool, LineError> {
    match prop.name.as_str() {
        "aco" => route.auto_cross_origin = true,
        "aco_preflight" => {
            route.auto_cross_origin = true;
            route.preflight = true;
        }
        "jsonp_body" => route.jsonp.body = text(prop),
        "jsonp_cb" => route.jsonp.callback = text(prop),
        "jsonp_defcb" => {
            route.jsonp.default_callback = text(prop);
            if Call::new(prop.text.clone(), Mode::Basic).is_none() {
                let allowed = "the name of a function, such as app.answer";
                return Err(prop.error("jsonp_defcb is no function's name", allowed));
            }
        }
        "jsonp_defmethod" => {
            route.jsonp.default_method = text(prop);
            if !is_token(&prop.text) {
                let allowed = "a method, such as POST";
                return Err(prop.error("jsonp_defmethod is no method", allowed));
            }
        }
        "jsonp_mode" => {
            route.jsonp.mode = match prop.text.as_str() {
                "basic" => Mode::Basic,
                "extended" => Mode::Extended,
                _ => {
                    let allowed = "jsonp_mode=basic or jsonp_mode=extended";
                    return Err(prop.error("unknown jsonp_mode", allowed));
                }
            };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn log_level(route: &mut Route, prop: &Prop, notes: &mut Vec<Note>) -> bool {
    if prop.name != "log_level" {
        return false;
    }
    let level = prop.text.parse().ok();
    if level.is_none_or(|level| !(-1..=4).contains(&level)) {
        notes.push(Note {
            column: prop.column,
            text: "log_level is not a number from 0 (error) to 4 (trace), nor -1: it has no effect"
                .into(),
        });
    }
    route.log_level = level.filter(|level| (0..=4).contains(level));
    true
}

fn later(route: &mut Route, prop: &Prop, notes: &mut Vec<Note>) -> bool {
    match prop.name.as_str() {
        "session" => route.session = true,
        "sockjs" => route.sockjs = text(prop),
        "sockjs_as_path" => route.sockjs_as_path = text(prop),
        _ => return false,
    }
    note_later(notes, prop, "it has no effect");
    true
}

fn slow(route: &mut Route, prop: &Prop) -> Result<bool, LineError> {
    if prop.name != "overflow" {
        return Ok(false);
    }
    let Some(choice) = OnOverflow::parse(&prop.text) else {
        let allowed = OnOverflow::NAMES.join(", ");
        return Err(prop.error("unknown overflow", &allowed));
    };
    route.overflow = Some(choice);
    Ok(true)
}

fn balance(route: &mut Route, prop: &Prop) -> Result<bool, LineError> {
    match prop.name.as_str() {
        "balance" => {
            route.balance = Some(match prop.text.as_str() {
                "in-order" => Balance::InOrder,
                "least-requests" => Balance::LeastRequests,
                "round-robin" => Balance::RoundRobin,
                _ => {
                    let allowed = "in-order, least-requests or round-robin";
                    return Err(prop.error("unknown balance", allowed));
                }
            });
        }
        "check" => {
            if !prop.text.starts_with('/') || !is_path(&prop.text) {
                return Err(prop.error("check without a path", "check=/path, percent-encoded"));
            }
            route.check = Some(prop.text.clone());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// May it go into the request line as it is?
fn is_path(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

fn timeouts(route: &mut Route, prop: &Prop) -> Result<bool, LineError> {
    let slot = match prop.name.as_str() {
        "connect_timeout" => &mut route.timeouts.connect,
        "idle_timeout" => &mut route.timeouts.idle,
        "response_timeout" => &mut route.timeouts.response,
        _ => return Ok(false),
    };
    *slot = Some(seconds(prop)?);
    Ok(true)
}

fn seconds(prop: &Prop) -> Result<Duration, LineError> {
    let number = prop.text.parse::<f64>().unwrap_or(f64::NAN);
    if (0.001..=MOST_SECONDS).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(prop.error(
            format!("`{}` is not a time", prop.name),
            "seconds from 0.001 to 604800 (a week), such as 30 or 0.5",
        ))
    }
}

/// `Name:value`, ready to be sent.
fn header(prop: &Prop) -> Result<(String, String), LineError> {
    let Some((name, value)) = prop.text.split_once(':') else {
        return Err(prop.error("header without a colon", "header=Name:value"));
    };
    if !is_token(name) {
        return Err(prop.error(
            "header with a name that cannot be sent",
            "letters, digits and !#$%&'*+-.^_`|~ before the colon",
        ));
    }
    let value = value.trim_matches(' ');
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(prop.error(
            "header with a control character in its value",
            "printable text and tabs",
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Is this a name as HTTP has them (RFC 9110 section 5.6.2)?
fn is_token(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(fits)
}

/// A week: longer is a mistake, and far below what a timer can hold.
const MOST_SECONDS: f64 = 604_800.0;
