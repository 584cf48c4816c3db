//! One request on its way to a backend.
