//! The later sections of a line: where requests go.

use core::net::Ipv6Addr;

use super::{
    Address, LineError, Note, Target, condition,
    line::{host, note_later, note_unknown, text},
    token::{Prop, Section},
};

/// Every option of a target. A condition that has one of them gets a hint.
pub(super) const OPTIONS: &[&str] = &[
    "client_cert",
    "client_key",
    "host",
    "insecure",
    "ipc_file_mode",
    "max_connections",
    "one_event",
    "over_http",
    "ssl",
    "sub",
    "trust_connect_host",
    "untrusted",
];

/// Reads one target.
pub(super) fn parse(section: &Section, notes: &mut Vec<Note>) -> Result<Target, LineError> {
    let mut target = Target {
        address: address(section)?,
        ..Target::default()
    };
    if matches!(target.address, Address::Zhttp(_) | Address::ZhttpReq(_)) {
        notes.push(Note {
            column: section.column,
            text: "zhttp targets are not in gripd yet: this target answers 501".into(),
        });
    }
    for prop in &section.props {
        let known = working(&mut target, prop)?
            || tls(&mut target, prop)
            || zhttp(&mut target, prop, notes);
        if !known {
            let elsewhere = condition::OPTIONS.contains(&prop.name.as_str());
            note_unknown(notes, prop, "target", elsewhere);
        }
    }
    check_tls(section, &target, notes)?;
    Ok(target)
}

fn working(target: &mut Target, prop: &Prop) -> Result<bool, LineError> {
    match prop.name.as_str() {
        "host" => target.host = host(prop)?,
        "max_connections" => {
            let most = prop
                .text
                .parse()
                .ok()
                .filter(|most| (1..=MOST_CONNECTIONS).contains(most));
            let fault = || prop.error("max_connections is not a count", "1 to 1000000");
            target.max_connections = Some(most.ok_or_else(fault)?);
        }
        "one_event" => target.one_event = true,
        "over_http" => target.over_http = true,
        "sub" => target.subs.extend(text(prop)),
        "untrusted" => target.untrusted = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn tls(target: &mut Target, prop: &Prop) -> bool {
    match prop.name.as_str() {
        "client_cert" => target.client_cert = text(prop).map(Into::into),
        "client_key" => target.client_key = text(prop).map(Into::into),
        "insecure" => target.insecure = true,
        "ssl" => target.ssl = true,
        "trust_connect_host" => target.trust_connect_host = true,
        _ => return false,
    }
    true
}

/// A certificate needs its key, and options of TLS need TLS.
fn check_tls(section: &Section, target: &Target, notes: &mut Vec<Note>) -> Result<(), LineError> {
    let missing = match (&target.client_cert, &target.client_key) {
        (Some(_), None) => Some(("client_cert", "client_cert without client_key")),
        (None, Some(_)) => Some(("client_key", "client_key without client_cert")),
        _ => None,
    };
    for prop in &section.props {
        let name = prop.name.as_str();
        if let Some((given, what)) = missing
            && given == name
        {
            return Err(prop.error(what, "both, each with a PEM file, or none"));
        }
        let is_tls = matches!(name, "client_cert" | "insecure" | "trust_connect_host");
        if is_tls && !target.ssl {
            notes.push(Note {
                column: prop.column,
                text: format!("`{name}` has no effect without `ssl`"),
            });
        }
    }
    Ok(())
}

fn zhttp(target: &mut Target, prop: &Prop, notes: &mut Vec<Note>) -> bool {
    if prop.name != "ipc_file_mode" {
        return false;
    }
    target.ipc_file_mode = u32::from_str_radix(&prop.text, 8).ok();
    note_later(notes, prop, "it has no effect");
    true
}

fn address(section: &Section) -> Result<Address, LineError> {
    let value = section.value.as_str();
    let fault = |what: &str| Err(LineError::new(section.column, what, ALLOWED));
    if value.is_empty() {
        return fault("target without an address");
    }
    if value == "test" {
        return Ok(Address::Test);
    }
    for (scheme, make) in [
        ("zhttp/", Address::Zhttp as fn(String) -> Address),
        ("zhttpreq/", Address::ZhttpReq),
    ] {
        if let Some(base) = value.strip_prefix(scheme) {
            return if base.contains("://") {
                Ok(make(base.to_owned()))
            } else {
                fault("zhttp target without a transport such as tcp:// or ipc://")
            };
        }
    }
    if let Some(path) = value.strip_prefix("unix:") {
        return if path.starts_with('/') && path.len() <= LONGEST_SOCKET {
            Ok(Address::Unix(path.into()))
        } else {
            fault("unix target without a path that begins with / and has at most 107 bytes")
        };
    }
    if value.contains("://") {
        return fault("target with a scheme");
    }
    let Some((host, port)) = host_and_port(value) else {
        let option = OPTIONS.contains(&value) || condition::OPTIONS.contains(&value);
        return fault(match value {
            _ if option => "an option behind a space (it follows a comma)",
            port if port.parse::<u16>().is_ok() => "target without a host",
            _ => "target without a port",
        });
    };
    if !is_host(host) || (value.starts_with('[') && host.parse::<Ipv6Addr>().is_err()) {
        return fault("target without a usable host");
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Address::Host(host.to_owned(), port)),
        _ if port.contains('/') => fault("target with a path (path_rem and replace_beg change it)"),
        _ => fault("target port is not a number from 1 to 65535"),
    }
}

/// Splits at the first colon, or behind the bracket of an IPv6 address.
fn host_and_port(value: &str) -> Option<(&str, &str)> {
    match value.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => value.split_once(':'),
    }
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"/?#@[]*\"\\".contains(&b))
}

const ALLOWED: &str = "HOST:PORT (without http://), [IPV6]:PORT, unix:/PATH or test";

/// More than one address can have, and within what a semaphore counts.
const MOST_CONNECTIONS: u32 = 1_000_000;

/// What an address of the kernel holds, its last NUL left out.
const LONGEST_SOCKET: usize = 107;
