//! Reading fields of a JSON document, for instructs and items alike: each fault names the field
//! by its path (`items[3].formats.http-stream.content`) and says what is allowed.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    ops::RangeInclusive,
};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    instruct::Header,
    text::{CLEAN, TOKEN, base64, is_clean, is_token, shown},
};

/// What is wrong with one field. The sender of the document is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A required field is not there.
    #[error("{field} is missing; it must be {allowed}")]
    Missing {
        /// Path of the field.
        field: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The field has another JSON type.
    #[error("{field} is {found}; it must be {allowed}")]
    Type {
        /// Path of the field.
        field: String,
        /// The JSON type found.
        found: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The field has the right type and a value that is not allowed.
    #[error("{field} is '{value}'; it must be {allowed}")]
    Value {
        /// Path of the field.
        field: String,
        /// The value, cut short.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// Where in the document we are. A chain on the stack, so that a path costs nothing until a
/// fault needs it.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// The document itself.
    Root,
    /// A field of an object.
    Key(&'a At<'a>, &'a str),
    /// An element of a list.
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub(super) fn missing(&self, allowed: &'static str) -> FieldError {
        FieldError::Missing {
            field: self.to_string(),
            allowed,
        }
    }

    pub(super) fn wrong_type(&self, found: &Value, allowed: &'static str) -> FieldError {
        FieldError::Type {
            field: self.to_string(),
            found: kind(found),
            allowed,
        }
    }

    pub(super) fn wrong_value(&self, value: &str, allowed: &'static str) -> FieldError {
        FieldError::Value {
            field: self.to_string(),
            value: shown(value),
            allowed,
        }
    }

    /// `text`, if it can stand in an HTTP head.
    pub(super) fn clean(&self, text: String) -> Result<String, FieldError> {
        if is_clean(text.as_bytes()) {
            Ok(text)
        } else {
            Err(self.wrong_value(&text, CLEAN))
        }
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(&shown(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shown(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// An object whose fields are taken out one after the other.
#[derive(Debug)]
pub(super) struct Object<'a> {
    at: At<'a>,
    map: Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn new(value: Value, at: At<'a>) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            other => Err(at.wrong_type(&other, "an object")),
        }
    }

    pub(super) fn at(&self) -> At<'a> {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key)
    }

    /// A string field; `null` is not a string.
    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, FieldError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.at.key(key).wrong_type(&other, "a string")),
        }
    }

    /// A string field that becomes part of an HTTP head.
    pub(super) fn clean_string(&mut self, key: &str) -> Result<Option<String>, FieldError> {
        let text = self.string(key)?;
        text.map(|text| self.at.key(key).clean(text)).transpose()
    }

    /// A strict boolean field.
    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, FieldError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.at.key(key).wrong_type(&other, "true or false")),
        }
    }

    /// An integer field, read loosely: numbers are rounded, `true` is 1, a string is its number
    /// or 0.
    pub(super) fn integer(
        &mut self,
        key: &str,
        range: &RangeInclusive<i64>,
        allowed: &'static str,
    ) -> Result<Option<i64>, FieldError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let at = self.at.key(key);
        match loose(&value) {
            None => Err(at.wrong_type(&value, allowed)),
            Some(number) if range.contains(&number) => Ok(Some(number)),
            Some(_) => Err(at.wrong_value(&value.to_string(), allowed)),
        }
    }

    /// A list field.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<Value>>, FieldError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.at.key(key).wrong_type(&other, "a list")),
        }
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, key: &str) -> Result<Option<Vec<String>>, FieldError> {
        let Some(list) = self.list(key)? else {
            return Ok(None);
        };
        let at = self.at.key(key);
        let strings = list.into_iter().enumerate().map(|(i, value)| match value {
            Value::String(text) => Ok(text),
            other => Err(at.index(i).wrong_type(&other, "a string")),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// An object of strings; none when the field is absent.
    pub(super) fn string_map(&mut self, key: &str) -> Result<BTreeMap<String, String>, FieldError> {
        let Some(value) = self.take(key) else {
            return Ok(BTreeMap::new());
        };
        let at = self.at.key(key);
        let object = Object::new(value, at)?;
        let strings = object.map.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            other => Err(at.key(&name).wrong_type(&other, "a string")),
        });
        strings.collect()
    }

    /// A body: the base64 of the field `bin` if that is there, else the text of `plain`.
    pub(super) fn bytes(&mut self, bin: &str, plain: &str) -> Result<Option<Bytes>, FieldError> {
        match self.base64(bin)? {
            Some(decoded) => Ok(Some(decoded)),
            None => Ok(self.string(plain)?.map(Bytes::from)),
        }
    }

    /// A string field of base64, decoded.
    pub(super) fn base64(&mut self, key: &str) -> Result<Option<Bytes>, FieldError> {
        let encoded = self.string(key)?;
        Ok(encoded.map(|encoded| base64(encoded.as_bytes())))
    }

    /// Headers: an object of strings, or a list of pairs of strings (which keeps order and
    /// repeats). Each name is a token and each value is clean.
    pub(super) fn headers(&mut self, key: &str) -> Result<Vec<Header>, FieldError> {
        let parent = self.at;
        let at = parent.key(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => {
                let headers = map.into_iter().map(|(name, value)| {
                    let found = kind(&value);
                    match value {
                        Value::String(value) => header(&at.key(&name), &name, value),
                        _ => Err(FieldError::Type {
                            field: at.key(&name).to_string(),
                            found,
                            allowed: "a string",
                        }),
                    }
                });
                headers.collect()
            }
            Some(Value::Array(list)) => {
                let pairs = list.into_iter().enumerate();
                pairs.map(|(i, value)| pair(&at.index(i), value)).collect()
            }
            Some(other) => Err(at.wrong_type(&other, HEADERS)),
        }
    }
}

const HEADERS: &str = "an object of strings or a list of [name, value] pairs";
const PAIR: &str = "a list of two strings, [name, value]";

fn pair(at: &At<'_>, value: Value) -> Result<Header, FieldError> {
    let list = match value {
        Value::Array(list) => list,
        other => return Err(at.wrong_type(&other, PAIR)),
    };
    let count = list.len();
    match <[Value; 2]>::try_from(list) {
        Ok([Value::String(name), Value::String(value)]) => header(at, &name, value),
        Ok([Value::String(_), other]) => Err(at.index(1).wrong_type(&other, "a string")),
        Ok([other, _]) => Err(at.index(0).wrong_type(&other, "a string")),
        Err(_) => Err(at.wrong_value(&format!("a list of {count}"), PAIR)),
    }
}

fn header(at: &At<'_>, name: &str, value: String) -> Result<Header, FieldError> {
    if !is_token(name) {
        return Err(at.wrong_value(name, TOKEN));
    }
    Ok(Header {
        name: name.to_owned(),
        value: Bytes::from(at.clean(value)?),
    })
}

/// An integer as GRIP peers write it, or `None` for `null`, lists and objects.
fn loose(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Bool(value) => i64::from(*value),
        Value::String(text) => text.trim().parse().unwrap_or(0),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(exact), _) => exact,
            (None, Some(float)) => saturate(float.round()),
            (None, None) => 0,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "too big a number becomes the biggest, which no range asked for contains"
)]
fn saturate(float: f64) -> i64 {
    float as i64
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_are_read_loosely() {
        for (value, want) in [
            (json!(404), Some(404)),
            (json!(404.6), Some(405)),
            (json!(-0.5), Some(-1)),
            (json!(1e300), Some(i64::MAX)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(true), Some(1)),
            (json!("404"), Some(404)),
            (json!(" 7 "), Some(7)),
            (json!("x"), Some(0)),
            (json!(null), None),
            (json!([]), None),
            (json!({}), None),
        ] {
            assert_eq!(loose(&value), want, "{value}");
        }
    }

    #[test]
    fn paths_are_written_out() {
        let items = At::Root.key("items");
        let item = items.index(3);
        let formats = item.key("formats");
        assert_eq!(formats.key("x\n").to_string(), "items[3].formats.x\\n");
    }
}
