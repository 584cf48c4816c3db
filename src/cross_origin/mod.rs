//! What a page of another site needs to ask a backend: CORS headers where the browser knows CORS,
//! JSON-P where all that may cross is a `<script>`. Pushpin's `auto_cross_origin` and `aco`.
//!
//! Pure: headers and queries come in as text, and what is to be sent comes out. [`cors`] says which
//! headers an answer lacks, [`jsonp`] reads a request out of a query, and [`call`] wraps an answer.
//! Which requests are meant is decided by `forward`; answers are changed by `front`, and by `hold`
//! and `hub` for what is held.
//!
//! Sources: the Fetch standard (CORS protocol) and Pushpin's documentation of JSON-P.

pub mod call;
pub mod cors;
pub mod jsonp;
