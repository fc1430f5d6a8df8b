//! How many connections are held at once, in all and by one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of all listeners together.
#[derive(Clone, Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    /// Only addresses that hold a place: never more entries than places.
    by_address: Counts,
}

type Counts = Arc<Mutex<HashMap<Bucket, usize>>>;

/// Addresses that are one client: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer gets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Bucket {
    V4(Ipv4Addr),
    V6(u64),
}

impl Bucket {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Places {
    /// So many places.
    pub fn new(connections_max: usize) -> Self {
        let all = Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS));
        Self { all: Arc::new(all), by_address: Arc::default() }
    }

    /// Waits for a place. Further connections stay in the system's backlog meanwhile.
    pub async fn wait(&self) -> Place {
        let permit = self.all.clone().acquire_owned().await.expect("the semaphore is never closed");
        Place { _permit: permit, by_address: None }
    }

    /// A place if one is free now.
    pub fn at_once(&self) -> Option<Place> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        Some(Place { _permit: permit, by_address: None })
    }

    /// Counts the place for this address; `false` when the address holds `most` already (0 = any number).
    pub fn count(&self, place: &mut Place, address: IpAddr, most: usize) -> bool {
        if most == 0 {
            return true;
        }
        let bucket = Bucket::of(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(bucket).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        drop(counts);
        place.by_address = Some((self.by_address.clone(), bucket));
        true
    }
}

/// The right to hold one connection, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    by_address: Option<(Counts, Bucket)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((counts, bucket)) = self.by_address.take() else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&bucket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_holds_so_many_and_others_are_not_in_its_way() {
        let places = Places::new(100);
        let mut held = Vec::new();
        let mut take = async |address: &str| {
            let mut place = places.wait().await;
            let counted = places.count(&mut place, address.parse().unwrap(), 2);
            held.push(place);
            counted
        };
        assert!(take("10.0.0.1").await && take("::ffff:10.0.0.1").await && !take("10.0.0.1").await);
        assert!(take("10.0.0.2").await);
        assert!(take("2001:db8::1").await && take("2001:db8:0:0:ffff::9").await && !take("2001:db8::2").await);
        assert!(take("2001:db8:0:1::1").await);
        drop(held);
        assert!(places.by_address.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), 100);
    }
}
