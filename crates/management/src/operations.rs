//! Operations as they are gathered: with how each is mounted, and how it is described.

use axum::Router;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::state::ManagementState;

/// Makes the operations of one path, with their description.
type Make = fn() -> UtoipaMethodRouter<ManagementState>;

/// Operations on a few paths.
///
/// Kept as what makes them: the description of all of them takes some ten megabytes while it is put together, which
/// serving them has no need of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operations(Vec<Make>);

impl Operations {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// And those of one path.
    pub(crate) fn routes(mut self, make: Make) -> Self {
        self.0.push(make);
        self
    }

    /// And those of `others`.
    pub(crate) fn merge(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// To be served. What describes an operation is dropped before the next is made.
    pub(crate) fn router(self) -> Router<ManagementState> {
        self.0.into_iter().fold(Router::new(), |router, make| {
            let (_, paths, methods) = make();
            paths
                .paths
                .keys()
                .fold(router, |router, path| router.route(path, methods.clone()))
        })
    }

    /// To be described.
    pub(crate) fn documented(self) -> OpenApiRouter<ManagementState> {
        self.0
            .into_iter()
            .fold(OpenApiRouter::new(), |router, make| router.routes(make()))
    }
}
