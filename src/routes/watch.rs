//! Reload of the routes file.
