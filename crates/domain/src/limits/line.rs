//! Limit lines as an administrator writes them, in a profile, a key or a group.

use serde::{Deserialize, Serialize};

use crate::ids::{BudgetId, RateLimitId};
use crate::money::Usd;

/// How long a window lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ResetDuration {
    /// A minute. Rate limits only; never aligned.
    #[serde(rename = "1m")]
    Minute,
    /// An hour. Never aligned.
    #[serde(rename = "1h")]
    Hour,
    /// A day: 86,400 s, or a civil day when aligned.
    #[serde(rename = "1d")]
    Day,
    /// Seven days, or Monday to Sunday when aligned.
    #[serde(rename = "1w")]
    Week,
    /// A calendar month.
    #[serde(rename = "1M")]
    Month,
    /// Three calendar months. Budgets only.
    #[serde(rename = "1Q")]
    Quarter,
    /// A calendar year.
    #[serde(rename = "1Y")]
    Year,
}

impl ResetDuration {
    /// Every duration, shortest first.
    pub const ALL: [Self; 7] = [
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::Year,
    ];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Day => "1d",
            Self::Week => "1w",
            Self::Month => "1M",
            Self::Quarter => "1Q",
            Self::Year => "1Y",
        }
    }

    /// A stable small number for the journal and the database.
    pub const fn code(self) -> u8 {
        match self {
            Self::Minute => 1,
            Self::Hour => 2,
            Self::Day => 3,
            Self::Week => 4,
            Self::Month => 5,
            Self::Quarter => 6,
            Self::Year => 7,
        }
    }

    /// The duration with this [`Self::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|duration| duration.code() == code)
    }

    /// The duration that the API writes as `text`. Case matters: `1m` is a minute, `1M` a month.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|duration| duration.as_str() == text)
    }
}

/// A budget: money per window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// Stable across edits; usage follows it.
    pub id: BudgetId,
    /// The limit, at least zero. Zero refuses everything, also what costs nothing.
    pub max_limit: Usd,
    /// How long a window lasts.
    pub reset_duration: ResetDuration,
    /// 1 to 12; only with [`ResetDuration::Quarter`]. Absent means January.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarter_start_month: Option<u8>,
}

/// Limits on tokens, requests and parallel requests. Each is optional, at least one is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitLine {
    /// Stable across edits; usage follows it.
    pub id: RateLimitId,
    /// Tokens (input and output) per window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<(u64, ResetDuration)>,
    /// Requests per window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<(u64, ResetDuration)>,
    /// Requests running at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_requests: Option<u64>,
}

/// The limit lines at one place: a profile, a provider inside it, a key, a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitSet {
    /// All must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetLine>,
    /// At most one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitLine>,
}

impl LimitSet {
    /// No limit at all.
    pub const fn is_empty(&self) -> bool {
        self.budgets.is_empty() && self.rate_limit.is_none()
    }
}
