//! `gripd publish`: makes items of what stands on the command line or comes in lines, and posts
//! them to a control port: gripd's, Pushpin's, or one of a service that speaks the same. Called as
//! `pushpin-publish` it takes the place of Pushpin's program, with its words and exit codes.

mod address;
mod error;
mod event;
mod input;
mod item;
mod send;
mod stream;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Args, Command, FromArgMatches};

use self::{
    address::Address,
    error::Error,
    input::Content,
    item::Maker,
    send::{Publisher, Receipts},
};
use super::{USAGE, complain, complain_as, program::Program, write_out};
use crate::config;

/// What to publish, and where.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Channel to send to; with --json the item: JSON, @FILE, or - for standard input.
    #[arg(value_name = "CHANNEL")]
    channel: String,

    /// Text to send, @FILE for a file's bytes, or - for standard input, each of its lines an item.
    #[arg(value_name = "CONTENT", conflicts_with = "json")]
    content: Option<String>,

    /// Where to.
    #[arg(long, value_name = "URL", help = SPEC)]
    spec: Option<String>,

    /// The item's id, by which clients and sequences know it.
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// The id of the item before this one: it goes out after that.
    #[arg(long, value_name = "ID")]
    prev_id: Option<String>,

    /// Who sends it (meta variable sender): clients with the filter skip-self do not get their own.
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,

    /// A meta variable, for filters; may be repeated.
    #[arg(long, short = 'M', value_name = "NAME=VALUE")]
    meta: Vec<String>,

    /// Status code of the answer to a long-poll.
    #[arg(long, value_name = "CODE", default_value = "200")]
    code: String,

    /// A header of the answer to a long-poll; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// Send no content, but a hint: what holds for a client asks its backend again.
    #[arg(long)]
    hint: bool,

    /// End streams and close WebSockets.
    #[arg(long)]
    close: bool,

    /// The content is a JSON patch of the body that a long-poll would time out with.
    #[arg(long)]
    patch: bool,

    /// Add no line end to what streams and long-polls get.
    #[arg(long)]
    no_eol: bool,

    /// Do not wait for the item before it, nor drop it as a duplicate.
    #[arg(long)]
    no_seq: bool,

    /// Show who publishes by name and password.
    #[arg(long, short = 'u', value_name = "USER:PASS", conflicts_with = "bearer")]
    user: Option<String>,

    /// Show who publishes by a token.
    #[arg(long, short = 'B', value_name = "TOKEN")]
    bearer: Option<String>,

    /// The content is an event's data: write the lines of a server-sent event around it, with --id
    /// as the event's id. Only streams get it.
    #[arg(long, conflicts_with_all = ["hint", "close", "patch", "no_eol", "header", "json"])]
    sse: bool,

    /// The event's name.
    #[arg(long, value_name = "NAME", requires = "sse")]
    event: Option<String>,

    /// How many milliseconds the browser is to wait before it connects again.
    #[arg(long, value_name = "MS", requires = "sse")]
    retry: Option<u64>,

    /// Items as JSON, as POST /publish takes them, instead of all other options that describe one.
    #[arg(long, conflicts_with_all = ["id", "prev_id", "sender", "meta", "code", "header", "hint", "close", "patch", "no_eol", "no_seq"])]
    json: bool,

    /// How long one post may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    timeout: Duration,

    /// Most bytes of a file or a line.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_size: u64,
}

/// Where contents come from.
enum Source<'a> {
    /// There is one, or none is wanted.
    One(Option<&'a str>),
    /// Each line of standard input is one.
    Lines,
}

/// Publishes, and says how that went.
pub(super) fn run(options: &Options, program: Program) -> ExitCode {
    match publish(options, program) {
        Ok(told) => write_out(&told).err().unwrap_or(ExitCode::SUCCESS),
        Err(error) => tell(&error, program),
    }
}

/// Runs as `pushpin-publish`. Its `--header` and `--meta` take all words up to the next option.
pub(super) fn run_as_pushpin(arguments: Vec<OsString>) -> ExitCode {
    let program = Program::PushpinPublish;
    let command = Options::augment_args(Command::new(program.name()))
        .version(program.version())
        .about("Publish messages to gripd, or to Pushpin.")
        .max_term_width(100)
        .mut_arg("content", |content| content.help(PUSHPIN_CONTENT))
        .mut_arg("header", |header| header.num_args(1..))
        .mut_arg("meta", |meta| meta.num_args(1..));
    let read = command.try_get_matches_from(arguments);
    match read.and_then(|matches| Options::from_arg_matches(&matches)) {
        Ok(options) => run(&options, program),
        Err(error) => {
            // Nobody left to tell when it cannot be printed.
            let _ = error.print();
            ExitCode::from(u8::from(error.use_stderr()))
        }
    }
}

impl Options {
    /// Does the item say something without content?
    fn is_signal(&self) -> bool {
        self.hint || self.close
    }

    /// # Errors
    /// There is none, or one that does not go with the other options.
    fn source(&self, program: Program) -> Result<Source<'_>, Error> {
        if self.is_signal() {
            return Ok(Source::One(None));
        }
        let content = if self.json {
            Some(&self.channel)
        } else {
            self.content.as_ref()
        };
        match content.map(String::as_str) {
            // To Pushpin's program it is a content like any other.
            Some("-") if program != Program::PushpinPublish => self.lines(),
            Some(content) => Ok(Source::One(Some(content))),
            None => Err(Error::usage("CONTENT", "must specify content")
                .with("allowed: text, @FILE, or - for the lines of standard input")),
        }
    }

    fn lines(&self) -> Result<Source<'_>, Error> {
        if self.id.is_some() || self.prev_id.is_some() {
            let why = "every line would have the same id";
            return Err(Error::usage("--id, --prev-id", why)
                .with("allowed with lines: --json, where each item has its own"));
        }
        Ok(Source::Lines)
    }
}

fn publish(options: &Options, program: Program) -> Result<String, Error> {
    let source = options.source(program)?;
    let maker = Maker::of(options)?;
    let one = match source {
        Source::One(Some(content)) => Some(Content::of(content, options.max_size)?),
        Source::One(None) => Some(Content::none()),
        Source::Lines => None,
    };
    let items = one.map(|content| maker.items(&content)).transpose()?;
    let address = Address::of(options)?;
    let is_open = address.url.scheme() == "http" && program == Program::PushpinPublish;
    if is_open && (options.user.is_some() || options.bearer.is_some()) {
        let why = "Authentication requires https";
        return Err(Error::usage("--user, --bearer", why));
    }
    let publisher = Publisher::new(address, options.timeout)?;
    let told = match items {
        Some(items) => told(items.len(), &publisher.publish(&items)?),
        None => stream::publish(&maker, &publisher, options.max_size)?,
    };
    Ok(match program {
        Program::PushpinPublish => "Published\n".into(),
        Program::Gripd | Program::Pushpin => told,
    })
}

/// What became of the items of one post.
fn told(items: usize, receipts: &Receipts) -> String {
    let count: u64 = receipts
        .items
        .iter()
        .map(|receipt| receipt.connections)
        .sum();
    let met = match &*receipts.items {
        [] => String::new(),
        [one] if !matches!(&*one.status, "sent" | "no-subscribers") => format!(": {}", one.status),
        _ => format!(": {}", subscriptions(count)),
    };
    match items {
        1 => format!("Published{met}\n"),
        _ => format!("Published {items} items{met}\n"),
    }
}

fn subscriptions(count: u64) -> String {
    match count {
        0 => "nobody is subscribed".into(),
        1 => "1 subscription".into(),
        _ => format!("{count} subscriptions"),
    }
}

fn tell(error: &Error, program: Program) -> ExitCode {
    if program == Program::PushpinPublish {
        complain_as("Error", &error.why);
        return ExitCode::FAILURE;
    }
    complain(error);
    if error.usage {
        ExitCode::from(USAGE)
    } else {
        ExitCode::FAILURE
    }
}

fn time(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "allowed: a time such as 500ms, 2s, 5m, or a number of seconds".into())
}

fn size(text: &str) -> Result<u64, String> {
    config::size(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| "allowed: a size such as 64KiB, 1MiB, or a number of bytes".into())
}

const PUSHPIN_CONTENT: &str = "Text to send, or @FILE for a file's bytes";

const SPEC: &str = "Where to: the control port's URL, with ?iss=ISSUER&key=KEY or ?key=TOKEN if it \
                    asks for it [default: GRIP_URL in the environment, else http://localhost:5561]";
