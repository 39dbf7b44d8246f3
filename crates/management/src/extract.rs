//! How requests are taken apart. Each extractor refuses with the API's own error.

mod about;
mod json;
mod path;
mod precondition;
mod query;

pub(crate) use about::{About, NamesOthers, named_by};
pub(crate) use json::{Json, OptionalJson, read_bytes};
pub(crate) use path::{Path, VersionNumber};
pub(crate) use precondition::{ETag, IfMatch, etag};
pub(crate) use query::{Page, PartQuery, Query, count, parse_query};
