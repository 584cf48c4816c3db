//! Names of targets to addresses, off the runtime, remembered for a short while. Failures are not
//! remembered.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;

use super::Error;

/// Remembers what names resolved to. One per thread.
#[derive(Debug, Default)]
pub struct Resolver {
    known: RefCell<HashMap<String, Known>>,
}

/// When a name was asked for, and what it resolved to.
type Known = (Instant, Rc<[IpAddr]>);

impl Resolver {
    /// All addresses of a host, both families, in the resolver's order.
    ///
    /// # Errors
    /// [`Error::Name`]: the name has none, or nobody could be asked.
    pub async fn addresses(&self, host: &str) -> Result<Rc<[IpAddr]>, Error> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Rc::from([address]));
        }
        if let Some(known) = self.fresh(host) {
            return Ok(known);
        }
        let mut found = tokio::net::lookup_host((host, 0)).await;
        let mut addresses: Vec<IpAddr> = Vec::new();
        let asked = found.iter_mut().flatten().map(|found| found.ip());
        for address in asked.chain(loopback(host)) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let why = found
                .err()
                .map_or_else(|| "no address".into(), |error| error.to_string());
            return Err(Error::Name(format!("{host}: {why}")));
        }
        let addresses: Rc<[IpAddr]> = addresses.into();
        self.remember(host, &addresses);
        Ok(addresses)
    }

    fn fresh(&self, host: &str) -> Option<Rc<[IpAddr]>> {
        let known = self.known.borrow();
        let (at, addresses) = known.get(host)?;
        (at.elapsed() < REMEMBERED).then(|| addresses.clone())
    }

    /// Old entries go, so that names of routes long gone are not kept.
    fn remember(&self, host: &str, addresses: &Rc<[IpAddr]>) {
        let mut known = self.known.borrow_mut();
        known.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        known.insert(host.into(), (Instant::now(), addresses.clone()));
    }
}

/// `localhost` is both loopback addresses, whatever a hosts file says of it (RFC 6761 section
/// 6.3): a development server listens on the one or the other.
fn loopback(host: &str) -> impl Iterator<Item = IpAddr> {
    let both = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let applies = host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost");
    both.into_iter().filter(move |_| applies)
}

/// Long enough to spare a look-up per request, short enough to follow a moved service.
const REMEMBERED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_literals_resolve() {
        let resolver = Resolver::default();
        let local = resolver.addresses("localhost").await.unwrap();
        assert!(local.iter().all(IpAddr::is_loopback));
        assert!(local.iter().any(IpAddr::is_ipv4) && local.iter().any(IpAddr::is_ipv6));
        assert!(resolver.fresh("localhost").is_some());
        assert_eq!(
            *resolver.addresses("::1").await.unwrap(),
            ["::1".parse::<IpAddr>().unwrap()]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_forgotten() {
        let resolver = Resolver::default();
        resolver.remember("a", &Rc::from([IpAddr::from([127, 0, 0, 1])]));
        assert!(resolver.fresh("a").is_some());
        tokio::time::advance(REMEMBERED).await;
        assert!(resolver.fresh("a").is_none());
    }
}
