//! The tollgate binary: command line, configuration, wiring, workers, lifecycle.
