//! `[routes]`: which backend answers what.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "routes",
        "file",
        Slot::File(|s| &mut s.routes.file),
        "the routes file",
    ),
    key(
        "routes",
        "lines",
        Slot::Lines(|s| &mut s.routes.lines),
        "route lines; with any, no file is read",
    )
    .flags(&["--route"]),
];
