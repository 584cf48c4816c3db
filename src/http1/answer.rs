//! The one writer of HTTP/1 response heads for held requests and refusals.
