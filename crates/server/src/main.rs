//! The tollgate binary; everything is in the library beside it.

use std::process::ExitCode;

// Both the data plane and the journal allocate in short bursts from many threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tollgate_server::main()
}
