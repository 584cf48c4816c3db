//! `gripd explain [METHOD] URL`: which line of the routes a request takes and why, and what its
//! backend would be sent. The gate, the routes and `forward` decide it as they do when they serve;
//! nothing is listened to and nobody is asked.

mod request;
mod text;

use std::{
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
    rc::Rc,
    sync::Arc,
};

use arc_swap::ArcSwap;
use clap::Args;

use self::{request::Asked, text::Page};
use super::{CONFIGURATION, USAGE, complain, environment, line::Sources, write_out};
use crate::{
    config::{self, Flags, RouteSource, Settings},
    forward::{Client, Common, Forwarder, explain::Explanation},
    front,
    grip::connection::ConnectionId,
    http1::gate,
    routes::table::Table,
    upstream::welcome::{Publishing, Welcome},
};

/// The request to explain.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The request's method, GET if there is none; then its URL: http, https, ws or wss, or a path
    /// alone.
    #[arg(value_names = ["METHOD", "URL"], num_args = 1..=2, required = true)]
    request: Vec<String>,

    /// A header of the request; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// The client's address.
    #[arg(long, value_name = "ADDR", default_value_t = Ipv4Addr::LOCALHOST.into())]
    from: IpAddr,

    #[command(flatten)]
    pub(super) sources: Sources,
}

/// Explains. The exit code is 0 when the request would be answered.
pub(super) fn run(options: &Options, mut flags: Flags) -> ExitCode {
    // Who asks opens nothing.
    flags.control_insecure = true;
    let loaded = match config::load(&flags, environment()) {
        Ok(loaded) => loaded,
        Err(error) => {
            for fault in &error.faults {
                complain(fault);
            }
            return ExitCode::from(CONFIGURATION);
        }
    };
    let asked = match Asked::read(&options.request, &options.header) {
        Ok(asked) => asked,
        Err(why) => {
            complain(&why);
            return ExitCode::from(USAGE);
        }
    };
    let (table, faults) = match Table::load(&loaded.settings.routes) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return ExitCode::from(CONFIGURATION);
        }
    };
    for fault in &faults {
        complain(fault);
    }
    if let Err(refusal) = pass_front(&asked, &loaded.settings) {
        let told = format!("The client would get {refusal}\n");
        return write_out(&told).err().unwrap_or(ExitCode::FAILURE);
    }
    let name = name_of(&loaded.settings.routes);
    let explanation = explain(&asked, options.from, loaded.settings, table.clone());
    let page = Page {
        asked: &asked,
        explanation: &explanation,
        table: &table,
        name: &name,
    };
    match write_out(&page.to_string()) {
        Err(code) => code,
        Ok(()) if explanation.outcome.is_served() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// What is refused before a route is looked for: status and sentence.
fn pass_front(asked: &Asked, settings: &Settings) -> Result<(), String> {
    let limits = front::gate_limits(&settings.limits);
    // The head is whole: without a fault it passes.
    gate::scan_head(asked.head().as_bytes(), &limits)
        .map_err(|fault| format!("{}: {fault}", fault.status()))?;
    front::socket_headers(&asked.parts(), asked.has_body())
        .map_err(|failure| format!("{}: {failure}", failure.status()))?;
    Ok(())
}

fn explain(asked: &Asked, from: IpAddr, settings: Settings, table: Table) -> Explanation {
    let settings = Arc::new(settings);
    let common = Common::new(&settings);
    let routes = Arc::new(ArcSwap::from_pointee(table));
    // Backends of gripd's own are not asked, either.
    let nowhere =
        Rc::new(|_| -> Publishing { Box::pin(async { Err("nothing is published here".into()) }) });
    let welcome = Welcome::new("", "", "", nowhere);
    let forwarder = Forwarder::new(settings, routes, common, welcome);
    let client = Client {
        addr: Some(from),
        secure: asked.secure,
        connection: Some(ConnectionId::default()),
        ..Client::default()
    };
    forwarder.explain(asked.parts(), asked.upload(), &client)
}

/// What lines are told to be of.
fn name_of(source: &RouteSource) -> String {
    match &source.file {
        _ if !source.lines.is_empty() => source.lines_from.clone(),
        Some(file) => file.display().to_string(),
        None => "the built-in routes".into(),
    }
}
