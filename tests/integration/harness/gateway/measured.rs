//! What a running gateway holds, as the system sees it.

use std::fs;

use super::{Gateway, tls};
use crate::harness::crowd::Entrance;

impl Gateway {
    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Where tasks connect, with TLS where it is served.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance::new(self.address, self.setup.roots.as_deref().map(tls::trusting))
    }
}
