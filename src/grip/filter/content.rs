//! The filters that change content without asking anyone: `build-id` and `var-subst`.

use bytes::Bytes;

use super::{
    Case, Filter, FilterError,
    template::{FormatError, FormatFault, render},
};
use crate::grip::{
    channel::{Channel, Meta},
    text::shown,
};

/// The body of an instruct's response, or of a next link's answer, as `build-id` leaves it: only
/// `%(id)I` means something there, for there is no item. Unchanged when no channel has the filter.
///
/// # Errors
/// The body or the meta does not fit the filter; the client gets a 502 instead.
pub fn response_content(
    channels: &[Channel],
    meta: &Meta,
    body: &Bytes,
) -> Result<Bytes, FilterError> {
    let mut filters = channels.iter().flat_map(|channel| &channel.filters);
    if !filters.any(|name| Filter::parse(name) == Some(Filter::BuildId)) {
        return Ok(body.clone());
    }
    id_format(meta)?;
    insert_ids(body, None, encoding(meta)?)
}

/// An item's `content` with its rendered id in it.
pub(super) fn build_id(content: &[u8], case: &Case<'_>) -> Result<Bytes, FilterError> {
    let format = id_format(case.sub_meta)?;
    let encoding = encoding(case.sub_meta)?;
    let id = replace(format.as_bytes(), |name| case.id_of(name)).map_err(FilterError::IdFormat)?;
    insert_ids(content, Some(&id), encoding)
}

/// An item's `content` with variables of the subscription meta replaced.
pub(super) fn var_subst(content: &[u8], meta: &Meta) -> Result<Bytes, FilterError> {
    let out = replace(content, |name| value(meta, name));
    out.map(Bytes::from).map_err(FilterError::VarSubst)
}

/// Replaces each `%(name)s` by the name's value.
fn replace<'a>(
    text: &[u8],
    value: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<u8>, FormatError> {
    render(text, |letter, name, out| {
        let Some(name) = name.filter(|_| letter == b's') else {
            return Err(FormatFault::directive(letter));
        };
        let value = std::str::from_utf8(name).ok().and_then(&value);
        out.extend_from_slice(value.ok_or_else(|| FormatFault::missing(name))?.as_bytes());
        Ok(())
    })
}

/// A meta variable that has a value.
pub(super) fn value<'a>(meta: &'a Meta, name: &str) -> Option<&'a str> {
    meta.get(name)?.as_deref()
}

fn id_format(meta: &Meta) -> Result<&str, FilterError> {
    value(meta, "id_format").ok_or(FilterError::NoIdFormat)
}

/// How an id is written.
type Encoding = fn(&[u8], &mut Vec<u8>);

fn encoding(meta: &Meta) -> Result<Encoding, FilterError> {
    match value(meta, "id_encoding") {
        None => Ok(|id, out| out.extend_from_slice(id)),
        Some("hex") => Ok(|id, out| {
            let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            out.extend(digits.filter_map(|digit| HEX.get(usize::from(digit))));
        }),
        Some(other) => Err(FilterError::IdEncoding {
            value: shown(other),
        }),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `%I` is `id`, `%(x)I` is x itself.
fn insert_ids(content: &[u8], id: Option<&[u8]>, encode: Encoding) -> Result<Bytes, FilterError> {
    let out = render(content, |letter, own, out| match letter {
        b'I' => {
            encode(own.or(id).ok_or(FormatFault::NoId)?, out);
            Ok(())
        }
        _ => Err(FormatFault::directive(letter)),
    });
    out.map(Bytes::from).map_err(FilterError::BuildId)
}
