//! Wire formats of model providers, without I/O: envelopes, splices, usage, event streams, error bodies.
