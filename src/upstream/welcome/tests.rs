//! What the welcome backend answers, with a hub that only notes what it is given.

use std::cell::RefCell;

use http_body_util::{BodyExt, Full};

use super::*;

/// What was asked to be published.
type Seen = Rc<RefCell<Vec<Item>>>;

/// A backend whose hub has two subscriptions.
fn welcome() -> (Welcome, Seen) {
    let seen = Seen::default();
    let told = Rc::clone(&seen);
    let publish = move |item| {
        told.borrow_mut().push(item);
        Box::pin(std::future::ready(Ok(2_usize))) as Publishing
    };
    let welcome = Welcome::new(
        "http://localhost:1",
        "http://127.0.0.1:2",
        "http://127.0.0.1:2/publish",
        Rc::new(publish),
    );
    (welcome, seen)
}

fn asked(method: &str, path: &str, headers: &[(&'static str, &str)]) -> request::Parts {
    let mut request = http::Request::builder().method(method).uri(path);
    request = request.header("Host", "Localhost:1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

async fn text(body: Body) -> String {
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Posts a message; the status, the text and what was published of it.
async fn post(headers: &[(&'static str, &str)], message: &[u8]) -> (u16, String, Option<Item>) {
    let (welcome, seen) = welcome();
    let body = Full::new(Bytes::copy_from_slice(message));
    let upload = Upload::new(body, crate::grip::BODY_LIMIT);
    let (head, body) = welcome
        .answer(&asked("POST", "/publish", headers), &upload)
        .await;
    let item = seen.borrow_mut().pop();
    (head.status.as_u16(), text(body).await, item)
}

#[tokio::test]
async fn paths_and_methods() {
    let get = "GET, HEAD";
    for (method, path, status, allow, part) in [
        ("GET", "/", 200, "", "<!doctype html>"),
        ("HEAD", "/", 200, "", "<!doctype html>"),
        ("POST", "/", 405, get, "allowed: GET, HEAD."),
        ("GET", "/publish", 405, "POST", "allowed: POST."),
        ("PUT", "/publish/", 405, "POST", "allowed: POST."),
        ("GET", "/stream", 200, "", "[stream opened]\n"),
        ("GET", "/response?channel=x", 200, "", "nothing for now\n"),
        ("GET", "/ws", 404, "", "no such test resource\n"),
        ("GET", "/welcome.html", 404, "", "Nothing is here."),
        ("GET", "//", 404, "", "Nothing is here."),
    ] {
        let (welcome, seen) = welcome();
        let request = asked(method, path, &[]);
        let (head, body) = welcome.answer(&request, &Upload::empty()).await;
        assert_eq!(head.status, status, "{method} {path}");
        let allowed = head.headers.get("allow");
        let allowed = allowed.map_or("", |value| value.to_str().unwrap());
        assert_eq!(allowed, allow, "{method} {path}");
        let text = text(body).await;
        assert!(text.contains(part), "{method} {path}: {text}");
        assert!(seen.borrow().is_empty());
    }
}

#[tokio::test]
async fn the_page_tells_where_gripd_is() {
    let (welcome, _) = welcome();
    let (head, body) = welcome.page();
    let text = text(body).await;
    for part in [
        env!("CARGO_PKG_VERSION"),
        "curl -N <span class=\"origin\">http://localhost:1</span>/stream",
        " http://127.0.0.1:2/publish",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("{{"), "every placeholder is filled in");
    assert_eq!(head.headers["content-length"], text.len().to_string());
}

#[tokio::test]
async fn a_message_goes_to_channel_test_in_all_forms() {
    for (body, message) in [
        (&b"hi"[..], &b"hi\n"[..]),
        (b"message=a+b%26%C3%A9", "a b&é\n".as_bytes()),
        (b"\xff", b"\xff\n"),
        (&[b'x'; 4096], &[&[b'x'; 4096][..], b"\n"].concat()),
    ] {
        let (status, text, item) = post(&[], body).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(text, "{\"channel\":\"test\",\"connections\":2}\n");
        let item = item.unwrap();
        assert_eq!(item.channels, ["test"]);
        let Some(StreamFormat::Send { content, .. }) = item.formats.stream else {
            panic!("no stream form");
        };
        assert_eq!(content, message);
        let Some(ResponseFormat::Send(response)) = item.formats.response else {
            panic!("no response form");
        };
        assert_eq!(response.body, ResponseBody::Bytes(content));
        let Some(MessageFormat::Send { kind, content, .. }) = item.formats.message else {
            panic!("no message form");
        };
        assert_eq!(content, message[..message.len() - 1]);
        assert_eq!(
            kind == MessageKind::Text,
            std::str::from_utf8(message).is_ok()
        );
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let limit = crate::grip::BODY_LIMIT;
    for (body, status) in [
        (vec![], 400),
        (b"message=".to_vec(), 400),
        (vec![b'x'; 4097], 413),
        (vec![b'x'; limit + 1], 413),
    ] {
        let (found, _, item) = post(&[], &body).await;
        assert_eq!((found, item), (status, None), "{} bytes", body.len());
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_publish() {
    for (name, value, own) in [
        ("Origin", "http://localhost:1", true),
        ("Origin", "https://LOCALHOST:1", true),
        ("Origin", "http://localhost", false),
        ("Origin", "http://localhost:2", false),
        ("Origin", "http://evil.example", false),
        ("Origin", "file://localhost:1", false),
        ("Origin", "null", false),
        ("Sec-Fetch-Site", "same-origin", true),
        ("Sec-Fetch-Site", "none", true),
        ("Sec-Fetch-Site", "same-site", false),
        ("Sec-Fetch-Site", "cross-site", false),
    ] {
        let (status, _, item) = post(&[(name, value)], b"hi").await;
        assert_eq!(status, if own { 200 } else { 403 }, "{name}: {value}");
        assert_eq!(item.is_some(), own, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_hub_without_room_is_told() {
    let full = Rc::new(|_| Box::pin(std::future::ready(Err("full".into()))) as Publishing);
    let welcome = Welcome::new("", "", "", full);
    let upload = Upload::of(&Bytes::from_static(b"hi"));
    let request = asked("POST", "/publish", &[]);
    let (head, body) = welcome.answer(&request, &upload).await;
    assert_eq!((head.status.as_u16(), &*text(body).await), (503, "full\n"));
}

/// That the hashes are right is the browser's word: `tests/e2e/test_welcome.py`.
#[test]
fn the_policy_names_all_that_the_page_runs() {
    let policy = policy("<style>a</style><script>b</script>");
    let policy = policy.to_str().unwrap();
    for source in [
        "script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='",
        "style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='",
    ] {
        assert!(policy.contains(source), "{policy}");
    }
    for tag in ["<script>", "<style>"] {
        assert_eq!(PAGE.matches(&tag[..tag.len() - 1]).count(), 1);
        assert!(PAGE.contains(tag), "{tag} without attributes");
    }
    for part in [" style=", " onclick=", " src=", "href=\"http"] {
        assert!(!PAGE.contains(part), "{part}");
    }
}
