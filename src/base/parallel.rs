//! The same work for many things, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The stack of every thread that may plan or run a query, in bytes; what is not used of it takes no memory. Long chains
/// of operators are deep trees, and `sql` refuses those that are deeper than this holds.
pub const STACK: usize = 256 * 1024 * 1024;
/// Things that a thread takes at a time.
const PORTION: usize = 8;

/// What `work` makes of each item, in their order. What it does must not depend on the order in which it is called.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len().div_ceil(PORTION));
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done: Vec<(usize, R)> = Vec::with_capacity(items.len() / threads + PORTION);
        loop {
            let start = next.fetch_add(PORTION, Ordering::Relaxed);
            let Some(portion) = items.get(start..items.len().min(start + PORTION)).filter(|portion| !portion.is_empty()) else { return done };
            done.extend(portion.iter().enumerate().map(|(at, item)| (start + at, work(item))));
        }
    };
    let done: Vec<(usize, R)> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).filter_map(|_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run).ok()).collect();
        let mut done = run();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    // Each is moved to its place; sorting would move it many times.
    let mut places: Vec<Option<R>> = std::iter::repeat_with(|| None).take(items.len()).collect();
    for (at, result) in done {
        if let Some(place) = places.get_mut(at) {
            *place = Some(result);
        }
    }
    places.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        for count in [0, 1, 7, 100, 1001] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(in_parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
