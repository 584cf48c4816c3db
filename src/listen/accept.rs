//! The accept loop: takes connections from one listener and hands them on, for as long as the
//! process serves. Nothing that `accept` may answer ends it.

use std::{
    future::{Future, poll_fn},
    io,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, sleep},
};

use crate::socket::{ClientSocket, Listener, Remote};

/// Accepts until `stop`, then empties the listener's queue: whoever is in it has a connection as
/// far as the kernel told, and would lose its request when the listener is closed.
///
/// `places` is how many connections there may be at once, shared by all loops of the process
/// ([`Semaphore::MAX_PERMITS`]: no limit). Each connection is handed to `on` with one place, which
/// it keeps until it ends, however it ends. While no place is free the loop rests and the kernel's
/// backlog holds the newcomers; at most one accepted connection per loop waits for its place.
///
/// When no place is free it warns, too, at most once in ten seconds.
///
/// Errors of a single connection (its client left before it was accepted) are ignored. On others,
/// above all when the process has no file left, it warns, at most once in ten seconds, and tries
/// again after 50 ms, then ever later up to a second: connections that end make room.
pub async fn accept_loop(
    listener: Listener,
    places: Arc<Semaphore>,
    on: impl Fn(ClientSocket, Remote, OwnedSemaphorePermit),
    stop: impl Future<Output = ()>,
) {
    tokio::select! {
        () = run(&listener, &places, &on) => return,
        () = stop => {}
    }
    while let Some((connection, address)) = waiting(&listener).await
        && let Ok(place) = Arc::clone(&places).try_acquire_owned()
    {
        on(connection, address, place);
    }
}

/// Takes a connection that is there already.
async fn waiting(listener: &Listener) -> Option<(ClientSocket, Remote)> {
    // Once more after the runtime has asked the kernel what is new.
    let mut asked = 0;
    while asked < 2 {
        let accepted = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
        match accepted {
            Poll::Ready(Ok(accepted)) => return Some(accepted),
            Poll::Ready(Err(error)) if !is_clients(&error) => return None,
            Poll::Ready(Err(_)) => {}
            Poll::Pending => asked += 1,
        }
        tokio::task::yield_now().await;
    }
    None
}

/// What connections come from: the listener, or in tests a script.
trait Incoming {
    type Connection;
    async fn accept(&self) -> io::Result<(Self::Connection, Remote)>;
}

impl Incoming for Listener {
    type Connection = ClientSocket;

    async fn accept(&self) -> io::Result<(ClientSocket, Remote)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// Ends only when `places` has been closed, which nobody does who wants to go on.
async fn run<I: Incoming>(
    incoming: &I,
    places: &Arc<Semaphore>,
    on: &impl Fn(I::Connection, Remote, OwnedSemaphorePermit),
) {
    let mut trouble = Trouble::default();
    loop {
        // Not kept over `accept`: with few places and many loops, waiting loops would hold them all.
        match places.try_acquire() {
            Ok(free) => drop(free),
            Err(TryAcquireError::Closed) => return,
            Err(TryAcquireError::NoPermits) => {
                trouble.full();
                if places.acquire().await.is_err() {
                    return;
                }
            }
        }
        match incoming.accept().await {
            Ok((connection, address)) => {
                trouble.over();
                let Ok(place) = Arc::clone(places).acquire_owned().await else {
                    return;
                };
                on(connection, address, place);
            }
            Err(error) if is_clients(&error) => {
                tracing::debug!(%error, "a client left before it was accepted");
            }
            Err(error) => sleep(trouble.met(&error)).await,
        }
    }
}

/// Back-off, and when the last warnings were given.
#[derive(Debug, Default)]
struct Trouble {
    pause: Duration,
    warned: Option<Instant>,
    warned_full: Option<Instant>,
}

impl Trouble {
    /// Warns unless that was lately; answers how long to pause.
    fn met(&mut self, error: &io::Error) -> Duration {
        if is_due(&mut self.warned) {
            tracing::warn!(%error, "cannot accept connections; raise the limit of open files, \
                or lower limits.connections");
        }
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.pause
    }

    /// No place is free. Warns unless that was lately.
    fn full(&mut self) {
        if is_due(&mut self.warned_full) {
            tracing::warn!(
                "as many connections as may be: new ones wait until others end; raise \
                 limits.connections, or the limit of open files if that is what bounds it"
            );
        }
    }

    fn over(&mut self) {
        self.pause = Duration::ZERO;
    }
}

/// Is the last warning long ago? Then there is one now.
fn is_due(warned: &mut Option<Instant>) -> bool {
    let is_due = warned.is_none_or(|at| at.elapsed() >= WARN_EVERY);
    if is_due {
        *warned = Some(Instant::now());
    }
    is_due
}

/// Linux gives an accepted connection's own pending network error to `accept` (accept(2)).
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::TimedOut
    )
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const WARN_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Answers these in order, then nothing more.
    struct Script {
        answers: RefCell<Vec<io::Result<u32>>>,
        done: Semaphore,
    }

    impl Script {
        fn new(answers: impl IntoIterator<Item = io::Result<u32>>) -> Self {
            let mut answers: Vec<_> = answers.into_iter().collect();
            answers.reverse();
            Self {
                answers: RefCell::new(answers),
                done: Semaphore::new(0),
            }
        }
    }

    impl Incoming for Script {
        type Connection = u32;

        async fn accept(&self) -> io::Result<(u32, Remote)> {
            let next = self.answers.borrow_mut().pop();
            let Some(next) = next else {
                self.done.add_permits(1);
                return std::future::pending().await;
            };
            next.map(|number| (number, Remote::Unix))
        }
    }

    /// What a loop over the script hands on until the script is at its end.
    async fn accepted(script: &Script, places: usize) -> (Vec<u32>, Arc<Semaphore>) {
        let places = Arc::new(Semaphore::new(places));
        let got = RefCell::new(Vec::new());
        let on = |number, _, _place| got.borrow_mut().push(number);
        tokio::select! {
            () = run(script, &places, &on) => panic!("the loop ended"),
            _ = script.done.acquire() => {}
        }
        (got.into_inner(), places)
    }

    fn no_files() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[tokio::test(start_paused = true)]
    async fn errors_do_not_end_the_loop() {
        let answers = [
            Ok(1),
            Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(2),
            Err(no_files()),
            Err(no_files()),
            Ok(3),
            Err(io::ErrorKind::Other.into()),
            Ok(4),
        ];
        let started = Instant::now();
        let (got, places) = accepted(&Script::new(answers), 8).await;
        assert_eq!(got, [1, 2, 3, 4]);
        assert_eq!(places.available_permits(), 8, "places come back");
        // 50 ms, 100 ms, and 50 ms again after a success. (The clock is tokio's paused one, which
        // counts in milliseconds and may round a wait up.)
        let paused = started.elapsed().as_millis();
        assert!((200..=203).contains(&paused), "{paused}");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_second_and_no_further() {
        let mut trouble = Trouble::default();
        let pauses: Vec<u128> = (0..8)
            .map(|_| trouble.met(&no_files()).as_millis())
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_warns_once_in_ten_seconds() {
        let mut trouble = Trouble::default();
        trouble.met(&no_files());
        let first = trouble.warned;
        tokio::time::advance(Duration::from_secs(9)).await;
        trouble.met(&no_files());
        assert_eq!(trouble.warned, first);
        tokio::time::advance(Duration::from_secs(1)).await;
        trouble.met(&no_files());
        assert_ne!(trouble.warned, first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_is_told_of_once_in_ten_seconds() {
        let mut trouble = Trouble::default();
        trouble.full();
        let first = trouble.warned_full;
        assert!(first.is_some());
        tokio::time::advance(Duration::from_secs(9)).await;
        trouble.full();
        assert_eq!(trouble.warned_full, first);
        tokio::time::advance(Duration::from_secs(1)).await;
        trouble.full();
        assert_ne!(trouble.warned_full, first);
        assert_eq!(trouble.warned, None, "the other warning is not used up");
    }

    #[tokio::test]
    async fn a_full_house_waits_until_a_place_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Arc::new(Semaphore::new(1));
        let house = RefCell::new(Vec::new());
        let count = Cell::new(0);
        let arrived = Semaphore::new(0);
        let on = |socket, _, place| {
            house.borrow_mut().push((socket, place));
            count.set(count.get() + 1);
            arrived.add_permits(1);
        };
        let listener = Listener::Tcp(listener);
        let loops = accept_loop(listener, Arc::clone(&places), on, std::future::pending());
        let story = async {
            let mut first = TcpStream::connect(address).await.unwrap();
            let _second = TcpStream::connect(address).await.unwrap();
            arrived.acquire().await.unwrap().forget();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert_eq!(count.get(), 1);
            house.borrow_mut().clear();
            assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
            arrived.acquire().await.unwrap().forget();
            assert_eq!(count.get(), 2);
            assert_eq!(places.available_permits(), 0);
        };
        tokio::select! {
            () = loops => panic!("the loop ended"),
            () = story => {}
        }
    }
}
