//! Vectors 32 to 39 and 46 to 50: what a route does to a request on its way.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use gripd::grip::signature::Verifier;

use crate::{
    Lines, ask, jwt_part,
    support::{Backend, Gripd},
};

#[test]
fn v032_to_v035_paths_are_rewritten() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/rem,path_rem=4 A",
        "*,path_beg=/rep/,replace_beg=/new/x/ A",
        "*,path_beg=/emptyv,path_rem=,replace_beg=zz A",
        "*,path_beg=/pr2,path_rem=3,path_beg=/pr A",
        "*,path_beg=/neg,path_rem=-1 A",
    ]);
    for (path, seen) in [
        ("/rem/abc?q=1", "/abc?q=1"),
        ("/rem", "/"),
        ("/rem?q", "/?q"),
        ("/rep/abc?q=1", "/new/x/abc?q=1"),
        ("/emptyv/q", "/zz/q"),
        ("/pr2/abc", "/2/abc"),
        ("/neg/x", "/neg/x"),
    ] {
        assert_eq!(lines.seen(path, &[]).target(), seen, "{path}");
    }
}

#[test]
fn v036_v037_hosts_are_rewritten() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/ash,as_host=as.example:81 A",
        "*,path_beg=/both,as_host=as.example A,host=t.example:8080",
    ]);
    for (path, host) in [
        ("/", "h.test"),
        ("/ash", "as.example:81"),
        ("/both", "t.example:8080"),
    ] {
        assert_eq!(lines.seen(path, &[]).all("Host"), [host], "{path}");
    }
}

#[test]
fn v038_headers_of_the_route_are_set() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/hdr,header=X-Add:v1,header=\"X-Two: a b\",header=X-Del:,header=X-Rep:r1,header=X-Rep:r2 A",
    ]);
    let head = lines.seen("/hdr", &["X-Del: zz", "X-Rep: orig"]);
    assert_eq!(head.all("X-Rep"), ["r1"]);
    assert_eq!(head.all("X-Two"), ["a b"]);
    assert_eq!(head.all("X-Add"), ["v1"]);
    assert!(!head.has("X-Del"));
    let order: Vec<&str> = head
        .lines()
        .map(|(n, _)| n)
        .filter(|n| n.starts_with("X-"))
        .collect();
    assert_eq!(order, ["X-Rep", "X-Two", "X-Add"]);
}

#[test]
fn v039_headers_of_the_route_come_before_those_of_the_proxy() {
    let backend = Backend::saying("A");
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,header=Host:evil,header=Grip-Sig:mine,header=X-Forwarded-For:9.9.9.9 {}",
            backend.addr
        ))
        .set("PROXY_X_FORWARDED_FOR", "truncate:2,append")
    });
    assert_eq!(
        ask(&gripd, "/", &["X-Forwarded-For: 8.8.8.8"]).status(),
        200
    );
    let head = backend.last().head;
    assert_eq!(head.all("Host"), ["h.test"]);
    assert_eq!(head.all("X-Forwarded-For"), ["9.9.9.9, 127.0.0.1"]);
    assert!(
        head.get("Grip-Sig").unwrap().starts_with("ey"),
        "{}",
        head.raw
    );
}

#[test]
fn v046_a_route_without_grip_adds_and_trusts_none_of_it() {
    let lines = Lines::new(&["* A", "*,path_beg=/nogrip,no_grip A"]);
    let head = lines.seen("/nogrip", &["Grip-Sig: x", "Grip-Foo: y"]);
    assert_eq!(head.names_from("Grip-"), [""; 0]);
    assert!(lines.seen("/", &[]).has("Grip-Sig"));
}

#[test]
fn v047_orig_headers_marks_what_the_client_sent() {
    let backend = Backend::saying("A");
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/orig,orig_headers {}", backend.addr))
            .route(format!("* {}", backend.addr))
            .set("PROXY_ORIG_HEADERS_NEED_MARK", "X-Mark")
    });
    let headers = [
        "X-Mark: m",
        "eb9bf0f5-X-Mark: pm",
        "X-Z: z",
        "Connection: close",
    ];
    assert_eq!(ask(&gripd, "/orig", &headers).status(), 200);
    let head = backend.last().head;
    for (name, value) in [
        ("X-Mark", "m"),
        ("X-Z", "z"),
        ("eb9bf0f5-Host", "h.test"),
        ("eb9bf0f5-X-Mark", "pm"),
        ("eb9bf0f5-X-Z", "z"),
        ("eb9bf0f5-Connection", "close"),
    ] {
        assert_eq!(head.all(name), [value], "{name}: {}", head.raw);
    }
    assert_eq!(ask(&gripd, "/", &headers).status(), 200);
    let marked = backend.last().head.names_from("eb9bf0f5-").len();
    assert_eq!(marked, 0, "a route without the option removes the marks");
    assert!(!gripd.log().contains("orig_headers"), "it needs no warning");
}

/// The folder of the keys for tests.
fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grip/signature/keys")
}

#[test]
fn v048_v049_v050_a_route_signs_with_its_own_key() {
    let backend = Backend::saying("A");
    let folder = keys();
    let folder = folder.display();
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,path_beg=/sig/,sig_iss=me,sig_key=\"k,1\" {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/sigb/,sig_key=base64:AAEC {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/ec,sig_key=file:{folder}/ec-pkcs8.pem {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/rsa,sig_key=file:{folder}/rsa-pkcs8.pem {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/none,sig_key=file:missing {}",
            backend.addr
        ))
        .route(format!("*,path_beg=/empty,sig_key= {}", backend.addr))
        .set("GRIP_SIG_KEY", "global")
    });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    for (path, key, iss, alg) in [
        ("/sig/", "k,1", "me", "HS256"),
        ("/sigb/", "base64:AAEC", "pushpin", "HS256"),
        ("/ec", "file:ec-public.pem", "pushpin", "ES256"),
        ("/rsa", "file:rsa-public.pem", "pushpin", "RS256"),
        ("/none", "global", "pushpin", "HS256"),
        ("/empty", "global", "pushpin", "HS256"),
    ] {
        assert_eq!(ask(&gripd, path, &[]).status(), 200);
        let head = backend.last().head;
        let signature = head.get("Grip-Sig").unwrap();
        assert_eq!(jwt_part(signature, 0)["alg"], alg, "{path}");
        assert_eq!(jwt_part(signature, 1)["iss"], iss, "{path}");
        let verifier = Verifier::new(key, &keys()).unwrap().unwrap();
        assert!(
            verifier.verify(signature.as_bytes(), now).is_ok(),
            "{path} with {key}"
        );
        let other = Verifier::new("another", &keys()).unwrap().unwrap();
        assert!(other.verify(signature.as_bytes(), now).is_err(), "{path}");
    }
    gripd.wait_log("sig_key cannot be used, so grip.sig_key signs");
}
