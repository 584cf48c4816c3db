//! The control port's settings: addresses, credentials, and who is let in without.

use super::*;

fn faults(flags: &Flags, pairs: &[(&str, &str)]) -> Vec<String> {
    let faults = examine(flags, env(pairs)).faults;
    faults.iter().map(ToString::to_string).collect()
}

fn controlled(address: &str) -> Flags {
    Flags {
        control: Some(address.into()),
        ..bare()
    }
}

#[test]
fn addresses_and_sockets_stand_in_one_list() {
    for (text, http, unix, is_default) in [
        ("unix:/run/g.sock", 0, vec!["unix:/run/g.sock"], false),
        (
            "6000,unix:/a?mode=600,unix:/b",
            2,
            vec!["unix:/a?mode=600", "unix:/b"],
            true,
        ),
        ("127.0.0.1:1, unix:/a", 1, vec!["unix:/a"], false),
        ("", 0, vec![], false),
    ] {
        let control = load(&controlled(text), env(&[])).unwrap().settings.control;
        let sockets: Vec<_> = control.unix.iter().map(ToString::to_string).collect();
        assert_eq!(
            (control.http.len(), sockets),
            (http, unix.iter().map(ToString::to_string).collect()),
            "{text}"
        );
        assert_eq!(control.http_is_default, is_default, "{text}");
    }
    let folder = Folder::new().with("gripd.toml", "[control]\nhttp = \"unix:g.sock\"\n");
    let control = load(&folder.flags(), env(&[])).unwrap().settings.control;
    assert_eq!(control.unix[0].path, folder.0.join("g.sock"));
    for (wrong, part) in [("unix:", "unix:PATH?mode=OCTAL"), ("x:y", ", or unix:PATH")] {
        let error = load(&controlled(wrong), env(&[])).unwrap_err().to_string();
        assert!(
            error.starts_with("--control: control.http must be"),
            "{error}"
        );
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn credentials_are_whole_and_can_be_sent() {
    let folder = Folder::new().with("blank", " \n").with("token", "s3cret\n");
    let file = |name: &str| format!("file:{}", folder.0.join(name).display());
    let (blank, missing) = (file("blank"), file("missing"));
    for (pairs, said) in [
        (
            vec![("JWT_KEY", "k")],
            "GRIPD_CONTROL_JWT_KEY: control.jwt_key needs control.jwt_iss: set both or neither",
        ),
        (
            vec![("JWT_ISS", "i")],
            "GRIPD_CONTROL_JWT_ISS: control.jwt_iss needs control.jwt_key: set both or neither",
        ),
        (
            vec![("USER", "u")],
            "GRIPD_CONTROL_USER: control.user needs control.password: set both or neither",
        ),
        (
            vec![("PASSWORD", "p")],
            "GRIPD_CONTROL_PASSWORD: control.password needs control.user: set both or neither",
        ),
        (
            vec![("USER", "u:v"), ("PASSWORD", "p")],
            "GRIPD_CONTROL_USER: control.user must not hold a colon: basic authentication ends the name there",
        ),
        (
            vec![("TOKEN", "two words")],
            "GRIPD_CONTROL_TOKEN: control.token must be visible ASCII without blanks: publishers send it in a header",
        ),
        (
            vec![("TOKEN", "ü")],
            "GRIPD_CONTROL_TOKEN: control.token must be visible ASCII without blanks: publishers send it in a header",
        ),
        (
            vec![("TOKEN", &blank)],
            "holds no secret: it must hold text; allowed: text, or file:... with the text in it",
        ),
        (
            vec![("USER", "u"), ("PASSWORD", &missing)],
            "cannot be read: No such file or directory (os error 2); allowed: text, or file:... with the text in it",
        ),
        (
            vec![("JWT_ISS", "i"), ("JWT_KEY", "base64:")],
            "GRIPD_CONTROL_JWT_KEY: control.jwt_key: the key after 'base64:' holds nothing: it must be base64; allowed: text, base64:... or file:... (a PEM public key, EC P-256 or RSA, or hex)",
        ),
        (
            vec![("TLS_CERT", "c")],
            "GRIPD_CONTROL_TLS_CERT: control.tls_cert needs control.tls_key: set both or neither",
        ),
        (
            vec![("TLS_KEY", "k")],
            "GRIPD_CONTROL_TLS_KEY: control.tls_key needs control.tls_cert: set both or neither",
        ),
        (
            vec![("TLS_CERT", "no.crt"), ("TLS_KEY", "no.key")],
            "GRIPD_CONTROL_TLS_CERT: control.tls_cert, control.tls_key: no.crt cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (format!("GRIPD_CONTROL_{name}"), *value))
            .collect();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let found = faults(&bare(), &pairs);
        assert!(
            found.len() == 1 && found[0].ends_with(said),
            "{found:?} instead of {said}"
        );
    }
    let token = file("token");
    assert_eq!(faults(&bare(), &[("GRIPD_CONTROL_TOKEN", &token)]), [""; 0]);
}

#[test]
fn the_key_everybody_knows_is_warned_of() {
    let pairs = [
        ("GRIPD_CONTROL_JWT_ISS", "i"),
        ("GRIPD_CONTROL_JWT_KEY", "changeme"),
    ];
    let warnings = load(&bare(), env(&pairs)).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let start = "GRIPD_CONTROL_JWT_KEY: control.jwt_key is `changeme`, the key everybody knows: \
                 anybody can make a JWT with it and publish; ";
    assert!(warnings[0].starts_with(start), "{warnings:?}");
}

#[test]
fn a_port_open_to_others_asks_for_credentials_or_is_refused() {
    for (address, open) in [
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("[::]:1", "[::]:1"),
        ("127.0.0.1:1,192.0.2.1:1", "192.0.2.1:1"),
        ("*:1,unix:/a", "0.0.0.0:1, [::]:1"),
    ] {
        let said = faults(&controlled(address), &[]);
        assert_eq!(
            said,
            [format!(
                "--control: control.http: the control port is open to other machines ({open}), and \
                 anyone who reaches it can publish; set control.token, or control.jwt_iss and \
                 control.jwt_key, or control.user and control.password, or bind it to 127.0.0.1, \
                 or say that it shall be so: --control-insecure"
            )]
        );
        assert!(load(&controlled(address), env(&[])).is_err());
    }
    for address in [
        "127.0.0.1:0",
        "127.5.5.5:1",
        "[::1]:1",
        "6000",
        "localhost:1",
        "unix:/a",
    ] {
        assert_eq!(faults(&controlled(address), &[]), [""; 0], "{address}");
    }
    let ways: [&[(&str, &str)]; 3] = [
        &[("GRIPD_CONTROL_TOKEN", "t")],
        &[
            ("GRIPD_CONTROL_JWT_ISS", "i"),
            ("GRIPD_CONTROL_JWT_KEY", "k"),
        ],
        &[("GRIPD_CONTROL_USER", "u"), ("GRIPD_CONTROL_PASSWORD", "p")],
    ];
    for pairs in ways {
        assert_eq!(
            faults(&controlled("0.0.0.0:1"), pairs),
            [""; 0],
            "{pairs:?}"
        );
    }
}

#[test]
fn who_is_told_lets_everybody_in_and_check_warns() {
    let pushpin = "[handler]\npush_in_http_addr=0.0.0.0\npush_in_http_port=5561\n";
    let in_conf = Folder::new().with("pushpin.conf", pushpin);
    let toml = Folder::new().with("gripd.toml", "[control]\nhttp = \"*:1\"\ninsecure = true\n");
    let image = Flags {
        image: Some(Image::default()),
        config: Some("/dev/null".into()),
        ..bare()
    };
    let by_flag = Flags {
        control_insecure: true,
        ..controlled("0.0.0.0:1")
    };
    for (flags, place) in [
        (in_conf.flags(), "pushpin.conf:3:1: control.http: "),
        (toml.flags(), "gripd.toml:2:1: control.http: "),
        (image, "settings: control.http: "),
        (by_flag, "--control: control.http: "),
    ] {
        let examined = examine(&flags, env(&[])).faults;
        assert_eq!(examined.len(), 1, "{examined:?}");
        assert!(!examined[0].is_error(), "{examined:?}");
        let said = in_conf.short(&toml.short(&examined[0]));
        assert!(said.starts_with(place), "{said}");
        assert!(said.contains("anyone who reaches it can publish"), "{said}");
        assert!(!said.contains("--control-insecure"), "{said}");
        // When it starts, the line with the address says it.
        assert_eq!(load(&flags, env(&[])).unwrap().warnings, [""; 0]);
    }
    // An address that was not in Pushpin's file was not told there.
    let mut elsewhere = in_conf.flags();
    elsewhere.control = Some("0.0.0.0:5561".into());
    assert!(load(&elsewhere, env(&[])).is_err());
    let variable = [("GRIPD_CONTROL_HTTP", "0.0.0.0:5561")];
    assert!(load(&in_conf.flags(), env(&variable)).is_err());
    let insecure = [
        ("GRIPD_CONTROL_HTTP", "0.0.0.0:5561"),
        ("GRIPD_CONTROL_INSECURE", "yes"),
    ];
    assert!(load(&in_conf.flags(), env(&insecure)).is_ok());
}
