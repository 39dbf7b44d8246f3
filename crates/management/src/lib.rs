//! The management API: one folder a resource, one file an operation.
