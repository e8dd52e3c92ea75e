//! The same work for many things, on all cores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, mpsc};
use std::thread;

/// The stack of every thread that may plan or run a query, in bytes; what is not used of it takes no memory. Long chains
/// of operators are deep trees, and `sql` refuses those that are deeper than this holds.
pub const STACK: usize = 256 * 1024 * 1024;
/// Things that a thread takes at a time.
const PORTION: usize = 8;

/// What the process may use; asked for once, as the answer stands in several files.
fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// Takes something large apart on a thread of its own, so that a command whose work is done need not wait for it. What is
/// left when the process ends goes with it.
pub fn drop_aside(large: impl Send + 'static) {
    // Where there is no thread to be had the closure is dropped here, and with it what it holds.
    let _ = thread::Builder::new().spawn(move || drop(large));
}

/// What `work` makes of each item, in their order. What it does must not depend on the order in which it is called.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = cores().min(items.len().div_ceil(PORTION));
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

/// Makes something of each item on all cores and hands it to `take` in the order of the items, while others are still
/// made. What stands ready is kept until what comes before it is.
///
/// # Errors
/// What `take` fails with; what is not made by then is left.
pub fn in_order<T: Sync, R: Send, E>(items: &[T], make: impl Fn(&T) -> R + Sync, mut take: impl FnMut(R) -> Result<(), E>) -> Result<(), E> {
    let threads = cores().min(items.len());
    if threads < 2 {
        return items.iter().try_for_each(|item| take(make(item)));
    }
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::sync_channel(2 * threads);
    let run = |send: mpsc::SyncSender<(usize, R)>| {
        let at = || next.fetch_add(1, Ordering::Relaxed);
        // Nobody receives any more where taking failed.
        std::iter::repeat_with(at).map_while(|at| Some((at, items.get(at)?))).all(|(at, item)| send.send((at, make(item))).is_ok());
    };
    thread::scope(|scope| {
        let maker = |send| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || run(send)).ok();
        let makers: Vec<_> = (0..threads).filter_map(|_| maker(send.clone())).collect();
        if makers.is_empty() {
            return items.iter().try_for_each(|item| take(make(item)));
        }
        drop(send);
        let (mut ready, mut wanted) = (BTreeMap::new(), 0);
        let taken = receive.into_iter().try_for_each(|(at, made)| {
            ready.insert(at, made);
            while let Some(made) = ready.remove(&wanted) {
                wanted += 1;
                take(made)?;
            }
            Ok(())
        });
        for maker in makers {
            if let Err(panic) = maker.join() {
                std::panic::resume_unwind(panic);
            }
        }
        taken
    })
}

/// Does some work that hands things over, to be looked at on a thread of their own while it goes on. Where there is no such
/// thread nobody looks at them.
pub fn beside<T: Send, R>(look: impl Fn(T) + Send, work: impl FnOnce(&dyn Fn(T)) -> R) -> R {
    thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        let _ = thread::Builder::new().spawn_scoped(scope, move || receive.into_iter().for_each(look));
        // Nobody receives where there is no thread.
        work(&|thing| _ = send.send(thing))
    })
}

/// What each of a few large pieces of work yields, side by side.
pub fn side_by_side<R: Send>(work: &[&(dyn Fn() -> R + Sync)]) -> Vec<R> {
    let mut made = Vec::with_capacity(work.len());
    let done: Result<(), std::convert::Infallible> = in_order(
        work,
        |work| work(),
        |one| {
            made.push(one);
            Ok(())
        },
    );
    match done {
        Ok(()) => made,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_taken_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        let mut taken = Vec::new();
        let slow = |item: &usize| {
            if item.is_multiple_of(100) {
                thread::sleep(std::time::Duration::from_millis(2));
            }
            item * 2
        };
        let done: Result<(), ()> = in_order(&items, slow, |made| {
            taken.push(made);
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(taken, items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<usize> = (0..100_000).collect();
        assert_eq!(in_order(&items, |item| *item, |made| if made == 500 { Err(made) } else { Ok(()) }), Err(500));
    }

    #[test]
    #[should_panic(expected = "at 7")]
    fn a_panic_is_passed_on() {
        let items: Vec<usize> = (0..100).collect();
        let done: Result<(), ()> = in_order(&items, |item| assert!(*item != 7, "at {item}"), |()| Ok(()));
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        for count in [0, 1, 7, 100, 1001] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(in_parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
