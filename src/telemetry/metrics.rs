//! The page of `GET /metrics`, in the Prometheus text format. Reads atomics; nothing is counted
//! for it on the way of an item.

use std::fmt::Write;

use super::counters::ALL;

/// All counters, and these gauges: name, what it is, value.
pub fn page(gauges: &[(&str, &str, usize)]) -> String {
    let mut page = String::new();
    for counter in ALL {
        line(
            &mut page,
            counter.name,
            counter.help,
            "counter",
            counter.get(),
        );
    }
    for (name, help, value) in gauges {
        line(&mut page, name, help, "gauge", *value as u64);
    }
    page
}

fn line(page: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    // Writing to a String does not fail.
    let _ = write!(
        page,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_number_has_its_help_and_its_type() {
        let page = super::page(&[("gripd_channels", "Channels", 7)]);
        let gauge = "# HELP gripd_channels Channels\n# TYPE gripd_channels gauge\n\
                     gripd_channels 7\n";
        assert!(page.ends_with(gauge), "{page}");
        assert!(page.contains("# TYPE gripd_slow_closed_total counter\n"));
        assert_eq!(page.lines().count() % 3, 0);
    }
}
