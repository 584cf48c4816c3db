//! `gripd image …`: what the container image runs. The words behind `image` are a command line of
//! its own, read with the image's defaults ([`Image`]), so that `image health` and `image check`
//! see what `image` alone serves.
//!
//! It stands where Pushpin's image has an entry script: the name of one of Pushpin's programs, or
//! gripd's own, may come first, and the environment variable `target` becomes a route. Unlike that script it writes no file: the
//! mounted folder, and all else, may be read-only and owned by anybody.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt};

use super::{line::Line, program::Program};
use crate::{
    config::{Fault, Flags, Image},
    routes::grammar::parse_line,
};

/// Takes `image` out of a command line; the name of a program behind it is the one called then.
/// True: it was there.
pub(super) fn unwrap(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, bool) {
    let mut arguments: Vec<_> = arguments.collect();
    let in_image = arguments.get(1).is_some_and(|word| word == "image");
    if in_image {
        arguments.remove(1);
        let next = arguments.get(1);
        if next.is_some_and(|word| Program::named(word).is_some()) {
            arguments.remove(0);
        }
    }
    (arguments, in_image)
}

/// Completes the flags of a health check with those of the server it is about: in a container that
/// is the first process, and its flags may have moved the control port. Environment and files are
/// the same for both anyway.
pub(super) fn adopt(flags: &mut Flags) {
    let Some(server) = fs::read("/proc/1/cmdline")
        .ok()
        .and_then(|line| server(&line))
    else {
        return;
    };
    flags.config = flags.config.take().or(server.config);
    flags.control = flags.control.take().or(server.control);
    flags.id = flags.id.or(server.id);
}

/// The flags of a command line as the kernel tells it, if it is one of `gripd image`.
fn server(line: &[u8]) -> Option<Flags> {
    let words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let (arguments, in_image) = unwrap(words.map(|word| OsString::from_vec(word.to_vec())));
    let mut line = Line::read(arguments).ok().filter(|_| in_image)?;
    line.take_flags().ok()
}

/// What the image adds. `target` is the environment variable: `HOST:PORT`, with options behind
/// commas if they are wanted. A WebSocket goes over HTTP to it, as with Pushpin's image.
///
/// # Errors
/// `target` is there and cannot be used; an empty one is a slip, too.
pub(super) fn from_environment(target: Option<OsString>) -> Result<Image, Fault> {
    let Some(target) = target else {
        return Ok(Image::default());
    };
    let target = target.to_string_lossy();
    let route = route(target.trim()).map_err(|why| {
        let message = format!("the environment variable is {target:?}: {why}");
        Fault::error("target", message)
    })?;
    Ok(Image { route: Some(route) })
}

fn route(target: &str) -> Result<String, String> {
    if target.is_empty() {
        return Err("empty; allowed: HOST:PORT, or no such variable".into());
    }
    if target.contains(char::is_control) {
        return Err("control characters; allowed: one line".into());
    }
    let line = format!("* {target}");
    let parsed = parse_line(&line).map_err(|error| error.to_string())?;
    let targets = parsed.map(|parsed| parsed.route.targets);
    let last = targets.as_deref().and_then(<[_]>::last);
    Ok(if last.is_some_and(|target| target.over_http) {
        line
    } else {
        line + ",over_http"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_behind_image_are_a_command_line_of_their_own() {
        for (words, rest, in_image) in [
            ("gripd image", "gripd", true),
            (
                "gripd image pushpin --merge-output",
                "pushpin --merge-output",
                true,
            ),
            (
                "gripd image /usr/bin/pushpin --id 1",
                "/usr/bin/pushpin --id 1",
                true,
            ),
            ("gripd image gripd check", "gripd check", true),
            ("gripd image --route pushpin", "gripd --route pushpin", true),
            ("gripd image health", "gripd health", true),
            ("gripd image pushpin pushpin", "pushpin pushpin", true),
            (
                "gripd image pushpin-publish a b",
                "pushpin-publish a b",
                true,
            ),
            ("gripd pushpin", "gripd pushpin", false),
            ("gripd --config image", "gripd --config image", false),
            ("gripd", "gripd", false),
        ] {
            let split = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            let found = unwrap(split(words).into_iter());
            assert_eq!(found, (split(rest), in_image), "{words}");
        }
    }

    #[test]
    fn a_health_check_learns_the_flags_of_the_server() {
        let line = b"/usr/local/bin/gripd\0image\0pushpin\0--id\x001\0--control=80\0";
        let flags = server(line).unwrap();
        assert_eq!((flags.id, flags.control.as_deref()), (Some(1), Some("80")));
        for other in [
            b"/sbin/init\0".as_slice(),
            b"gripd\0--id\x001\0",
            b"some\0image\0--nonsense\0",
            b"",
        ] {
            assert!(server(other).is_none());
        }
    }

    #[test]
    fn target_becomes_a_route_over_http() {
        for (target, line) in [
            ("app:8000", "* app:8000,over_http"),
            (" app:8000\n", "* app:8000,over_http"),
            ("app:8000,over_http", "* app:8000,over_http"),
            ("app:443,ssl,host=app", "* app:443,ssl,host=app,over_http"),
            ("a:1 b:2", "* a:1 b:2,over_http"),
            ("[::1]:80", "* [::1]:80,over_http"),
            ("test", "* test,over_http"),
        ] {
            let image = from_environment(Some(target.into())).unwrap();
            assert_eq!(image.route.as_deref(), Some(line), "{target}");
        }
        assert_eq!(from_environment(None).unwrap().route, None);
    }

    #[test]
    fn a_wrong_target_is_named_with_its_value() {
        for target in [
            "",
            " ",
            "app",
            "http://app:8000",
            "app:0",
            "a:1\n* b:2",
            "app:x",
        ] {
            let fault = from_environment(Some(target.into())).unwrap_err();
            let start = format!("target: the environment variable is {target:?}: ");
            assert!(fault.to_string().starts_with(&start), "{fault}");
            assert!(fault.message.contains("; allowed: "), "{fault}");
        }
    }
}
