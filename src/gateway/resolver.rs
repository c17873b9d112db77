//! The addresses behind the agent server's name, and which of them to try.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::config::Authority;

/// How long a resolved name is used.
const RESOLVED_FOR: Duration = Duration::from_secs(10);

/// Resolves one name at most every ten seconds, once for all who ask meanwhile; when that fails, what
/// was found last is kept.
///
/// A name such as `localhost` may have addresses on which nobody listens, so one is used until it
/// fails, and then the next.
pub(super) struct Resolver {
    authority: Authority,
    /// What is no name, and never looked up.
    fixed: Option<SocketAddr>,
    /// How long a look-up may take.
    patience: Duration,
    known: ArcSwapOption<Known>,
    /// Held by whoever looks the name up.
    turn: Mutex<()>,
}

/// What a look-up found; never empty.
struct Known {
    addresses: Vec<SocketAddr>,
    /// Counts on past the end, and wraps.
    preferred: AtomicUsize,
    looked_up: Instant,
}

impl Known {
    fn new(addresses: Vec<SocketAddr>, before: Option<&Self>) -> Self {
        let used = before.and_then(Self::preferred);
        let preferred = addresses.iter().position(|address| Some(*address) == used).unwrap_or(0);
        Self { addresses, preferred: AtomicUsize::new(preferred), looked_up: Instant::now() }
    }

    fn is_fresh(&self) -> bool {
        self.looked_up.elapsed() < RESOLVED_FOR
    }

    fn preferred(&self) -> Option<SocketAddr> {
        let at = self.preferred.load(Ordering::Relaxed).checked_rem(self.addresses.len())?;
        self.addresses.get(at).copied()
    }
}

impl Resolver {
    /// Of a name, or of an address.
    pub(super) fn new(authority: Authority, patience: Duration) -> Self {
        let fixed = authority.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, authority.port));
        Self { authority, fixed, patience, known: ArcSwapOption::empty(), turn: Mutex::new(()) }
    }

    /// The address to try.
    pub(super) async fn address(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.fixed {
            return Ok(address);
        }
        let found = match self.known.load_full() {
            Some(known) if known.is_fresh() => Some(known),
            // Others do not wait for whoever looks it up, as long as there is something to try.
            Some(known) => match self.turn.try_lock() {
                Ok(_turn) => self.look_up(Some(known)).await?,
                Err(_) => Some(known),
            },
            None => {
                let _turn = timeout(self.patience, self.turn.lock()).await?;
                match self.known.load_full() {
                    Some(known) => Some(known),
                    None => self.look_up(None).await?,
                }
            }
        };
        found.and_then(|known| known.preferred()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn look_up(&self, before: Option<Arc<Known>>) -> io::Result<Option<Arc<Known>>> {
        let Authority { host, port } = &self.authority;
        let look_up = timeout(self.patience, tokio::net::lookup_host((host.as_str(), *port)));
        let found = look_up.await.map_err(io::Error::from).flatten().map(Iterator::collect::<Vec<_>>);
        let addresses = match (found, &before) {
            (Ok(addresses), _) if !addresses.is_empty() => addresses,
            (Ok(_) | Err(_), Some(before)) => before.addresses.clone(),
            (Ok(_), None) => return Ok(None),
            (Err(error), None) => return Err(error),
        };
        let known = Arc::new(Known::new(addresses, before.as_deref()));
        self.known.store(Some(Arc::clone(&known)));
        Ok(Some(known))
    }

    /// Notes that an address could not be connected to. Returns whether there is another one.
    pub(super) fn failed(&self, address: SocketAddr) -> bool {
        let Some(known) = self.known.load_full() else { return false };
        if known.preferred() == Some(address) {
            known.preferred.fetch_add(1, Ordering::Relaxed);
        }
        known.preferred() != Some(address)
    }

    /// How many addresses there are to try.
    pub(super) fn count(&self) -> usize {
        self.known.load().as_deref().map_or(1, |known| known.addresses.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(host: &str) -> Resolver {
        Resolver::new(Authority { host: host.to_owned(), port: 1 }, Duration::from_secs(5))
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let resolver = resolver("::1");
        let address = resolver.address().await.unwrap();
        assert_eq!(address.to_string(), "[::1]:1");
        assert!(!resolver.failed(address));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_looked_up_any_more_keeps_its_address() {
        let resolver = resolver("no-such-host.invalid");
        assert!(resolver.address().await.is_err());
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let before = Arc::new(Known::new(vec![address], None));
        let after = resolver.look_up(Some(before)).await.unwrap().unwrap();
        assert!(after.is_fresh());
        assert_eq!(resolver.address().await.unwrap(), address);
    }

    #[tokio::test]
    async fn an_address_that_failed_makes_room_for_the_next() {
        let resolver = resolver("agent.example");
        let addresses: Vec<SocketAddr> = ["[::1]:1", "127.0.0.1:1"].map(|text| text.parse().unwrap()).into();
        resolver.known.store(Some(Arc::new(Known::new(addresses.clone(), None))));
        assert_eq!(resolver.address().await.unwrap(), addresses[0]);
        assert!(resolver.failed(addresses[0]));
        assert!(resolver.failed(addresses[0]), "told twice, it is left once");
        assert_eq!(resolver.address().await.unwrap(), addresses[1]);
        let again = Known::new(addresses.clone(), resolver.known.load().as_deref());
        assert_eq!(again.preferred(), Some(addresses[1]), "what works outlives a look-up");
        assert!(resolver.failed(addresses[1]));
        assert_eq!(resolver.address().await.unwrap(), addresses[0]);
    }
}
