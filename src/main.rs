//! The binary: hands over to the command line of the library.

/// Parsing and planning make millions of small things; this takes a quarter off both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(alluvium::cli::main())
}
