//! Measures what a push proxy costs: bytes per held client, CPU time per delivery and per request
//! that is only passed on, latency.
//!
//! One pass of one server is: start it ([`servers`]), hold clients through it ([`clients`]) that a
//! tiny [`backend`] turns into holds, publish ([`publish`]), and read the server's memory and CPU
//! time from the kernel ([`procfs`]). [`pass`] is that list of steps, [`proxying`] the one for
//! requests that are only passed on; [`plan`] says which passes run and in which order, [`report`]
//! turns samples into a table. `bin/floor.rs` is the program that everything is compared with.
//! [`soak`] is a long run that asks whether memory stays flat.
//!
//! The load generator is one thread with one `epoll`; the backend is another. Neither is part of
//! any figure, since only the processes of the server are looked at.

pub mod args;
pub mod backend;
pub mod channel;
pub mod channels;
pub mod clients;
pub mod figure;
pub mod frames;
pub mod http2;
pub mod load;
pub mod machine;
pub mod pass;
pub mod plain;
pub mod plan;
pub mod prepare;
pub mod procfs;
pub mod proxying;
pub mod publish;
pub mod report;
pub mod servers;
pub mod slow;
pub mod soak;
pub mod stop;
pub mod wire;
