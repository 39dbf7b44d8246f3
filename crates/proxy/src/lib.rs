//! The data plane for model traffic.
