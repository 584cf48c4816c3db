//! Which form an answer takes: the `Accept` header against the two forms the control port has.
//! Pure. Source: RFC 9110 section 12.5.1, read leniently: `*` alone counts as `*/*`, and a weight
//! that cannot be read counts as 1.
//!
//! The higher weight wins. At equal weight the form whose range stands first in the header wins,
//! and where one range covers both, text does. Pushpin takes the last range it knows instead.

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/plain`.
    Text,
    /// `application/json`.
    Json,
}

/// Chooses the form for these `Accept` header values, taken as one list. `None`: the client takes
/// neither form. No value, or nothing but blanks: it takes both.
pub(super) fn negotiate(values: &[&[u8]]) -> Option<Form> {
    let mut best: [Option<Match>; 2] = [None, None];
    let mut ranges = 0;
    for range in values.iter().flat_map(|value| value.split(|b| *b == b',')) {
        let mut parts = range.split(|b| *b == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        if name.is_empty() {
            continue;
        }
        let weight = weight(parts);
        for (slot, form) in best.iter_mut().zip([Form::Text, Form::Json]) {
            note(slot, precision(name, form), weight, ranges);
        }
        ranges += 1;
    }
    if ranges == 0 {
        return Some(Form::Text);
    }
    let [text, json] = best.map(|found| found.filter(|found| found.weight > 0));
    match (text, json) {
        (Some(text), Some(json)) if json.beats(text) => Some(Form::Json),
        (Some(_), _) => Some(Form::Text),
        (None, Some(_)) => Some(Form::Json),
        (None, None) => None,
    }
}

/// The range that speaks for one form: the most precise one, of several such the first.
#[derive(Clone, Copy)]
struct Match {
    /// 3: the type itself, 2: its family, 1: anything.
    precision: u8,
    /// Thousandths.
    weight: u16,
    /// Which range of the header it is.
    place: usize,
}

impl Match {
    fn beats(self, other: Self) -> bool {
        self.weight > other.weight || (self.weight == other.weight && self.place < other.place)
    }
}

fn note(slot: &mut Option<Match>, precision: u8, weight: u16, place: usize) {
    if precision > slot.map_or(0, |found| found.precision) {
        *slot = Some(Match {
            precision,
            weight,
            place,
        });
    }
}

/// How precisely a media range names a form; 0: not at all.
fn precision(range: &[u8], form: Form) -> u8 {
    let (exact, family): (&[u8], &[u8]) = match form {
        Form::Text => (b"text/plain", b"text/*"),
        Form::Json => (b"application/json", b"application/*"),
    };
    if range.eq_ignore_ascii_case(exact) {
        3
    } else if range.eq_ignore_ascii_case(family) {
        2
    } else {
        u8::from(range == b"*/*" || range == b"*")
    }
}

/// The `q` of a range's parameters, in thousandths.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> u16 {
    parameters
        .find_map(|parameter| {
            let [b'q' | b'Q', rest @ ..] = parameter.trim_ascii() else {
                return None;
            };
            rest.trim_ascii_start().strip_prefix(b"=")
        })
        .and_then(|value| thousandths(value.trim_ascii()))
        .unwrap_or(1000)
}

/// `0.25` as 250; `.25` and more than three digits are taken too. `None`: not a weight.
fn thousandths(value: &[u8]) -> Option<u16> {
    let point = value.iter().position(|b| *b == b'.');
    let (whole, fraction) = value.split_at(point.unwrap_or(value.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    if value.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = match whole {
        b"" | b"0" => 0,
        b"1" => 1000,
        _ => return None,
    };
    let digit = |place: usize| u16::from(fraction.get(place).map_or(0, |digit| digit - b'0'));
    Some((whole + digit(0) * 100 + digit(1) * 10 + digit(2)).min(1000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_best_form_is_chosen() {
        const TEXT: Option<Form> = Some(Form::Text);
        const JSON: Option<Form> = Some(Form::Json);
        let table: &[(&str, Option<Form>)] = &[
            ("", TEXT),
            (" , ", TEXT),
            ("text/plain", TEXT),
            ("text/*", TEXT),
            ("*/*", TEXT),
            ("*", TEXT),
            ("application/json", JSON),
            ("APPLICATION/JSON", JSON),
            ("application/*", JSON),
            ("application/json; charset=utf-8", JSON),
            ("application/json, */*", JSON),
            ("application/json, text/plain, */*", JSON),
            ("text/plain, application/json", TEXT),
            ("*/*, application/json", TEXT),
            ("application/json, */*;q=0.1", JSON),
            ("application/json;q=0.5, text/html", JSON),
            ("application/json;q=0.5, text/plain", TEXT),
            ("application/json;q=0.5, text/plain;q=0.4", JSON),
            ("application/json ; Q = 0.5 , */*", TEXT),
            ("text/plain;q=0, */*", JSON),
            ("*/*, application/json;q=0", TEXT),
            ("application/json;q=0.001, text/plain;q=0", JSON),
            ("text/html, image/gif, *; q=.2, */*; q=.2", TEXT),
            ("text/plain;q=0.2, application/json;q=.3", JSON),
            ("text/plain;q=0.2, application/json;q=nonsense", JSON),
            ("text/plain;q=7, application/json;q=0.9", TEXT),
            ("text/html", None),
            ("*/*;q=0", None),
            ("application/json;q=0", None),
            ("application/json;q=0.0000", None),
            ("application/jsonp, text/plainer", None),
        ];
        for (accept, form) in table {
            assert_eq!(negotiate(&[accept.as_bytes()]), *form, "Accept: {accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        assert_eq!(negotiate(&[]), Some(Form::Text));
        assert_eq!(
            negotiate(&[b"text/html", b"application/json"]),
            Some(Form::Json)
        );
        assert_eq!(
            negotiate(&[b"text/plain;q=0.5", b"application/json"]),
            Some(Form::Json)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            negotiate(&[&value]);
        }

        #[test]
        fn the_higher_weight_wins(text in 0_u16..=1000, json in 0_u16..=1000) {
            let print = |q: u16| format!("{}.{:03}", q / 1000, q % 1000);
            let value =
                format!("text/plain;q={}, application/json;q={}", print(text), print(json));
            let expected = match (text, json) {
                (0, 0) => None,
                _ if json > text => Some(Form::Json),
                _ => Some(Form::Text),
            };
            prop_assert_eq!(negotiate(&[value.as_bytes()]), expected);
        }
    }
}
