use tollgate_domain::Usd;
use tollgate_domain::limits::ResetDuration;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::body::{FromJson, Node, Problems, Within, body};

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

/// What the fields of budget lines say about each other.
pub(crate) fn check_budgets(lines: &[BudgetInput], pointer: &str, problems: &mut Problems) {
    for (index, line) in lines.iter().enumerate() {
        let has_config = line.quarter_start_month().is_some();
        if has_config && line.reset_duration.0 != ResetDuration::Quarter {
            problems.inconsistent(
                format!("{pointer}/{index}/reset_config"),
                "`reset_config` goes only with the `reset_duration` `1Q`",
            );
        }
        let is_named_before = |earlier: &BudgetInput| line.id.is_some() && earlier.id == line.id;
        if lines.iter().take(index).any(is_named_before) {
            problems.inconsistent(
                format!("{pointer}/{index}/id"),
                "two lines name the same `id`",
            );
        }
    }
}

/// What the fields of a rate limit say about each other.
pub(crate) fn check_rate_limit(limit: &RateLimitInput, pointer: &str, problems: &mut Problems) {
    let pairs = [
        ("token", limit.token_max_limit, limit.token_reset_duration),
        (
            "request",
            limit.request_max_limit,
            limit.request_reset_duration,
        ),
    ];
    for (kind, max, duration) in pairs {
        if max.is_some() != duration.is_some() {
            let (has, lacks) = match max {
                Some(_) => ("max_limit", "reset_duration"),
                None => ("reset_duration", "max_limit"),
            };
            problems.inconsistent(
                format!("{pointer}/{kind}_{lacks}"),
                format!("`{kind}_{has}` needs `{kind}_{lacks}`; send both or neither"),
            );
        }
    }
    let sets_nothing = limit.token_max_limit.is_none()
        && limit.request_max_limit.is_none()
        && limit.max_parallel_requests.is_none()
        && limit.token_reset_duration.is_none()
        && limit.request_reset_duration.is_none();
    if sets_nothing {
        problems.inconsistent(
            pointer,
            "this sets no limit; send null to have none, or at least one of `token_max_limit`, `request_max_limit`, `max_parallel_requests`",
        );
    }
}
