//! Says once a route what its instructs ask for and gripd does not do yet.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::grip::{filter::Filter, instruct::Instruct};

/// Which routes have been told. Shared by all threads.
#[derive(Debug, Default)]
pub struct Notices(Mutex<HashSet<String>>);

impl Notices {
    /// Warns about `instruct` if it is the first of its route that asks for more than is there.
    pub(super) fn tell(&self, instruct: &Instruct, route: &str) {
        for warning in &instruct.warnings {
            tracing::warn!(route, "{warning}");
        }
        let missing = missing(instruct);
        if !missing.is_empty() && self.is_first(route) {
            tracing::warn!(
                route,
                "this route's instructs use what gripd does not do yet ({}): links and filters act \
                 as if absent, and channels with require-sub deliver nothing",
                missing.join(", ")
            );
        }
    }

    fn is_first(&self, route: &str) -> bool {
        let mut told = self.0.lock();
        !told.contains(route) && told.insert(route.to_owned())
    }
}

fn missing(instruct: &Instruct) -> Vec<&str> {
    let links = [
        ("Grip-Link: next", instruct.links.next.is_some()),
        ("Grip-Link: gone", instruct.links.gone.is_some()),
    ];
    let links = links
        .into_iter()
        .filter_map(|(name, used)| used.then_some(name));
    let filters = instruct
        .channels
        .iter()
        .flat_map(|channel| &channel.filters);
    let known = filters
        .map(String::as_str)
        .filter(|name| Filter::parse(name).is_some());
    let mut missing: Vec<&str> = links.chain(known).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}
