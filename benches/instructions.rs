//! What `tests/run instructions` counts under valgrind: gripd's own instructions per delivery and
//! per proxied request, without the kernel's. One thread does everything: it is gripd's core (front,
//! forwarder, hub), the clients and the backend, over socket pairs and a socket in the file system.
//!
//! `instructions WHAT ROUNDS` does the same work ROUNDS times; the difference between two numbers of
//! rounds is the cost of a round, without that of the start. What clients and backend cost is in it
//! too, always the same: a read or a write and a glance at what came.

#[path = "../src/allocator.rs"]
mod allocator;

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream as Client,
    path::Path,
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use gripd::{
    config::Settings,
    forward::{Common, Forwarder},
    front::{Arrived, Front},
    grip::{connection::ConnectionIds, item},
    hold::{self, Teller},
    hub::{Bounds, Holder, Hub, Rules},
    routes::table::Table,
    socket::{ClientSocket, Remote},
    telemetry::logs::Logs,
    upstream::welcome::Welcome,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    runtime,
    task::{LocalSet, spawn_local, yield_now},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Streams that hear each item.
const SUBSCRIBERS: usize = 100;

/// A browser's request.
const REQUEST: &str = "GET /PATH HTTP/1.1\r\nHost: www.example.com\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"156\", \"Not(A:Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\nCache-Control: no-cache\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://www.example.com/dashboard\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: sessionid=q4p0w8hks2j1x6z9v3b7n5m0c8d2f4g6; csrftoken=Zk3Jw9Qp7Xr5Tn1Vb8Ym2Lc6Hd4Gs0Fa\r\n\
    \r\n";

const HELD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Grip-Hold: stream\r\nGrip-Channel: news\r\nContent-Length: 6\r\n\r\nhello\n";

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Cache-Control: no-store\r\nX-Frame-Options: DENY\r\nContent-Length: 27\r\n\r\n\
    {\"temperature\": 21.5, \"ok\"}";

/// What is published: as it comes in a POST.
const ITEM: &[u8] = br#"{"items": [{"channel": "news", "formats": {"http-stream": {"content":
    "event: reading\ndata: {\"sensor\": 17, \"temperature\": 21.5, \"humidity\": 40, \"at\": 1}\n\n"}}}]}"#;

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // cargo hands `--bench` on.
    if args.iter().all(|arg| arg.starts_with("--")) {
        return Ok(()); // by `cargo bench` alone, which measures nothing
    }
    let [what, rounds] = &args
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .collect::<Vec<_>>()[..]
    else {
        return Err("usage: instructions delivery|request ROUNDS".into());
    };
    let rounds = rounds.parse()?;
    let dir = std::env::temp_dir().join(format!("gripd-instructions-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = LocalSet::new().block_on(&runtime, run(what, rounds, &dir));
    std::fs::remove_dir_all(&dir)?;
    done
}

async fn run(what: &str, rounds: usize, dir: &Path) -> Result<()> {
    let mut settings = Settings::default();
    settings.log.file = Some(dir.join("log"));
    let _logs = Logs::start(&settings.log)?;
    let socket = dir.join("backend");
    spawn_local(backend(UnixListener::bind(&socket)?));
    let core = Core::new(settings, &format!("* unix:{}", socket.display()))?;
    match what {
        "delivery" => core.deliveries(rounds).await,
        "request" => core.requests(rounds).await,
        other => Err(format!("{other}: allowed: delivery, request").into()),
    }
}

/// What `server` assembles for each of its threads.
struct Core {
    hub: Arc<Hub>,
    front: Rc<Front>,
}

impl Core {
    /// One whose requests go where `route` says.
    fn new(settings: Settings, route: &str) -> Result<Self> {
        let (table, faults) = Table::parse("route", route, Path::new("."));
        if let Some(fault) = faults.first() {
            return Err(fault.to_string().into());
        }
        let settings = Arc::new(settings);
        let (buffer, patience) = (settings.limits.publish_buffer, settings.timeouts.publish);
        let hub = Arc::new(Hub::new(1, buffer, patience, Rules::default()));
        let holder = Holder::new(&hub, 0, Bounds::default());
        spawn_local(Rc::clone(&holder).run());
        let nobody = Rc::new(|_| Box::pin(async { Ok(0_usize) }) as _);
        let forwarder = Rc::new(Forwarder::new(
            Arc::clone(&settings),
            Arc::new(ArcSwap::from_pointee(table)),
            Common::new(&settings),
            Welcome::new("", "", "", nobody),
        ));
        let untold = Arc::<AtomicUsize>::default();
        let teller = Teller::new(Rc::clone(&forwarder), untold, settings.grip.link_backoff);
        let context = hold::Context {
            holder,
            settings,
            notices: Arc::default(),
            teller,
            forwarder,
        };
        let front = Front::new(context, |_| {}, ConnectionIds::new(0));
        Ok(Self { hub, front })
    }

    /// A client of it.
    fn connect(&self) -> io::Result<Client> {
        let (near, far) = Client::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        let socket = ClientSocket::Unix(UnixStream::from_std(far)?);
        Rc::clone(&self.front).serve(Arrived::plain(socket, Remote::Unix), ());
        Ok(near)
    }

    /// An item to all subscribers, again and again.
    async fn deliveries(&self, rounds: usize) -> Result<()> {
        let request = REQUEST.replace("PATH", "stream");
        let mut clients = Vec::new();
        for _ in 0..SUBSCRIBERS {
            let mut client = self.connect()?;
            client.write_all(request.as_bytes())?;
            read_until(&mut client, b"hello\n\r\n").await?;
            clients.push(client);
        }
        for _ in 0..rounds {
            let entries = item::parse_batch(ITEM)?;
            self.hub.publish(entries).await?;
            for client in &mut clients {
                read_until(client, b"\n\n\r\n").await?;
            }
        }
        Ok(())
    }

    /// A request that its backend answers, again and again on one connection.
    async fn requests(&self, rounds: usize) -> Result<()> {
        let request = REQUEST.replace("PATH", "plain");
        let mut client = self.connect()?;
        for _ in 0..rounds {
            client.write_all(request.as_bytes())?;
            read_until(&mut client, b"\"ok\"}").await?;
        }
        Ok(())
    }
}

/// Reads until what came ends so.
async fn read_until(client: &mut Client, end: &[u8]) -> Result<()> {
    let mut buf = [0; 2048];
    let mut len = 0;
    while !buf[..len].ends_with(end) {
        match client.read(&mut buf[len..]) {
            Ok(0) => return Err(format!("closed: {}", buf[..len].escape_ascii()).into()),
            Ok(read) => len += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Answers requests without a body: a hold to those of streams.
async fn backend(listener: UnixListener) -> io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        spawn_local(async move {
            let mut buf = [0; 8192];
            let mut len = 0;
            loop {
                len += match socket.read(&mut buf[len..]).await? {
                    0 => return io::Result::Ok(()),
                    read => read,
                };
                if buf[..len].ends_with(b"\r\n\r\n") {
                    let held = buf.starts_with(b"GET /stream");
                    socket.write_all(if held { HELD } else { PLAIN }).await?;
                    len = 0;
                }
            }
        });
    }
}
