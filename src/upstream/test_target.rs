//! The built-in `test` backend: lets a newcomer try holds and WebSockets before there is a
//! backend. Its answers
//! carry real `Grip-*` headers and take the same way as any other's.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, header,
    response::{self, Parts},
};

use super::{Body, Upload, test_socket};

/// Answers a request to the test backend. The path is what the route left of it, without its
/// `path_beg`; channels come from `channel=` in the query, else it is `test`.
pub async fn answer(
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    upload: &Upload,
) -> (Parts, Body) {
    if upload.finish().await.is_err() {
        return plain(StatusCode::BAD_REQUEST, "request too large\n");
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    if test_socket::is_events(headers) {
        return match path {
            "ws" => test_socket::answer(query, headers, upload),
            _ => plain(StatusCode::NOT_FOUND, NOT_FOUND),
        };
    }
    match path {
        "" => plain(StatusCode::OK, "Hello from gripd's test backend!\n"),
        "response" => hold("response", "nothing for now\n", query),
        "stream" => hold("stream", "[stream opened]\n", query),
        _ => plain(StatusCode::NOT_FOUND, NOT_FOUND),
    }
}

/// An answer of text alone.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> (Parts, Body) {
    let text = text.into();
    let mut head = response::Response::new(()).into_parts().0;
    head.status = status;
    head.headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    head.headers
        .insert(header::CONTENT_LENGTH, text.len().into());
    // Anyone may put words into a held answer: no browser shall take them for a page.
    let nosniff = HeaderValue::from_static("nosniff");
    head.headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    (head, Body::full(text))
}

fn hold(mode: &'static str, text: &'static str, query: Option<&str>) -> (Parts, Body) {
    let (mut head, body) = plain(StatusCode::OK, text);
    head.headers
        .insert("grip-hold", HeaderValue::from_static(mode));
    for channel in channels(query) {
        // These would be read as more than a name.
        let plain_name = !channel
            .iter()
            .any(|byte| matches!(byte, b',' | b';' | b'"'));
        match HeaderValue::from_bytes(&channel) {
            Ok(value) if plain_name => head.headers.append("grip-channel", value),
            _ => return plain(StatusCode::BAD_REQUEST, "channel name not possible here\n"),
        };
    }
    (head, body)
}

/// The channels of a request, by its query.
pub(super) fn channels(query: Option<&str>) -> Vec<Vec<u8>> {
    let mut channels: Vec<_> = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.strip_prefix("channel="))
        .map(decoded)
        .filter(|channel| !channel.is_empty())
        .collect();
    if channels.is_empty() {
        channels.push(b"test".to_vec());
    }
    channels
}

/// Percent-decodes a query value; what is no escape stays.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = text
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.bytes().all(|d| d.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escape.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

const NOT_FOUND: &str = "no such test resource\n";

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn answers_by_path_and_query() {
        let table = [
            ("", None, 200, "Hello from gripd's test backend!\n", ""),
            ("/", None, 200, "Hello from gripd's test backend!\n", ""),
            ("/stream/", None, 200, "[stream opened]\n", "stream test"),
            (
                "/response",
                Some("x=1&channel=a%20b&channel=c"),
                200,
                "nothing for now\n",
                "response a b c",
            ),
            (
                "/stream",
                Some("channel=a%0d%0aX:y"),
                400,
                "channel name not possible here\n",
                "",
            ),
            (
                "/stream",
                Some("channel=a;filter=x"),
                400,
                "channel name not possible here\n",
                "",
            ),
            ("/nope", None, 404, NOT_FOUND, ""),
            ("/ws", None, 404, NOT_FOUND, ""),
        ];
        for (path, query, status, text, grip) in table {
            let (head, body) = answer(path, query, &HeaderMap::new(), &Upload::empty()).await;
            let found: Vec<_> = ["grip-hold", "grip-channel"]
                .iter()
                .flat_map(|name| head.headers.get_all(*name))
                .map(|value| value.to_str().unwrap())
                .collect();
            assert_eq!(
                (head.status.as_u16(), found.join(" ").as_str()),
                (status, grip),
                "{path}"
            );
            assert_eq!(head.headers["x-content-type-options"], "nosniff");
            assert_eq!(body.collect().await.unwrap().to_bytes(), text, "{path}");
        }
    }

    #[tokio::test]
    async fn too_big_a_body_is_refused() {
        let body = http_body_util::Full::new(Bytes::from_static(b"too long"));
        let upload = Upload::new(body, 4);
        let (head, _) = answer("/", None, &HeaderMap::new(), &upload).await;
        assert_eq!(head.status, 400);
    }

    #[tokio::test]
    async fn a_websocket_is_taken_at_ws_alone() {
        let kind = HeaderValue::from_static("application/websocket-events");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
        for (path, status) in [("/ws", 200), ("/ws/", 200), ("/", 404), ("/stream", 404)] {
            let upload = Upload::of(&Bytes::from_static(b"OPEN\r\n"));
            let (head, _) = answer(path, None, &headers, &upload).await;
            assert_eq!(head.status, status, "{path}");
        }
    }
}
