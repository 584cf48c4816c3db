//! What can be wrong with an instruct. Always the backend's fault.

use crate::grip::{FILTER_LIMIT, json::FieldError, text::CLEAN};

/// Why an answer's instruct cannot be obeyed. Each text names the header or JSON field and says
/// what is allowed; values are cut short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructError {
    /// `Grip-Hold` is neither of its two values.
    #[error("Grip-Hold is '{value}'; it must be 'response' or 'stream'")]
    Hold {
        /// What it is.
        value: String,
    },
    /// Text in a `Grip-*` header that is not UTF-8.
    #[error("{header} has text that is not UTF-8")]
    Utf8 {
        /// The header.
        header: &'static str,
    },
    /// More than [`FILTER_LIMIT`] filters on one channel.
    #[error("too many filters for channel '{channel}': {count}, and {FILTER_LIMIT} are allowed")]
    Filters {
        /// The channel.
        channel: String,
        /// How many filters it has.
        count: usize,
    },
    /// A time that is not a number of seconds.
    #[error("{field} is '{value}'; it must be a whole number of seconds from 0 to {max}", max = i32::MAX)]
    Seconds {
        /// The header, with its parameter.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// `Grip-Keep-Alive` without data.
    #[error("Grip-Keep-Alive is empty; it must begin with the data to send")]
    KeepAliveEmpty,
    /// Unknown `mode` of `Grip-Keep-Alive`.
    #[error("Grip-Keep-Alive mode is '{value}'; it must be 'idle' or 'interval'")]
    KeepAliveMode {
        /// What it is.
        value: String,
    },
    /// Unknown `format` of `Grip-Keep-Alive`.
    #[error("Grip-Keep-Alive format is '{value}'; it must be 'raw', 'cstring' or 'base64'")]
    KeepAliveFormat {
        /// What it is.
        value: String,
    },
    /// A broken escape in the data of `Grip-Keep-Alive`.
    #[error(
        "Grip-Keep-Alive data has a broken escape at byte {at}; allowed are \\\\, \\r, \\n and \\x \
         with two hex digits"
    )]
    KeepAliveEscape {
        /// Offset of the backslash in the data.
        at: usize,
    },
    /// An element of `Grip-Set-Meta` without a name.
    #[error("Grip-Set-Meta has an element without a name; each must be name=value")]
    Meta,
    /// `Grip-Status` without a code that can be sent.
    #[error("Grip-Status is '{value}'; it must be a code from 200 to 999, then a reason if wanted")]
    Status {
        /// What it is.
        value: String,
    },
    /// An element of `Grip-Link` without an address in angle brackets.
    #[error("Grip-Link has '{value}'; a link must be an address in angle brackets, then ;rel=…")]
    Link {
        /// What stands there.
        value: String,
    },
    /// An address of `Grip-Link` that is none.
    #[error("Grip-Link has the address '{value}'; it must be a URL, absolute or relative")]
    LinkUri {
        /// The address.
        value: String,
    },
    /// A header that cannot be sent on.
    #[error("header '{name}' is not allowed: names are tokens, values are {CLEAN}")]
    Header {
        /// Its name.
        name: String,
    },
    /// A reason phrase that cannot be sent.
    #[error("the reason phrase must be {CLEAN}")]
    Reason,
    /// The status cannot be sent as a final one.
    #[error("status {code} cannot be sent as an answer; it must be from 200 to 999")]
    Unsendable {
        /// The code.
        code: u16,
    },
    /// An `application/grip-instruct` answer with another status than 200.
    #[error("an application/grip-instruct answer has status {code}; it must be 200")]
    JsonStatus {
        /// The code.
        code: u16,
    },
    /// An `application/grip-instruct` body that is not JSON.
    #[error("the application/grip-instruct body is not valid JSON (line {line}, column {column})")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// An `application/grip-instruct` body that is JSON of another type.
    #[error("the application/grip-instruct body must be a JSON object")]
    JsonObject,
    /// A field of the JSON form.
    #[error("application/grip-instruct: {0}")]
    Field(#[from] FieldError),
}

/// Something a backend wrote that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructWarning {
    /// A quote is never closed, so its element was dropped.
    #[error("{header}: '{value}' was ignored, because its quote is never closed")]
    Unclosed {
        /// The header.
        header: &'static str,
        /// The element, cut short.
        value: String,
    },
    /// A hold that no item can reach.
    #[error("the request is held without any channel: nothing published can reach it")]
    NoChannels,
}
