//! Test support: scripted upstreams, private databases, fixed clocks. Used by tests only.
