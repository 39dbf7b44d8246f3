use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Entries of a list when the caller does not say.
const DEFAULT_LIMIT: u32 = 25;
/// Most entries of one answer.
const MAX_LIMIT: u32 = 100;
/// Furthest start of a page: the largest 32-bit integer of clients.
const MAX_OFFSET: u32 = 2_147_483_647;

/// The query, read strictly: an unknown parameter is refused.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::invalid("", rejection.body_text()).at("/query"))
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

impl Page {
    /// The page that the query asks for.
    ///
    /// # Errors
    /// A limit of 0 or beyond the largest, or an offset that no list reaches.
    pub(crate) fn new(limit: Option<u32>, offset: Option<u32>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > MAX_LIMIT {
            return Err(Problem::invalid(
                "/query/limit",
                format!("`limit` must lie between 1 and {MAX_LIMIT}"),
            ));
        }
        let offset = offset.unwrap_or(0);
        if offset > MAX_OFFSET {
            return Err(Problem::invalid(
                "/query/offset",
                format!("`offset` must lie between 0 and {MAX_OFFSET}"),
            ));
        }
        Ok(Self { limit, offset })
    }

    /// The entries of this page, of a list that is whole in memory.
    pub(crate) fn of<T>(self, all: Vec<T>) -> impl Iterator<Item = T> {
        let (offset, limit) = (usize::try_from(self.offset), usize::try_from(self.limit));
        all.into_iter()
            .skip(offset.unwrap_or(usize::MAX))
            .take(limit.unwrap_or(usize::MAX))
    }
}

/// Which part of a list that is answered whole unless a limit is given.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartQuery {
    /// At most so many, 1 to 100; all unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name or id.
    search: Option<String>,
}

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total_count: u64,
    /// What was asked for, or as many as the list has.
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

impl PartQuery {
    /// The part of `all` that is asked for; `texts` are what an entry is searched in.
    ///
    /// # Errors
    /// As [`Page::new`].
    pub(crate) fn of<T>(
        self,
        mut all: Vec<T>,
        texts: impl Fn(&T) -> Vec<String>,
    ) -> Result<Part<T>, Problem> {
        let page = Page::new(self.limit, self.offset)?;
        let wanted = self.search.unwrap_or_default().trim().to_lowercase();
        all.retain(|entry| {
            let texts = texts(entry);
            texts
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        });
        let total_count = count(&all);
        let limit = self
            .limit
            .unwrap_or_else(|| u32::try_from(total_count).unwrap_or(u32::MAX));
        let page = Page { limit, ..page };
        Ok(Part {
            items: page.of(all).collect(),
            total_count,
            limit,
            offset: page.offset,
        })
    }
}

/// How many entries an answer has.
pub(crate) fn count<T>(entries: &[T]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}

impl From<Page> for tollgate_storage::PageRequest {
    fn from(page: Page) -> Self {
        Self {
            limit: page.limit,
            offset: u64::from(page.offset),
        }
    }
}

/// A parameter that is more than its text.
///
/// # Errors
/// One that is none of its kind.
pub(crate) fn parse_query<T>(text: Option<&str>, name: &str) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.map(str::parse)
        .transpose()
        .map_err(|error: T::Err| Problem::invalid(format!("/query/{name}"), error.to_string()))
}
