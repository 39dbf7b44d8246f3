use std::collections::HashSet;

use tollgate_domain::Usd;
use tollgate_domain::limits::ResetDuration;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::body::{FromJson, Node, Object, Problems, Within, body};

body! {
    /// A budget: an amount of money per window. Several lines may have the same duration; all must pass.
    struct BudgetInput ignoring [
        "scope", "current_usage", "last_reset", "reserved", "remaining", "resets_at", "effective_max_limit",
        "override", "usd_remaining",
    ] {
        /// The id of a line that exists: the line keeps its id and usage. An id that no line has is ignored.
        id: optional String,
        /// US dollars, at least 0, at most nine decimals. 0 refuses everything.
        max_limit: required Usd,
        /// How long a window lasts.
        reset_duration: required BudgetDuration,
        /// Where quarters start; only with `1Q`.
        reset_config: optional ResetConfigInput,
    }
    check |budget| {
        let has_start = matches!(&reset_config, Some(Some(config)) if config.quarter_start_month.is_some());
        if has_start && reset_duration.is_some_and(|duration| duration.0 != ResetDuration::Quarter) {
            budget.inconsistent("reset_config", "`reset_config` goes only with the `reset_duration` `1Q`");
        }
    }
    check_list refuse_same_ids
}

body! {
    /// Where quarters start.
    struct ResetConfigInput {
        /// The month, 1 to 12, in which the fiscal year starts.
        quarter_start_month: optional Within<1, 12>,
    }
}

body! {
    /// Limits on tokens, requests and parallel requests. At least one must be set; send null to have none.
    struct RateLimitInput ignoring [
        "id", "token_current_usage", "request_current_usage", "token_last_reset", "request_last_reset",
        "token_resets_at", "request_resets_at", "current_parallel_requests",
    ] {
        /// Tokens, input and output, per window.
        token_max_limit: optional u64,
        /// The window of `token_max_limit`.
        token_reset_duration: optional RateDuration,
        /// Requests per window.
        request_max_limit: optional u64,
        /// The window of `request_max_limit`.
        request_reset_duration: optional RateDuration,
        /// Requests that run at the same time.
        max_parallel_requests: optional u64,
    }
    check |limit| {
        check_rate_limit(limit);
    }
}

macro_rules! durations {
    ($($(#[doc = $doc:literal])* $name:ident [$($duration:ident),+];)+) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) ResetDuration);

        impl $name {
            const ALLOWED: &'static [ResetDuration] = &[$(ResetDuration::$duration),+];
        }

        impl FromJson for $name {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let text = node.text(problems, "a reset duration")?;
                let found = ResetDuration::parse(&text)
                    .filter(|duration| Self::ALLOWED.contains(duration));
                if found.is_none() {
                    let allowed: Vec<_> = Self::ALLOWED.iter().map(|one| one.as_str()).collect();
                    let shown: String = text.chars().take(40).collect();
                    problems.invalid(
                        node.pointer.as_str(),
                        format!("`{shown}` is not one of `{}`", allowed.join("`, `")),
                    );
                }
                found.map(Self)
            }

            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(Self::ALLOWED.iter().map(|one| one.as_str())))
                    .into()
            }
        }
    )+};
}

durations! {
    /// A duration that a budget may have.
    BudgetDuration [Hour, Day, Week, Month, Quarter, Year];
    /// A duration that a rate limit may have.
    RateDuration [Minute, Hour, Day, Week, Month, Year];
}

impl BudgetInput {
    /// The month in which quarters start, when the line says so.
    pub(crate) fn quarter_start_month(&self) -> Option<u8> {
        let config = self.reset_config.as_ref()?;
        let month = config.quarter_start_month?;
        u8::try_from(month.0).ok()
    }
}

fn refuse_same_ids(lines: &[(usize, BudgetInput)], pointer: &str, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, line) in lines {
        if line.id.as_ref().is_some_and(|id| !seen.insert(id)) {
            problems.inconsistent(
                format!("{pointer}/{index}/id"),
                "two lines name the same `id`",
            );
        }
    }
}

/// What the fields of a rate limit say about each other.
fn check_rate_limit(limit: &mut Object<'_, '_>) {
    for kind in ["token", "request"] {
        let (max, duration) = (
            format!("{kind}_max_limit"),
            format!("{kind}_reset_duration"),
        );
        let (has, lacks) = match (limit.has(&max), limit.has(&duration)) {
            (true, false) => (max, duration),
            (false, true) => (duration, max),
            _ => continue,
        };
        let message = format!("`{has}` needs `{lacks}`; send both or neither");
        limit.inconsistent(&lacks, message);
    }
    let sets_nothing = ![
        "token_max_limit",
        "token_reset_duration",
        "request_max_limit",
        "request_reset_duration",
        "max_parallel_requests",
    ]
    .into_iter()
    .any(|field| limit.has(field));
    if sets_nothing {
        limit.inconsistent(
            "",
            "this sets no limit; send null to have none, or at least one of `token_max_limit`, `request_max_limit`, `max_parallel_requests`",
        );
    }
}
