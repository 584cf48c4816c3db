//! The gate: the strict check of each request head, and where its body ends.
