//! What a running gateway holds, as the system sees it.

use std::{fs, thread};

use super::{Gateway, tls};
use crate::harness::{crowd::Entrance, eventually};

impl Gateway {
    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// How many ends of pipes it has open.
    pub(crate) fn pipes(&self) -> usize {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let leads = descriptors.filter_map(|each| fs::read_link(each.unwrap().path()).ok());
        leads.filter(|place| place.to_string_lossy().starts_with("pipe:")).count()
    }

    /// Waits until it has given back all but `at_first` descriptors, and what each worker keeps: the two
    /// ends of the pipe through which long frames pass.
    pub(crate) fn gives_descriptors_back(&self, at_first: usize) {
        let pipes = 2 * thread::available_parallelism().map_or(1, usize::from);
        eventually("descriptors are given back", || self.descriptors() <= at_first + pipes);
    }

    /// Where tasks connect, with TLS where it is served.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance::new(self.address, self.setup.roots.as_deref().map(tls::trusting))
    }
}
