//! What gripd does itself of HTTP/1.1 (RFC 9112): the strict check of a request before a library
//! sees it, the heads it writes to held connections, and chunks. Pure.

pub mod answer;
pub mod chunk;
pub mod gate;
