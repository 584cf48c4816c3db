//! The items that a command line describes, as the control port reads them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Options, error::Error, event, input::Content};

/// Makes items of contents.
#[derive(Debug)]
pub(super) enum Maker<'a> {
    /// A content is a whole item, or several.
    Json,
    /// Options say all but the content.
    Shaped(Shape<'a>),
}

/// What the options say of every item, checked.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    options: &'a Options,
    code: u16,
    headers: Vec<[String; 2]>,
    meta: Map<String, Value>,
}

impl<'a> Maker<'a> {
    /// Checks the options.
    ///
    /// # Errors
    /// An option cannot be used.
    pub(super) fn of(options: &'a Options) -> Result<Self, Error> {
        if options.json {
            return Ok(Self::Json);
        }
        Shape::of(options).map(Self::Shaped)
    }

    /// Makes the items of one content, each as JSON text.
    ///
    /// # Errors
    /// The content is not what the options say it is.
    pub(super) fn items(&self, content: &Content) -> Result<Vec<String>, Error> {
        let items = match self {
            Self::Json => whole(&content.bytes)?,
            Self::Shaped(shape) => vec![shape.item(content)?],
        };
        Ok(items.iter().map(Value::to_string).collect())
    }

    /// Is there nothing in a line? Between items as JSON that means nothing.
    pub(super) fn is_blank(&self, content: &Content) -> bool {
        matches!(self, Self::Json) && content.bytes.trim_ascii().is_empty()
    }
}

impl<'a> Shape<'a> {
    fn of(options: &'a Options) -> Result<Self, Error> {
        let code = options.code.parse().map_err(|error| {
            let place = format!("--code {}", options.code);
            Error::usage(place, format!("failed to parse code: {error}"))
        })?;
        if code > 999 && !options.is_signal() {
            let why = "code must be an integer between 0 and 999";
            return Err(Error::usage(format!("--code {code}"), why));
        }
        for (name, value) in [("--event", &options.event), ("--id", &options.id)] {
            let value = value.as_deref().unwrap_or_default();
            if options.sse && !event::is_value(value) {
                let why = "a field of an event is one line";
                return Err(Error::usage(format!("{name} {value:?}"), why));
            }
        }
        let mut headers = Vec::new();
        for header in &options.header {
            let why = "header must be in the form \"name: value\"";
            headers.push(pair("--header", header, ':', why)?);
        }
        let mut meta = Map::new();
        if let Some(sender) = given(options.sender.as_deref()) {
            meta.insert("sender".into(), sender.into());
        }
        for variable in &options.meta {
            let why = "meta must be in the form \"name=value\"";
            let [name, value] = pair("--meta", variable, '=', why)?;
            meta.insert(name, value.into());
        }
        Ok(Self {
            options,
            code,
            headers,
            meta,
        })
    }

    fn item(&self, content: &Content) -> Result<Value, Error> {
        let options = self.options;
        let mut item = Map::new();
        item.insert("channel".into(), (&*options.channel).into());
        item.insert("formats".into(), self.formats(content)?);
        for (name, value) in [("id", &options.id), ("prev-id", &options.prev_id)] {
            if let Some(value) = given(value.as_deref()) {
                item.insert(name.into(), value.into());
            }
        }
        if !self.meta.is_empty() {
            item.insert("meta".into(), self.meta.clone().into());
        }
        if options.no_seq {
            item.insert("no-seq".into(), true.into());
        }
        Ok(item.into())
    }

    fn formats(&self, content: &Content) -> Result<Value, Error> {
        let options = self.options;
        if options.hint {
            let hint = json!({"action": "hint"});
            return Ok(json!({"http-response": hint, "http-stream": hint, "ws-message": hint}));
        }
        if options.close {
            let close = json!({"action": "close"});
            return Ok(json!({"http-stream": close, "ws-message": close}));
        }
        if options.sse {
            let event = self.event(content)?;
            return Ok(json!({"http-stream": {"content": event}}));
        }
        if options.patch {
            let patch = ("body-patch".to_owned(), patch(&content.bytes)?);
            return Ok(json!({"http-response": self.response(patch)}));
        }
        let mut ended = content.bytes.clone();
        if content.is_line && !options.no_eol {
            ended.push(b'\n');
        }
        Ok(json!({
            "http-response": self.response(field("body", &ended)),
            "http-stream": Map::from_iter([field("content", &ended)]),
            "ws-message": Map::from_iter([field("content", &content.bytes)]),
        }))
    }

    fn response(&self, body: (String, Value)) -> Value {
        let mut response = Map::from_iter([body]);
        response.insert("code".into(), self.code.into());
        if !self.headers.is_empty() {
            response.insert("headers".into(), json!(self.headers));
        }
        response.into()
    }

    fn event(&self, content: &Content) -> Result<String, Error> {
        let data = str::from_utf8(&content.bytes)
            .map_err(|_| Error::failed("--sse", "an event is UTF-8, and this content is not"))?;
        let fields = event::Fields {
            event: self.options.event.as_deref(),
            id: given(self.options.id.as_deref()),
            retry: self.options.retry,
        };
        Ok(event::lines(data, fields))
    }
}

/// A word that says something: an empty one is as good as none.
fn given(word: Option<&str>) -> Option<&str> {
    word.filter(|word| !word.is_empty())
}

/// Name and value of an option; only the value is trimmed.
fn pair(option: &str, text: &str, mark: char, why: &str) -> Result<[String; 2], Error> {
    let (name, value) = text
        .split_once(mark)
        .ok_or_else(|| Error::usage(format!("{option} {text:?}"), why))?;
    Ok([name.to_owned(), value.trim().to_owned()])
}

/// A member of a format: what is not UTF-8 goes as base64.
fn field(name: &str, bytes: &[u8]) -> (String, Value) {
    match str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.into()),
        Err(_) => (format!("{name}-bin"), STANDARD.encode(bytes).into()),
    }
}

/// The operations of a patch.
fn patch(content: &[u8]) -> Result<Value, Error> {
    match serde_json::from_slice(content) {
        Ok(patch @ Value::Array(_)) => Ok(patch),
        Ok(_) => Err(Error::failed(
            "--patch",
            "patch content must be a JSON array",
        )),
        Err(error) => Err(Error::failed("--patch", error.to_string())),
    }
}

/// An item, or the items of a whole body such as `POST /publish` takes.
fn whole(content: &[u8]) -> Result<Vec<Value>, Error> {
    let shape = "must be an item, {\"channel\": …, \"formats\": …}, or {\"items\": […]}";
    let parsed = serde_json::from_slice(content)
        .map_err(|error| Error::failed("--json", error.to_string()).with(shape))?;
    match parsed {
        Value::Object(mut object) => match object.remove("items") {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Error::failed("--json", "\"items\" is not an array").with(shape)),
            None => Ok(vec![object.into()]),
        },
        _ => Err(Error::failed("--json", "not an object").with(shape)),
    }
}
