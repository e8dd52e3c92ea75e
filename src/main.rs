//! The binary: hands over to the command line of the library.

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};

/// Parsing and planning make millions of small things; this takes a quarter off both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many milliseconds freed memory goes back to the system. The bindings have no name for it; it stands before this one in
/// `mimalloc.h`, whose order is kept.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

fn main() -> std::process::ExitCode {
    keep_memory();
    std::process::ExitCode::from(alluvium::cli::main())
}

/// What is freed stays with the process, for the next batch of rows: giving it back and taking it again is a sixth of writing a large
/// table. `MIMALLOC_PURGE_DELAY` says otherwise.
#[expect(unsafe_code, reason = "the allocator's settings are behind functions of C")]
fn keep_memory() {
    // SAFETY: sets a number in a table, while there is no other thread.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) };
}
