//! From samples to a table: medians with spread, and ratios to the floor (to nginx where a request is
//! only passed on).
//!
//! A ratio is taken within each pass, where both ran within a minute of each other, and the median
//! of those ratios is shown. Written after every step, so that an interrupted run keeps its rows.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    figure::{Figure, Sample},
    servers::Kind,
    wire::Hold,
};

/// A run as it is written down.
#[derive(Debug)]
pub struct Report {
    /// All values so far.
    pub samples: Vec<Sample>,
    /// Percent of the machine used by other programs, by measurement.
    pub others: Vec<f64>,
    /// What a reader must know: skipped, failed, interrupted, busy.
    pub notes: Vec<String>,
    /// The machine, commit and versions.
    pub machine: Value,
    /// Servers, as columns.
    pub servers: Vec<Kind>,
    /// What was asked for.
    pub settings: Value,
}

impl Report {
    /// Writes `results.md` and `results.json` into `dir`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        fs::write(dir.join("results.md"), self.markdown())?;
        fs::write(dir.join("results.json"), format!("{:#}\n", self.json()))?;
        Ok(())
    }

    /// The table and what belongs to it.
    pub fn markdown(&self) -> String {
        let mut out = String::from("| figure | clients |");
        for server in &self.servers {
            let _ = write!(out, " {server} |");
        }
        out.push_str("\n|---|---|");
        out.push_str(&"---|".repeat(self.servers.len()));
        out.push('\n');
        for row in self.rows() {
            let _ = write!(out, "| {} | {} |", row.figure.title(row.hold), row.size);
            for &server in &self.servers {
                let _ = write!(out, " {} |", self.cell(&row, server));
            }
            out.push('\n');
        }
        out.push_str(
            "\nMedian of the passes (least..most) and ratio within a pass: to the floor, for \
             proxied requests to nginx. The floor asks no backend.\n\n",
        );
        for (name, value) in self.machine.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(out, "- {name}: {text}");
        }
        let _ = writeln!(out, "- settings: {}", self.settings);
        for note in self.all_notes() {
            let _ = writeln!(out, "- **note**: {note}");
        }
        out
    }

    fn cell(&self, row: &Row, server: Kind) -> String {
        let values = self.values(row, server);
        let Some(spread) = Spread::of(&values) else {
            return "–".into();
        };
        let decimals = row.figure.decimals();
        let mut cell = format!(
            "{:.decimals$} ({:.decimals$}..{:.decimals$})",
            spread.median, spread.least, spread.most
        );
        if row.figure.base() != Some(server)
            && let Some(ratio) = self.ratio(row, server)
        {
            let _ = write!(cell, " ×{ratio:.2}");
        }
        cell
    }

    fn json(&self) -> Value {
        let mut results = Vec::new();
        for row in self.rows() {
            for &server in &self.servers {
                let values = self.values(&row, server);
                let Some(spread) = Spread::of(&values) else {
                    continue;
                };
                // Without a base there is no ratio, whatever it is called.
                let base = row.figure.base().unwrap_or(Kind::Floor);
                results.push(json!({
                    "figure": row.figure.key(row.hold), "clients": row.size,
                    "server": server.name(),
                    "median": spread.median, "min": spread.least, "max": spread.most,
                    "passes": values,
                    (format!("ratio_to_{base}")): self.ratio(&row, server),
                }));
            }
        }
        json!({
            "machine": self.machine, "settings": self.settings,
            "notes": self.all_notes(), "results": results,
        })
    }

    fn all_notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if let Some(spread) = Spread::of(&self.others) {
            notes.push(format!(
                "other programs used {:.0} % of the machine while measuring (median; at worst \
                 {:.0} %)",
                spread.median, spread.most
            ));
        }
        notes
    }

    /// Figures and holds in their order, sizes in that of their appearance.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for sample in &self.samples {
            if !rows.iter().any(|row| row.has(sample)) {
                rows.push(Row {
                    figure: sample.figure,
                    hold: sample.hold,
                    size: sample.size.clone(),
                });
            }
        }
        rows.sort_by_key(|row| (row.figure, row.hold));
        rows
    }

    fn values(&self, row: &Row, server: Kind) -> Vec<f64> {
        let samples = self.matching(row, server);
        samples.map(|sample| sample.value).collect()
    }

    fn matching(&self, row: &Row, server: Kind) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| row.has(sample) && sample.server == server)
    }

    /// Median of the ratios of the passes in which both the server and the one it is compared with
    /// ran.
    fn ratio(&self, row: &Row, server: Kind) -> Option<f64> {
        let base = row.figure.base()?;
        let ratios: Vec<f64> = self
            .matching(row, server)
            .filter_map(|sample| {
                let base = self
                    .matching(row, base)
                    .find(|base| base.pass == sample.pass)?;
                (base.value > 0.0).then_some(sample.value / base.value)
            })
            .collect();
        Spread::of(&ratios).map(|spread| spread.median)
    }
}

/// A row of the table.
struct Row {
    figure: Figure,
    hold: Hold,
    size: String,
}

impl Row {
    fn has(&self, sample: &Sample) -> bool {
        (self.figure, self.hold, &self.size) == (sample.figure, sample.hold, &sample.size)
    }
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self {
            least,
            median,
            most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxying::Proxied;

    fn sample(pass: u32, server: Kind, value: f64) -> Sample {
        Sample {
            pass,
            server,
            hold: Hold::Stream,
            figure: Figure::Delivery,
            size: "1,000".into(),
            value,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_pass() {
        let report = Report {
            samples: vec![
                sample(1, Kind::Floor, 2.0),
                sample(1, Kind::Gripd, 4.0),
                sample(2, Kind::Floor, 4.0),
                sample(2, Kind::Gripd, 4.0),
                sample(3, Kind::Floor, 3.0),
                sample(3, Kind::Gripd, 4.5),
            ],
            others: vec![],
            notes: vec![],
            machine: json!({ "cpu": "x" }),
            servers: vec![Kind::Floor, Kind::Gripd, Kind::Pushpin],
            settings: json!({}),
        };
        let text = report.markdown();
        let row = text.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "| CPU µs per delivery, one item at a time | 1,000 | 3.00 (2.00..4.00) | \
             4.00 (4.00..4.50) ×1.50 | – |"
        );
        assert_eq!(report.json()["results"][1]["ratio_to_floor"], json!(1.5));
    }

    #[test]
    fn proxied_requests_are_compared_with_nginx() {
        let figure = Figure::Proxied(Proxied::Page);
        let values = [(Kind::Floor, 5.0), (Kind::Gripd, 15.0), (Kind::Nginx, 10.0)];
        let report = Report {
            samples: values
                .map(|(server, value)| Sample {
                    figure,
                    ..sample(1, server, value)
                })
                .into(),
            others: vec![],
            notes: vec![],
            machine: json!({}),
            servers: values.map(|(server, _)| server).into(),
            settings: json!({}),
        };
        let row = report.markdown();
        let row = row.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "| CPU µs per proxied GET | 1,000 | 5.0 (5.0..5.0) ×0.50 | 15.0 (15.0..15.0) ×1.50 | \
             10.0 (10.0..10.0) |"
        );
        assert_eq!(report.json()["results"][1]["ratio_to_nginx"], json!(1.5));
    }
}
