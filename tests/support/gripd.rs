//! The real `gripd`: started on free ports, its standard error read along, ended with the test.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::{
    eventually,
    wire::{Response, Wire},
};

/// How gripd is to be started.
#[derive(Debug)]
pub(crate) struct Setup {
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: PathBuf,
    program: PathBuf,
    user: Option<u32>,
    /// No flag says where the control port is.
    control_elsewhere: bool,
}

impl Setup {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "gripd-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::SeqCst)
        );
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a folder for the test");
        Self {
            args: Vec::new(),
            env: Vec::new(),
            dir,
            program: env!("CARGO_BIN_EXE_gripd").into(),
            user: None,
            control_elsewhere: false,
        }
    }

    /// A routes line on the command line.
    pub(crate) fn route(self, line: impl AsRef<str>) -> Self {
        let flag = format!("--route={}", line.as_ref());
        self.arg(flag)
    }

    /// Any argument.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A setting by environment: `LIMITS_REQUEST_HEAD` is `GRIPD_LIMITS_REQUEST_HEAD`.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.var(&format!("GRIPD_{name}"), value)
    }

    /// Any environment variable.
    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// As this user and group, whom nobody knows, when the test runs as root; without a home
    /// folder in any case. The program is copied to where that user may read it.
    pub(crate) fn user(mut self, id: u32) -> Self {
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            let copy = self.dir.join("gripd");
            // By another process: what a thread of this one is still writing, a child that another
            // thread forks meanwhile holds open, and such a file cannot be run.
            let copied = Command::new("cp").arg(&self.program).arg(&copy).status();
            assert!(
                copied.is_ok_and(|status| status.success()),
                "no copy of the program"
            );
            self.program = copy;
            self.user = Some(id);
        }
        self
    }

    /// By another name, a link to the program.
    pub(crate) fn called(mut self, name: &str) -> Self {
        let link = self.dir.join(name);
        std::os::unix::fs::symlink(&self.program, &link).expect("a link to the program");
        self.program = link;
        self
    }

    /// Where the control port is, a file or the environment says.
    pub(crate) fn control_elsewhere(mut self) -> Self {
        self.control_elsewhere = true;
        self
    }

    /// A file in the folder gripd is started in.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.dir.join(name), text).expect("a file for the test");
        self
    }

    /// Errors tell clients the cause.
    pub(crate) fn debug(self) -> Self {
        self.set("PROXY_DEBUG", "true")
    }

    /// Worker threads.
    pub(crate) fn threads(self, n: usize) -> Self {
        self.set("THREADS", &n.to_string())
    }

    /// The folder gripd is started in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        command
            .args(&self.args)
            .current_dir(&self.dir)
            .env_remove("HOME")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        command
    }
}

/// A running gripd. Killed when dropped; its log is shown when the test fails.
pub(crate) struct Gripd {
    /// Where clients connect.
    pub(crate) clients: SocketAddr,
    /// The control port.
    pub(crate) control: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    dir: PathBuf,
}

impl Gripd {
    /// Starts gripd on free ports of 127.0.0.1 (elsewhere if the setup says so) and waits until it listens.
    pub(crate) fn start(setup: impl FnOnce(Setup) -> Setup) -> Self {
        let mut setup = setup(Setup::new());
        for flag in ["--port=", "--control="] {
            let elsewhere = flag == "--control=" && setup.control_elsewhere;
            if !elsewhere && !setup.args.iter().any(|arg| arg.starts_with(flag)) {
                setup = setup.arg(format!("{flag}127.0.0.1:0"));
            }
        }
        let mut child = setup
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gripd can be started");
        let log = follow(&mut child);
        let mut found = None;
        eventually("gripd says where it listens", || {
            let text = log.lock().unwrap().clone();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("gripd ended at once ({status}):\n{text}");
            }
            found = address(&text, "clients: ").zip(address(&text, "control: "));
            found.is_some()
        });
        let (clients, control) = found.unwrap();
        Self {
            clients,
            control,
            child,
            log,
            dir: setup.dir,
        }
    }

    /// Starts gripd before a backend that gets everything.
    pub(crate) fn before(backend: &super::Backend) -> Self {
        Self::start(|c| c.route(format!("* {}", backend.addr)))
    }

    /// A new client connection.
    pub(crate) fn client(&self) -> Wire {
        Wire::connect(self.clients)
    }

    /// A new connection with a `GET` sent.
    pub(crate) fn get(&self, target: &str) -> Wire {
        let mut client = self.client();
        client.get(target);
        client
    }

    /// A `GET` on its own connection.
    pub(crate) fn fetch(&self, target: &str) -> Response {
        self.client().fetch(target)
    }

    /// A held stream: its request sent, its head and this initial body read.
    pub(crate) fn stream(&self, target: &str, initial: &str) -> Wire {
        let mut client = self.get(target);
        let head = client.head();
        assert!(head.is_chunked(), "not a held stream: {:?}", head.raw);
        client.expect_stream(initial);
        client
    }

    /// Posts a publish body and reads the answer.
    pub(crate) fn publish_raw(&self, headers: &[&str], body: impl AsRef<[u8]>) -> Response {
        let mut control = Wire::connect(self.control);
        control.request("POST", "/publish/", &Self::control_headers(headers), body);
        control.response()
    }

    fn control_headers<'a>(headers: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["Host: localhost"];
        all.extend_from_slice(headers);
        all
    }

    /// Publishes items; they must be accepted. The number of subscriptions each one met.
    pub(crate) fn publish(&self, items: &Value) -> Vec<u64> {
        let body = json!({ "items": items }).to_string();
        let response = self.publish_raw(
            &["Accept: application/json", "Content-Type: application/json"],
            body,
        );
        assert_eq!(response.status(), 200, "{}", response.text());
        let answer = response.json();
        answer["items"]
            .as_array()
            .unwrap_or_else(|| panic!("no items in {answer}"))
            .iter()
            .map(|item| item["connections"].as_u64().expect("a count"))
            .collect()
    }

    /// Publishes text to the streams of a channel.
    pub(crate) fn push(&self, channel: &str, text: &str) -> u64 {
        self.publish(&json!([{"channel": channel, "http-stream": {"content": text}}]))[0]
    }

    /// Answers the long-polls of a channel with text.
    pub(crate) fn answer_polls(&self, channel: &str, text: &str) -> u64 {
        self.publish(&json!([{"channel": channel, "http-response": {"body": text}}]))[0]
    }

    /// Ends the streams of a channel.
    pub(crate) fn close_streams(&self, channel: &str) -> u64 {
        self.publish(&json!([{"channel": channel, "http-stream": {"action": "close"}}]))[0]
    }

    /// Waits until a channel has so many subscriptions of a mode (`http-stream`,
    /// `http-response`). Asks with `refresh`, which neither mode does anything with.
    pub(crate) fn wait_subscribers(&self, channel: &str, form: &str, n: u64) {
        let probe = json!([{"channel": channel, "no-seq": true, form: {"action": "refresh"}}]);
        let mut last = 0;
        eventually(
            &format!("{n} subscriptions of {form} on {channel:?}"),
            || {
                last = self.publish(&probe)[0];
                last == n
            },
        );
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log, from this byte on, contains a text.
    pub(crate) fn wait_log_from(&self, start: usize, text: &str) {
        eventually(&format!("{text:?} in the log"), || {
            self.log()[start..].contains(text)
        });
    }

    /// Waits until the log contains a text.
    pub(crate) fn wait_log(&self, text: &str) {
        self.wait_log_from(0, text);
    }

    /// The folder gripd was started in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sends a signal by name (`HUP`, `TERM`).
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill exists");
        assert!(status.success());
    }

    /// Waits until gripd has ended.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("gripd ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Bytes of memory that it has.
    pub(crate) fn resident(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it is running");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words = line.expect("the kernel tells").split_whitespace();
        let kilobytes: usize = words.rev().nth(1).unwrap().parse().unwrap();
        kilobytes << 10
    }

    /// Is it still running?
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Gripd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
        if std::thread::panicking() {
            eprintln!("--- log of gripd:\n{}", self.log());
        }
    }
}

/// Runs gripd with arguments it is to end on by itself.
pub(crate) fn run_to_end(setup: impl FnOnce(Setup) -> Setup) -> Output {
    let setup = setup(Setup::new());
    let mut child = setup
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gripd can be started");
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > super::PATIENCE {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            panic!(
                "gripd did not end by itself:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let _ = fs::remove_dir_all(&setup.dir);
    output
}

/// Reads the child's standard error in a thread of its own.
fn follow(child: &mut Child) -> Arc<Mutex<String>> {
    let stderr = child.stderr.take().expect("piped");
    let log = Arc::new(Mutex::new(String::new()));
    let writer = Arc::clone(&log);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            writer
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    log
}

/// The first address behind a mark, once its line is complete; port 0 where there is none but a
/// socket in the file system.
fn address(log: &str, mark: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(mark)?;
    let (line, _) = rest.split_once('\n')?;
    let url = line.split([',', ' ', '"']).next().unwrap_or_default();
    let Some((_, address)) = url.split_once("://") else {
        return Some(([127, 0, 0, 1], 0).into());
    };
    // What listens everywhere is shown by a name.
    address.replace("localhost", "127.0.0.1").parse().ok()
}
