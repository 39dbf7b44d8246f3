//! The pure core: vocabulary, policy, windows, prices. No I/O, no async, no clock.
