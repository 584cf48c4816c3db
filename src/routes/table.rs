//! The routes table: the best match for a request.
