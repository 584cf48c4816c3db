//! gripd, a push proxy: it stands in front of a web backend and keeps clients' connections open
//! after the backend has answered, so that anyone may push messages to them.
//!
//! The map (arrows point only downwards; `tests/arrows.rs` guards them):
//!
//! - `server` assembles everything; `cli` is the command line, one file per command.
//! - `control` takes what is published; `listen` accepts clients.
//! - `front` is a client's connection while it is busy; `hold` is what it becomes when it is held.
//! - `forward` brings one request to a backend through `upstream`.
//! - `hub` knows who is subscribed to what and delivers.
//! - [`routes`], `config`, `telemetry` serve the rooms above.
//! - [`grip`], [`http1`], [`websocket`] and [`cross_origin`] are pure: the protocols as values and
//!   decisions.

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod control;
pub mod cross_origin;
#[cfg(feature = "server")]
pub mod forward;
#[cfg(feature = "server")]
pub mod front;
pub mod grip;
#[cfg(feature = "server")]
pub mod hold;
pub mod http1;
#[cfg(feature = "server")]
pub mod hub;
#[cfg(feature = "server")]
pub mod listen;
pub mod routes;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod socket;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
pub mod upstream;
pub mod websocket;
