//! The page of metrics, in the Prometheus text format. Nothing is counted for it; it adds up what
//! the threads have counted for themselves.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    core::{self, BOUNDS, Times},
    counters::{CONNECTIONS, DELIVERY, Family, Kind, LINES_LOST, TABLE, UPSTREAM, UPSTREAM_ERRORS},
    logs, minutes,
};

/// A page under way.
#[derive(Debug, Default)]
struct Page {
    text: String,
    /// Whose numbers were written last.
    name: String,
}

/// Everything that is counted, and these gauges: name and what it is, value. The five names that
/// Pushpin has, too, stand behind `prefix`.
pub fn page(prefix: &str, gauges: &[([&str; 2], usize)]) -> String {
    let mut page = Page::default();
    for about in TABLE {
        let kind = match about.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        page.head(about.name, about.help, kind);
        page.number(about.name, about.label, about.count.get());
    }
    page.families();
    page.one(CONNECTIONS, "gauge", minutes::connections().0);
    for (about, value) in gauges {
        page.one(*about, "gauge", *value as u64);
    }
    page.one(LINES_LOST, "counter", logs::lost());
    let delivery = Times::default();
    core::each(|core| delivery.add(&core.delivery));
    page.head(DELIVERY[0], DELIVERY[1], "histogram");
    page.times(DELIVERY[0], "", &delivery);
    page.routes();
    for (name, kind, help, value) in minutes::of_pushpin() {
        let name = format!("{prefix}{name}");
        page.one([&name, help], kind, value);
    }
    page.text
}

impl Page {
    /// What stands once before the numbers of a name.
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        if self.name != name {
            name.clone_into(&mut self.name);
            self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        }
    }

    fn number(&mut self, name: &str, label: &str, value: u64) {
        if label.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{label}}} {value}"));
        }
    }

    fn one(&mut self, [name, help]: [&str; 2], kind: &str, value: u64) {
        self.head(name, help, kind);
        self.number(name, "", value);
    }

    fn families(&mut self) {
        let mut all = BTreeMap::new();
        core::each(|core| core.add_labels(&mut all));
        for family in Family::ALL {
            let [name, label, help] = family.about();
            self.head(name, help, "counter");
            for ((_, value), count) in all.iter().filter(|((own, _), _)| *own == family) {
                self.number(name, &format!("{label}=\"{value}\""), *count);
            }
        }
    }

    fn routes(&mut self) {
        let mut all = BTreeMap::new();
        core::each(|core| core.add_routes(&mut all));
        self.head(UPSTREAM[0], UPSTREAM[1], "histogram");
        for (route, upstream) in &all {
            let label = format!("route=\"{}\"", escaped(route));
            self.times(UPSTREAM[0], &label, &upstream.times);
        }
        let [name, help] = UPSTREAM_ERRORS;
        self.head(name, help, "counter");
        for (route, upstream) in &all {
            for (cause, count) in &upstream.errors {
                let label = format!("route=\"{}\",cause=\"{cause}\"", escaped(route));
                self.number(name, &label, *count);
            }
        }
    }

    fn times(&mut self, name: &str, label: &str, times: &Times) {
        let (counts, micros) = times.read();
        let comma = if label.is_empty() { "" } else { "," };
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(counts) {
            sum += count;
            let bound = Seconds(*bound);
            self.line(format_args!(
                "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {sum}"
            ));
        }
        sum += counts[BOUNDS.len()];
        self.line(format_args!(
            "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {sum}"
        ));
        let braces = if label.is_empty() {
            String::new()
        } else {
            format!("{{{label}}}")
        };
        self.line(format_args!("{name}_sum{braces} {}", Seconds(micros)));
        self.line(format_args!("{name}_count{braces} {sum}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// Microseconds, shown as seconds without idle zeros.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(micros) = self;
        let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;
    use crate::telemetry::counters::{CHANNELS, Count, answered, unanswered};

    #[test]
    fn each_name_has_its_help_and_its_type_once() {
        let page = page("pre_", &[(CHANNELS, 7)]);
        assert!(page.contains("# TYPE gripd_channels gauge\ngripd_channels 7\n"));
        assert!(page.contains("# TYPE gripd_slow_closed_total counter\n"));
        assert!(page.contains("# TYPE pre_request_received counter\npre_request_received "));
        let mut seen = HashSet::new();
        for line in page.lines().filter(|line| line.starts_with("# TYPE")) {
            assert!(seen.insert(line), "{line} stands there twice");
        }
        let numbers = page.lines().filter(|line| !line.starts_with('#'));
        for line in numbers {
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn routes_are_told_apart() {
        answered("a\"b", Duration::from_millis(2));
        unanswered("a\"b", "connect");
        Count::Items.add(1);
        let page = page("", &[]);
        for line in [
            "gripd_upstream_seconds_bucket{route=\"a\\\"b\",le=\"0.001\"} 0\n",
            "gripd_upstream_seconds_bucket{route=\"a\\\"b\",le=\"0.0025\"} 1\n",
            "gripd_upstream_seconds_bucket{route=\"a\\\"b\",le=\"+Inf\"} 1\n",
            "gripd_upstream_seconds_sum{route=\"a\\\"b\"} 0.002\n",
            "gripd_upstream_seconds_count{route=\"a\\\"b\"} 1\n",
            "gripd_upstream_errors_total{route=\"a\\\"b\",cause=\"connect\"} 1\n",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }
}
