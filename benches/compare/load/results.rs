//! The protocol with the driver, and the numbers.

use std::{future::Future, time::Duration};

use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, timeout_at},
};

/// How long after the end of a measurement a socket may still wait for its last answer.
const GRACE: Duration = Duration::from_secs(4);

/// Says that everything is prepared, and waits for the word to begin.
pub(crate) async fn ready() {
    print("ready");
    line().await;
}

/// Prints the results, and waits until they and the open sockets are no longer needed.
pub(crate) async fn finish(results: &Value) {
    while again(results).await {}
}

/// Prints the results, and waits for the word to do it once more, or for the end.
pub(crate) async fn again(results: &Value) -> bool {
    print(&results.to_string());
    line().await > 0
}

async fn line() -> usize {
    spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap()
}

#[expect(clippy::print_stdout, reason = "the load's one door: results are its output")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

/// What the sockets of one measurement did, together.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| why.into());
    }

    /// Counts one turn of a socket that began at `start`.
    pub(crate) fn note(&mut self, start: Instant, turn: Result<(), impl Into<String>>) {
        match turn {
            Ok(()) => {
                self.count += 1;
                self.latencies.push(start.elapsed());
            }
            Err(why) => self.fail(why),
        }
    }

    /// Whether a socket has another turn: there is time left, and none of its turns has failed.
    pub(crate) fn goes_on_until(&self, end: Instant) -> bool {
        self.errors == 0 && Instant::now() < end
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Waits for the work of every socket; one that is stuck is an error.
    pub(crate) async fn gather<T: Send + 'static>(
        work: impl IntoIterator<Item = impl Future<Output = (Self, T)> + Send + 'static>,
        end: Instant,
    ) -> (Self, Vec<T>) {
        let mut tasks = JoinSet::new();
        for task in work {
            tasks.spawn(timeout_at(end + GRACE, task));
        }
        let mut all = Self::default();
        let mut kept = Vec::new();
        while let Some(task) = tasks.join_next().await {
            match task.unwrap() {
                Ok((tally, thing)) => {
                    all.add(tally);
                    kept.push(thing);
                }
                Err(_) => all.fail("a socket got no answer"),
            }
        }
        (all, kept)
    }

    pub(crate) fn json(mut self, took: Duration) -> Value {
        self.latencies.sort_unstable();
        let at = |thousandths: usize| {
            let position = self.latencies.len() * thousandths / 1000;
            self.latencies.get(position).map(|latency| latency.as_secs_f64() * 1000.0)
        };
        json!({
            "count": self.count,
            "bytes": self.bytes,
            "seconds": took.as_secs_f64(),
            "p50_ms": at(500),
            "p99_ms": at(990),
            "errors": self.errors,
            "first_error": self.first_error,
        })
    }
}
