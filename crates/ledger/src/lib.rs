//! Exact accounting: meters, holds, settlement, and the journal that survives a crash.
