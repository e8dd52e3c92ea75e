//! The binary: hands over to the command line of the library.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(alluvium::cli::main())
}
