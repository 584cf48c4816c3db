//! Pushpin's file in gripd's tree.

use super::*;

/// The keys and values of Debian's package 1.36.
const DEBIAN: &str = "[global]\ninclude={libdir}/internal.conf\nrundir=/var/run/pushpin\n\
    ipc_prefix=pushpin-\nport_offset=0\nstats_connection_ttl=120\n[runner]\n\
    services=condure,pushpin-proxy,pushpin-handler\nhttp_port=7999\n#https_ports=443\n\
    logdir=/var/log/pushpin\nlog_level=2\nclient_buffer_size=8192\nclient_maxconn=50000\n\
    condure_bin=condure\nmongrel2_bin=mongrel2\nm2sh_bin=m2sh\nzurl_bin=zurl\n[proxy]\n\
    routesfile=routes\ndebug=false\nauto_cross_origin=false\naccept_x_forwarded_protocol=false\n\
    set_x_forwarded_protocol=proto-only\nx_forwarded_for=\nx_forwarded_for_trusted=\n\
    orig_headers_need_mark=\naccept_pushpin_route=false\nlog_from=false\nlog_user_agent=false\n\
    sig_iss=pushpin\nsig_key=changeme\nupstream_key=\nsockjs_url=http://cdn.jsdelivr.net/sockjs/0.3.4/sockjs.min.js\n\
    updates_check=off\norganization_name=\n[handler]\npush_in_spec=tcp://127.0.0.1:5560\n\
    push_in_sub_specs=tcp://127.0.0.1:5562\npush_in_sub_connect=false\n\
    push_in_http_addr=127.0.0.1\npush_in_http_port=5561\npush_in_http_max_headers_size=10000\n\
    push_in_http_max_body_size=1000000\nstats_spec=ipc://{rundir}/{ipc_prefix}stats\n\
    command_spec=tcp://127.0.0.1:5563\nmessage_rate=2500\nmessage_hwm=25000\nmessage_wait=5000\n\
    id_cache_ttl=60\nconnection_subscription_max=20\nsubscription_linger=60\n\
    stats_subscription_ttl=60\nstats_report_interval=10\nstats_format=tnetstring\n";

/// Where the samples of versions 1.41 and 2.0 differ from it.
const UPSTREAM: &[(&str, &str)] = &[
    ("rundir=/var/run/pushpin", "rundir=run"),
    (
        "logdir=/var/log/pushpin",
        "logdir=log\nallow_compression=false",
    ),
    ("updates_check=off", "updates_check=report"),
    (
        "services=condure,pushpin-proxy,pushpin-handler",
        "services=connmgr,proxy,handler",
    ),
    ("sig_key=changeme", "cdn_loop=\nsig_key=changeme"),
];

#[test]
fn shipped_files_load_with_two_warnings() {
    let upstream = UPSTREAM.iter().fold(DEBIAN.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    let mongrel2 = DEBIAN.replace("condure,pushpin", "mongrel2,m2adapter,pushpin");
    for text in [DEBIAN, &upstream, &mongrel2] {
        let folder = Folder::new()
            .with("pushpin.conf", text)
            .with("routes", "* test\n");
        let warnings = load(&folder.flags(), env(&[])).unwrap().warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}

#[test]
fn debians_files_load_as_they_are() {
    let folder = Folder::new()
        .with("pushpin.conf", DEBIAN)
        .with("routes", "* test\n");
    let loaded = load(&folder.flags(), env(&[])).unwrap();
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(
        warnings,
        [
            "pushpin.conf:38:1: push_in_spec, push_in_sub_specs, command_spec: ZeroMQ is not served; \
          publish over HTTP to the control port (control.http)",
            "pushpin.conf:32:1: sig_key is `changeme`, the key everybody knows: anybody can forge \
             Grip-Sig towards a backend that trusts it; set sig_key to a secret of your own, here \
             and in the backend",
        ]
    );
    assert_eq!(
        loaded.files,
        [folder.0.join("pushpin.conf"), folder.0.join("routes")]
    );
    let (settings, default) = (loaded.settings, Settings::default());
    assert_eq!(settings.listen.http, default.listen.http);
    assert_eq!(settings.control.http, default.control.http);
    assert_eq!(settings.limits.connections, 50_000);
    assert_eq!(settings.limits.request_head, default.limits.request_head);
    assert_eq!(
        settings.proxy.set_x_forwarded_protocol,
        SetForwardedProtocol::ProtoOnly
    );
    assert!(!settings.grip.sig_key_is_default);
}

#[test]
fn changed_keys_of_pushpins_file_are_taken_over() {
    let loaded = conf(
        "[global]\nport_offset=10\n[runner]\nhttp_port=80, 127.0.0.1:8080\n\
         log_level=proxy:4,3\nclient_buffer_size=1048576\n[proxy]\ndebug=yes\n\
         x_forwarded_for=truncate:2,append,zz\nsig_key=\"base64:AAEC\"\ncdn_loop=x\n\
         orig_headers_need_mark=A, B\n[handler]\npush_in_http_addr=0.0.0.0\n\
         push_in_http_port=6000\nmessage_wait=250\nid_cache_ttl=0\nsubscription_linger=5\n",
    )
    .unwrap();
    let settings = &loaded.settings;
    let http: Vec<_> = settings
        .listen
        .http
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(http, ["0.0.0.0:80", "[::]:80", "127.0.0.1:8080"]);
    assert_eq!(settings.control.http, ["0.0.0.0:6010".parse().unwrap()]);
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.limits.request_head, 1 << 20);
    assert!(settings.proxy.debug);
    let rule = ForwardedFor {
        truncate: Some(2),
        append: true,
    };
    assert_eq!(settings.proxy.x_forwarded_for, rule);
    assert_eq!(settings.proxy.orig_headers_need_mark, ["A", "B"]);
    assert_eq!(settings.grip.sig_key.0, "base64:AAEC");
    assert_eq!(settings.grip.message_wait, Duration::from_millis(250));
    assert_eq!(settings.grip.id_cache_ttl, Duration::ZERO);
    assert_eq!(settings.grip.subscription_linger, Duration::from_secs(5));
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("ignored: zz"));
}

#[test]
fn each_key_without_meaning_gives_one_warning_when_changed() {
    for (section, key) in pushpin_conf::without_meaning() {
        let warnings = conf(&format!("[{section}]\n{key}=tcp://x.test:1\n"))
            .unwrap()
            .warnings;
        assert_eq!(warnings.len(), 1, "[{section}] {key}: {warnings:?}");
        let (_, said) = warnings[0].split_once("pushpin.conf:2:1: ").unwrap();
        let advice = said.strip_prefix(key).unwrap();
        assert!(
            advice.starts_with(" has no effect in gripd: ") || advice.starts_with(": "),
            "{said}"
        );
        assert!(
            advice.contains("; ") || advice.contains("set "),
            "what to do: {said}"
        );
    }
    assert!(pushpin_conf::without_meaning().count() > 30);
}

#[test]
fn changed_keys_are_named_with_what_to_do() {
    let text = "[global]\nrundir=/x\n[runner]\nhttps_ports=443\nlocal_ports=/s\n\
                client_buffer_size=4096\n[proxy]\nworkers=4\nworkers=5\nfoo=1\nshare_all=1\n\
                [handler]\nmessage_rate=1\nmessage_hwm=1\nshare_all=false\n\
                private_spec=ipc://x\npush_in_http_addr=10.0.0.1\n";
    let folder = Folder::new().with("pushpin.conf", text);
    let loaded = load(&folder.flags(), env(&[])).unwrap();
    let lines: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(
        lines,
        [
            "pushpin.conf:6:1: client_buffer_size has no effect in gripd: set limits.request_head",
            "pushpin.conf:9:1: workers has no effect in gripd: set threads; gripd uses every core \
             by default",
            "pushpin.conf:10:1: unknown key foo of [proxy], ignored",
            "pushpin.conf:11:1: unknown key share_all of [proxy], ignored: it belongs into [handler]",
            "pushpin.conf:17:1: push_in_http_addr has no effect in gripd: set push_in_http_port, \
             too, or control.http",
            "pushpin.conf:13:1: message_rate, message_hwm: not applied: gripd delivers as fast as \
             clients read and has no rate; what may wait is bounded by limits.publish_buffer and \
             limits.connection_buffer",
            "pushpin.conf:4:1: tls.certs: runner/certs cannot be read: No such file or directory (os \
             error 2)",
        ]
    );
}

#[test]
fn shipped_values_of_keys_without_meaning_are_silent() {
    for (section, line) in [
        ("proxy", "sockjs_url="),
        ("handler", "push_in_sub_connect=false"),
        ("handler", "stats_spec=ipc:///elsewhere/stats"),
        ("handler", "message_rate=2500\nmessage_hwm=-1"),
        ("proxy", "updates_check=report\norganization_name="),
        ("runner", "client_buffer_size=16384"),
        ("handler", "push_in_http_addr=127.0.0.1"),
    ] {
        let loaded = conf(&format!("[{section}]\n{line}\n")).unwrap();
        assert_eq!(loaded.warnings, [""; 0], "{line}");
    }
}

#[test]
fn an_included_file_gives_what_the_main_one_lacks() {
    let folder = Folder::new()
        .with(
            "pushpin.conf",
            "[global]\ninclude=more.conf\n[proxy]\nsig_iss=main\n",
        )
        .with("more.conf", "[proxy]\nsig_iss=other\ncdn_loop={rundir}-x\n");
    let settings = load(&folder.flags(), env(&[])).unwrap().settings;
    assert_eq!(settings.grip.sig_iss, "main");
    assert_eq!(settings.proxy.cdn_loop, "run-x");
    let gone = Folder::new().with("pushpin.conf", "[global]\ninclude=gone.conf\n");
    assert!(load(&gone.flags(), env(&[])).is_err());
}

#[test]
fn an_id_shifts_the_control_port_in_the_place_of_the_files_offset() {
    let folder = Folder::new().with("pushpin.conf", "[global]\nport_offset=7\n");
    let ports = |flags: &Flags| -> Vec<u16> {
        let settings = load(flags, env(&[])).unwrap().settings;
        settings.control.http.iter().map(SocketAddr::port).collect()
    };
    assert_eq!(ports(&folder.flags()), [5568, 5568]);
    let flags = Flags {
        id: Some(2),
        ..folder.flags()
    };
    assert_eq!(ports(&flags), [5581, 5581]);
    let named = Flags {
        control: Some("127.0.0.1:6000".into()),
        ..flags
    };
    assert_eq!(ports(&named), [6000]);
}

#[test]
fn rows_of_pushpins_table_lead_to_keys() {
    assert_eq!(pushpin_conf::unknown_targets(), [""; 0]);
}

#[test]
fn the_format_is_told_by_name_and_by_contents() {
    for (name, text, pushpin) in [
        ("a.conf", "", true),
        ("a.toml", "[runner]", false),
        ("settings", "# x\n[runner]\nhttp_port=1", true),
        ("settings", "[listen]\nhttp = 1", false),
    ] {
        assert_eq!(
            pushpin_conf::is_one(Path::new(name), text),
            pushpin,
            "{name} {text}"
        );
    }
}

#[test]
fn the_image_takes_what_pushpins_entry_script_leaves_of_the_file() {
    let flags = |folder: &Folder, route: Option<&str>| Flags {
        image: Some(Image {
            route: route.map(str::to_owned),
        }),
        ..folder.flags()
    };
    let folder = Folder::new()
        .with("pushpin.conf", DEBIAN)
        .with("routes", "* test\n");
    let loaded = load(&flags(&folder, None), env(&[])).unwrap();
    assert_eq!(loaded.settings.listen.http, Settings::default().listen.http);
    let open = ["0.0.0.0:5561", "[::]:5561"].map(|address| address.parse().unwrap());
    assert_eq!(loaded.settings.control.http, open);
    assert!(loaded.settings.control.http_is_default);
    assert!(loaded.settings.control.private_hosts);
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);

    let changed = "[global]\nport_offset=10\n[runner]\nhttp_port=80, 7999\n\
                   [proxy]\nroutesfile=nowhere\n[handler]\npush_in_http_port=5571\n";
    let folder = Folder::new().with("pushpin.conf", changed);
    let variables = [("GRIPD_CONTROL_PRIVATE_HOSTS", "false")];
    let loaded = load(&flags(&folder, Some("* app:80,over_http")), env(&variables)).unwrap();
    assert_eq!(loaded.settings.listen.http, Settings::default().listen.http);
    let shifted = ["0.0.0.0:5581", "[::]:5581"].map(|address| address.parse().unwrap());
    assert_eq!(loaded.settings.control.http, shifted);
    assert!(!loaded.settings.control.private_hosts);
    assert_eq!(loaded.settings.routes.lines, ["* app:80,over_http"]);
    assert_eq!(loaded.settings.routes.lines_from, "target");
    assert_eq!(
        folder.short(&loaded.warnings[0]),
        "pushpin.conf:4:1: http_port has no effect in gripd: the image serves clients on 7999; set \
         GRIPD_LISTEN_HTTP for another"
    );
}

#[test]
fn the_image_keeps_an_address_that_somebody_named() {
    let flags = |control: Option<&str>| Flags {
        image: Some(Image::default()),
        control: control.map(str::to_owned),
        ..bare()
    };
    for (flag, variable, wanted) in [
        (None, "127.0.0.1:1", ["127.0.0.1:1"].as_slice()),
        (Some("[::1]:2"), "127.0.0.1:1", &["[::1]:2"]),
        (None, "3", &["0.0.0.0:3", "[::]:3"]),
        (Some("4"), "127.0.0.1:1", &["0.0.0.0:4", "[::]:4"]),
        (None, "", &[]),
    ] {
        let loaded = load(&flags(flag), env(&[("GRIPD_CONTROL_HTTP", variable)])).unwrap();
        let found: Vec<_> = loaded
            .settings
            .control
            .http
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn ports_of_all_kinds_are_taken_over_and_one_flag_stands_for_all() {
    let text = "[runner]\nhttp_port=80\nhttps_ports=443,127.0.0.1:444\n\
                local_ports=/run/p.sock?mode=666,rel/q.sock\n";
    let folder = Folder::new().with("pushpin.conf", text);
    let listen = load(&folder.flags(), env(&[])).unwrap().settings.listen;
    let https: Vec<_> = listen.https.iter().map(ToString::to_string).collect();
    assert_eq!(https, ["0.0.0.0:443", "[::]:443", "127.0.0.1:444"]);
    let unix: Vec<_> = listen
        .unix
        .iter()
        .map(|one| (one.mode, &one.path))
        .collect();
    let (absolute, relative) = (PathBuf::from("/run/p.sock"), folder.0.join("rel/q.sock"));
    assert_eq!(unix, [(0o666, &absolute), (0o660, &relative)]);

    let flags = Flags {
        port: Some("8080".into()),
        ..folder.flags()
    };
    let listen = load(&flags, env(&[])).unwrap().settings.listen;
    assert_eq!(listen.http[0].port(), 8080);
    assert!(listen.https.is_empty() && listen.unix.is_empty());
}
