//! gripd's own sources: the TOML file and the environment.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    draft::{Draft, Place, Rank, folder_of},
    keys, pushpin_conf,
    value::Value,
};

/// Reads the text of a TOML file; every fault is noted, the rest counts.
pub(super) fn read_toml(draft: &mut Draft, path: &Path, text: &str) {
    let name = path.display().to_string();
    let before = draft.faults.len();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        draft
            .faults
            .push(locate(&name, text, start).error(error.message()));
    }
    let mut reader = Reader {
        draft,
        name: &name,
        text,
        base: folder_of(path),
    };
    for (key, value) in document.get_ref() {
        reader.top(key.get_ref(), key.span().start, value);
    }
    // The parser sorts by name; a reader of faults goes through the file.
    draft.faults[before..].sort_by_key(|fault| (fault.line, fault.column));
}

struct Reader<'a> {
    draft: &'a mut Draft,
    name: &'a str,
    text: &'a str,
    base: &'a Path,
}

impl Reader<'_> {
    fn top(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) if keys::sections().contains(&name) => {
                for (key, value) in table {
                    let path = format!("{name}.{}", key.get_ref());
                    self.entry(&path, key.span().start, value);
                }
            }
            DeValue::Table(_) => {
                let place = locate(self.name, self.text, at);
                let sections = keys::sections().join("], [");
                let message = format!("unknown section [{name}]; allowed: [{sections}]");
                self.draft.unknown(place, message);
            }
            _ => self.entry(name, at, value),
        }
    }

    fn entry(&mut self, path: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let place = locate(self.name, self.text, at);
        let Some(key) = keys::find(path) else {
            return self.draft.unknown(place, unknown(path));
        };
        if let Some(value) = plain(value.get_ref()) {
            self.draft.set(key, &value, self.base, Rank::File, place);
        } else {
            let message = format!("{path} must be a value or a list of values");
            self.draft.faults.push(place.error(message));
        }
    }
}

/// Reads `GRIPD_…` variables; others are none of our business.
pub(super) fn read_environment(
    draft: &mut Draft,
    variables: impl Iterator<Item = (String, String)>,
) {
    let mut ours: Vec<_> = variables
        .filter(|(name, _)| name.starts_with("GRIPD_"))
        .collect();
    ours.sort();
    for (name, value) in ours {
        let place = Place::whole(&name);
        if let Some(key) = keys::all().find(|key| key.variable() == name) {
            draft.set(
                key,
                &Value::One(value),
                Path::new(""),
                Rank::Environment,
                place,
            );
        } else if !is_service_link(&name, &value) {
            let allowed = "no such setting; allowed: GRIPD_SECTION_KEY, as GRIPD_LOG_LEVEL for \
                           log.level; `gripd example settings` lists all";
            draft.unknown(place, allowed.into());
        }
    }
}

/// Kubernetes and old Docker links put these into every container beside a service `gripd`.
fn is_service_link(name: &str, value: &str) -> bool {
    name.starts_with("GRIPD_SERVICE_")
        || (name.starts_with("GRIPD_PORT")
            && (value.contains("://") || name.trim_end_matches("_PROTO").contains("_TCP")))
}

/// A key nobody knows, with those that are known there.
fn unknown(path: &str) -> String {
    let (section, name) = path.split_once('.').unwrap_or(("", path));
    let elsewhere = elsewhere(name);
    if !elsewhere.is_empty() {
        return format!(
            "unknown key {path}; did you mean {}?",
            elsewhere.join(" or ")
        );
    }
    let names: Vec<_> = keys::all()
        .filter(|key| key.section == section)
        .map(|key| key.name)
        .collect();
    if section.is_empty() {
        let sections = keys::sections().join("], [");
        format!(
            "unknown key {path}; allowed: {} and the sections [{sections}]",
            names.join(", ")
        )
    } else {
        format!(
            "unknown key {path}; allowed in [{section}]: {}",
            names.join(", ")
        )
    }
}

/// Where a key of this name stands: in gripd's tree, by what Pushpin calls it, or as a flag.
fn elsewhere(name: &str) -> Vec<String> {
    let flag = format!("--{}", name.replace('_', "-"));
    let pushpin = pushpin_conf::path_of(name);
    keys::all()
        .filter(|key| {
            key.name == name
                || key.flags.contains(&flag.as_str())
                || pushpin == Some(key.path().as_str())
        })
        .map(|key| match key.section {
            "" => format!("{name}, above the first [section]", name = key.name),
            section => format!("{} in [{section}]", key.name),
        })
        .collect()
}

fn plain(value: &DeValue<'_>) -> Option<Value> {
    if let DeValue::Array(items) = value {
        let texts: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
        return texts.map(Value::Many);
    }
    scalar(value).map(Value::One)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Line and column of a byte.
fn locate<'a>(name: &'a str, text: &str, at: usize) -> Place<'a> {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Place {
        name,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        key: "",
    }
}
