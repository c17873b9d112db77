//! Counts what a benchmark allocates, beside the time that it takes.

use std::hint::black_box;

use alloc_tracker::{Allocator, Session};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use tikv_jemallocator::Jemalloc;

/// The gateway's, counted.
#[global_allocator]
static ALLOCATOR: Allocator<Jemalloc> = Allocator::new(Jemalloc);

/// The benchmarks of one run, and what they have allocated; printed when it is dropped.
pub(crate) struct Benchmarks {
    criterion: Criterion,
    session: Session,
}

impl Benchmarks {
    pub(crate) fn new(criterion: Criterion) -> Self {
        Self { criterion, session: Session::new().no_file() }
    }

    pub(crate) fn group(&mut self, name: &'static str) -> Group<'_> {
        Group { name, group: self.criterion.benchmark_group(name), session: &self.session }
    }

    /// Ends the timings. The counts follow when the rest is dropped.
    pub(crate) fn finish(self) {
        self.criterion.final_summary();
    }
}

/// The benchmarks of one kind.
pub(crate) struct Group<'a> {
    name: &'static str,
    group: BenchmarkGroup<'a, WallTime>,
    session: &'a Session,
}

impl Group<'_> {
    /// How many bytes one call of the next benchmarks works on.
    pub(crate) fn bytes(&mut self, count: usize) {
        self.group.throughput(Throughput::Bytes(u64::try_from(count).unwrap()));
    }

    /// Times `run`, and counts what one call of it allocates.
    pub(crate) fn bench<T>(&mut self, name: &str, mut run: impl FnMut() -> T) {
        let operation = self.session.operation(format!("{}/{name}", self.name));
        self.group.bench_function(name, |bencher| {
            // What is made only once, by the first call, is not the call's.
            black_box(run());
            {
                let _counting = operation.measure_thread().iterations(1);
                black_box(run());
            }
            bencher.iter(&mut run);
        });
    }

    /// Like [`Self::bench`], and fails if a call allocates anything.
    pub(crate) fn bench_without_allocation<T>(&mut self, name: &str, run: impl FnMut() -> T) {
        self.bench(name, run);
        let name = format!("{}/{name}", self.name);
        let report = self.session.to_report();
        // A filter on the command line may have left it out.
        let found =
            report.operations().find(|(other, operation)| *other == name && operation.total_iterations() > 0);
        if let Some((_, operation)) = found {
            assert_eq!(operation.total_allocations_count(), 0, "{name} must allocate nothing");
        }
    }
}
