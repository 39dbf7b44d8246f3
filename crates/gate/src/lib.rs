//! The governance path that all traffic shares: authenticate, decide, reserve, settle.
