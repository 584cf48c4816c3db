//! Fetches made at the same time: the equal ones once, and no others.

use super::*;

const WHOLE: &str = "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nContent-Length: 4\r\n\r\nsame";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsame\r\n0\r\n\r\n";

/// Cores that share what is under way, before one backend that answers when it is told to.
struct Herd {
    common: Arc<Common>,
    route: Arc<Route>,
    listener: TcpListener,
}

impl Herd {
    async fn new() -> Self {
        Self::at_a_time(64).await
    }

    /// With a budget of so many at a time.
    async fn at_a_time(most: usize) -> Self {
        let (listener, port) = listen().await;
        let mut settings = Settings::default();
        settings.grip.recover_concurrency = most;
        Self {
            common: Common::new(&settings),
            route: Arc::new(route(&[port])),
            listener,
        }
    }

    fn core(&self) -> Rc<Forwarder> {
        core(&self.common)
    }

    fn fetch(&self, path: &str) -> Fetch {
        fetch(&self.route, path)
    }

    /// Waits until so many wait for fetches, those who lead included.
    async fn until_waiting(&self, count: usize) {
        while self.common.shares.waiting() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Takes one connection and its request's path.
    async fn asked(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        (stream, request.split(' ').nth(1).unwrap().to_owned())
    }
}

fn core(common: &Arc<Common>) -> Rc<Forwarder> {
    let routes = Arc::new(ArcSwap::from_pointee(Table::default()));
    let settings = Arc::new(Settings::default());
    Rc::new(Forwarder::new(
        settings,
        routes,
        Arc::clone(common),
        welcome(),
    ))
}

fn fetch(route: &Arc<Route>, path: &str) -> Fetch {
    let authority = crate::upstream::show_address(&route.targets[0].address);
    let home = Home {
        route: Arc::clone(route),
        target: 0,
        url: Location::of(false, &authority, "/", None).unwrap(),
    };
    Fetch::get(&home, home.url.join(path).unwrap())
}

async fn text(forwarder: Rc<Forwarder>, fetch: Fetch) -> String {
    match forwarder.fetch_shared(fetch, Some(Priority::High)).await {
        Ok(Fetched::Whole(response)) => String::from_utf8(response.body.to_vec()).unwrap(),
        Ok(Fetched::Streaming { body, .. }) => format!("alone {}", read_all(body).await.unwrap()),
        Err(failure) => panic!("{failure}"),
    }
}

#[tokio::test]
async fn equal_fetches_are_one_also_on_other_threads() {
    local(async {
        let herd = Herd::new().await;
        let core_here = herd.core();
        let leader = spawn_local(text(core_here.clone(), herd.fetch("/n?id=A")));
        let (mut stream, path) = herd.asked().await;
        assert_eq!(path, "/n?id=A");
        let follower = spawn_local(text(core_here.clone(), herd.fetch("/n?id=A")));
        let (common, route) = (Arc::clone(&herd.common), Arc::clone(&herd.route));
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            LocalSet::new().block_on(&runtime, text(core(&common), fetch(&route, "/n?id=A")))
        });
        herd.until_waiting(3).await;
        stream.write_all(WHOLE.as_bytes()).await.unwrap();
        assert_eq!(leader.await.unwrap(), "same");
        assert_eq!(follower.await.unwrap(), "same");
        assert_eq!(elsewhere.join().unwrap(), "same");
        assert_eq!(herd.common.shares.len(), 0);

        // Nothing is kept: the next one asks again.
        let again = spawn_local(text(herd.core(), herd.fetch("/n?id=A")));
        let (mut stream, _) = herd.asked().await;
        stream.write_all(WHOLE.as_bytes()).await.unwrap();
        assert_eq!(again.await.unwrap(), "same");
    })
    .await;
}

#[tokio::test]
async fn what_differs_in_anything_is_asked_for_itself() {
    local(async {
        let herd = Herd::new().await;
        let with_last = |last: &[(&str, &str)]| Fetch {
            last: last
                .iter()
                .map(|(channel, id)| ((*channel).to_owned(), (*id).to_owned()))
                .collect(),
            ..herd.fetch("/n?id=A")
        };
        let base = with_last(&[("a", "1"), ("b", "2")]);
        let reordered = with_last(&[("b", "2"), ("a", "1"), ("a", "1")]);
        let mut posted = base.clone();
        posted.method = http::Method::POST;
        let mut other_route = base.clone();
        other_route.home.route = Arc::new((*herd.route).clone());
        let mut query = base.clone();
        query.url = query.url.join("/n?id=B").unwrap();
        let fetches = [
            base,
            reordered,
            with_last(&[("a", "1"), ("b", "3")]),
            with_last(&[("a", "1")]),
            query,
            posted,
            other_route,
        ];
        let core = herd.core();
        for fetch in fetches.clone() {
            spawn_local(text(core.clone(), fetch));
        }
        herd.until_waiting(fetches.len()).await;
        assert_eq!(herd.common.shares.len(), fetches.len() - 1);
        // Not through the route, and so without its backend: another way is another answer.
        let mut elsewhere = fetches[0].clone();
        elsewhere.home.url = elsewhere.home.url.join("http://other.test/").unwrap();
        spawn_local(text(core.clone(), elsewhere));
        herd.until_waiting(fetches.len() + 1).await;
        assert_eq!(herd.common.shares.len(), fetches.len());
        // What has headers or a body of its own is not compared at all.
        let mut own = fetches[0].clone();
        own.body = "x".into();
        let mine = spawn_local(text(core.clone(), own));
        for _ in 0..=fetches.len() {
            let (mut stream, _) = herd.asked().await;
            stream.write_all(WHOLE.as_bytes()).await.unwrap();
        }
        assert_eq!(mine.await.unwrap(), "same");
    })
    .await;
}

#[tokio::test]
async fn who_began_may_leave_and_the_last_one_ends_it() {
    local(async {
        let herd = Herd::new().await;
        let core = herd.core();
        let leader = spawn_local(text(core.clone(), herd.fetch("/")));
        let (mut stream, _) = herd.asked().await;
        let follower = spawn_local(text(core.clone(), herd.fetch("/")));
        herd.until_waiting(2).await;
        leader.abort();
        herd.until_waiting(1).await;
        stream.write_all(WHOLE.as_bytes()).await.unwrap();
        assert_eq!(follower.await.unwrap(), "same");

        let alone = spawn_local(text(herd.core(), herd.fetch("/")));
        let (mut stream, _) = herd.asked().await;
        alone.abort();
        until_closed(&mut stream).await;
        while herd.common.shares.len() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_has_no_length_is_not_shared() {
    local(async {
        let herd = Herd::new().await;
        let core = herd.core();
        let leader = spawn_local(text(core.clone(), herd.fetch("/")));
        let (mut first, _) = herd.asked().await;
        let follower = spawn_local(text(core.clone(), herd.fetch("/")));
        herd.until_waiting(2).await;
        first.write_all(CHUNKED.as_bytes()).await.unwrap();
        assert_eq!(leader.await.unwrap(), "alone same");
        drop(first);
        let (mut second, _) = herd.asked().await;
        second.write_all(WHOLE.as_bytes()).await.unwrap();
        assert_eq!(follower.await.unwrap(), "same");
    })
    .await;
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_not_shared() {
    local(async {
        let herd = Herd::new().await;
        for (length, expected) in [(grip::BODY_LIMIT, 0), (grip::BODY_LIMIT + 1, 6)] {
            let one = spawn_local(text(herd.core(), herd.fetch("/")));
            let (mut stream, _) = herd.asked().await;
            let body = "x".repeat(length);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(one.await.unwrap().len(), length + expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_for_all_who_waited() {
    local(async {
        let herd = Herd::new().await;
        let core = herd.core();
        let (one, other) = (core.clone(), core.clone());
        let (first, second) = (herd.fetch("/"), herd.fetch("/"));
        let leader = spawn_local(async move { one.fetch_shared(first, None).await });
        let (stream, _) = herd.asked().await;
        let follower = spawn_local(async move { other.fetch_shared(second, None).await });
        herd.until_waiting(2).await;
        drop(stream);
        let failures = (leader.await.unwrap(), follower.await.unwrap());
        assert!(Arc::ptr_eq(
            &failures.0.unwrap_err(),
            &failures.1.unwrap_err()
        ));
    })
    .await;
}

#[tokio::test]
async fn a_shared_fetch_takes_from_the_budget_once() {
    local(async {
        let herd = Herd::at_a_time(1).await;
        let core = herd.core();
        let home = herd.fetch("/").home;
        let permit = core.budget().enter(&home, Priority::High).await;
        let tasks = [(); 3].map(|()| spawn_local(text(core.clone(), herd.fetch("/"))));
        herd.until_waiting(3).await;
        let early = tokio::time::timeout(Duration::ZERO, herd.listener.accept()).await;
        assert!(early.is_err(), "asked without leave");
        drop(permit);
        let (mut stream, _) = herd.asked().await;
        stream.write_all(WHOLE.as_bytes()).await.unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap(), "same");
        }
    })
    .await;
}
