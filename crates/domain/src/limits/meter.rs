//! Meters: limit lines as the ledger sees them.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::line::{LimitSet, ResetDuration};
use super::window::WindowSpec;
use crate::ids::{BudgetId, RateLimitId};
use crate::money::Usd;
use crate::time::{Timestamp, Zone};

/// What a meter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeterKind {
    /// Nano-dollars.
    Money,
    /// Tokens, input and output together.
    Tokens,
    /// Requests that were dispatched.
    Requests,
    /// Requests running at once; has no window, and is zero after a restart.
    Parallel,
}

impl MeterKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Money, Self::Tokens, Self::Requests, Self::Parallel];

    /// A stable small number for the journal and the database.
    pub const fn code(self) -> u8 {
        match self {
            Self::Money => 1,
            Self::Tokens => 2,
            Self::Requests => 3,
            Self::Parallel => 4,
        }
    }

    /// The kind with this [`Self::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// As answers and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::Parallel => "parallel_requests",
        }
    }
}

/// Names a meter for good: usage follows it through every edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId {
    /// The id of the budget or rate limit line.
    pub line: Uuid,
    /// Which of the line's counters.
    pub kind: MeterKind,
}

impl fmt::Display for MeterId {
    /// The line's id, as the API writes it (`bud_…`, `rl_…`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MeterKind::Money => BudgetId::from_uuid(self.line).fmt(f),
            MeterKind::Tokens | MeterKind::Requests | MeterKind::Parallel => {
                RateLimitId::from_uuid(self.line).fmt(f)
            }
        }
    }
}

/// What kind of thing a limit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HolderKind {
    /// A holder's copy of an access profile; the limits of its providers are its own, and those of a user are those of the
    /// copies.
    AccessProfile,
    /// A virtual key.
    VirtualKey,
    /// A team.
    Team,
    /// A business unit.
    BusinessUnit,
    /// A customer.
    Customer,
    /// A limit on a model.
    ModelConfig,
    /// A provider.
    Provider,
}

impl HolderKind {
    /// As answers and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessProfile => "access_profile",
            Self::VirtualKey => "virtual_key",
            Self::Team => "team",
            Self::BusinessUnit => "business_unit",
            Self::Customer => "customer",
            Self::ModelConfig => "model_config",
            Self::Provider => "provider",
        }
    }
}

/// Whose limit it is, as a refusal names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The kind of thing.
    pub kind: HolderKind,
    /// Its id, as the API writes it.
    pub id: Arc<str>,
    /// Its name, for people.
    pub name: Arc<str>,
}

/// A temporary or lasting raise of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boost {
    /// Added to the limit, in the meter's unit.
    pub amount: i64,
    /// The first instant at which it no longer counts; `None` = for ever.
    pub until: Option<Timestamp>,
}

/// One limit line, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its name in the ledger.
    pub id: MeterId,
    /// Whose limit it is.
    pub holder: Arc<Holder>,
    /// The line's id, as the API writes it (`bud_…`, `rl_…`).
    pub line_id: Arc<str>,
    /// What part of the holder it covers: `total`, `provider:<name>`, `model:<name>`.
    pub scope: Arc<str>,
    /// The limit in the kind's unit, at least zero.
    pub limit: i64,
    /// An override on top of the limit.
    pub boost: Option<Boost>,
    /// When it counts; `None` only for parallel requests.
    pub window: Option<WindowSpec>,
}

impl Meter {
    /// The limit that holds at `now`, overrides included.
    pub fn effective_limit(&self, now: Timestamp) -> i64 {
        match self.boost {
            Some(boost) if boost.until.is_none_or(|until| now < until) => {
                self.limit.saturating_add(boost.amount)
            }
            _ => self.limit,
        }
    }
}

/// What the meters at one place have in common.
pub struct MeterPlace<'a> {
    /// Whose limits they are.
    pub holder: &'a Arc<Holder>,
    /// See [`Meter::scope`].
    pub scope: &'a str,
    /// Where unaligned windows start: the assignment of a copy, the creation of anything else.
    pub anchor: Timestamp,
    /// The zone whose calendar windows follow, when they do.
    pub aligned_to: Option<&'a Zone>,
}

impl LimitSet {
    /// The meters of these lines: rate limits before budgets, the order in which reasons are given.
    ///
    /// `boost` is asked for each budget's override.
    pub fn meters(
        &self,
        place: &MeterPlace<'_>,
        boost: &dyn Fn(BudgetId) -> Option<Boost>,
    ) -> Vec<Arc<Meter>> {
        let scope: Arc<str> = place.scope.into();
        let mut meters = Vec::new();
        if let Some(rate) = &self.rate_limit {
            let line_id: Arc<str> = rate.id.to_string().into();
            let mut push = |kind, limit: u64, window| {
                meters.push(Arc::new(Meter {
                    id: MeterId {
                        line: rate.id.uuid(),
                        kind,
                    },
                    holder: place.holder.clone(),
                    line_id: line_id.clone(),
                    scope: scope.clone(),
                    limit: i64::try_from(limit).unwrap_or(i64::MAX),
                    boost: None,
                    window,
                }));
            };
            if let Some((limit, duration)) = rate.requests {
                push(
                    MeterKind::Requests,
                    limit,
                    Some(place.window(duration, None)),
                );
            }
            if let Some((limit, duration)) = rate.tokens {
                push(MeterKind::Tokens, limit, Some(place.window(duration, None)));
            }
            if let Some(limit) = rate.parallel_requests {
                push(MeterKind::Parallel, limit, None);
            }
        }
        for budget in &self.budgets {
            meters.push(Arc::new(Meter {
                id: MeterId {
                    line: budget.id.uuid(),
                    kind: MeterKind::Money,
                },
                holder: place.holder.clone(),
                line_id: budget.id.to_string().into(),
                scope: scope.clone(),
                limit: budget.max_limit.nanos(),
                boost: boost(budget.id),
                window: Some(place.window(budget.reset_duration, budget.quarter_start_month)),
            }));
        }
        meters
    }
}

impl<'a> MeterPlace<'a> {
    /// The same place, of which only a part is meant.
    #[must_use]
    pub const fn scoped(&self, scope: &'a str) -> Self {
        Self {
            scope,
            holder: self.holder,
            anchor: self.anchor,
            aligned_to: self.aligned_to,
        }
    }

    /// Where windows of this duration lie.
    pub fn window(&self, duration: ResetDuration, quarter_start_month: Option<u8>) -> WindowSpec {
        WindowSpec {
            duration,
            anchor: self.anchor,
            zone: self.aligned_to.cloned(),
            quarter_start_month: quarter_start_month.unwrap_or(1),
        }
    }
}

/// An amount with its unit, for messages.
pub struct Quantity(pub MeterKind, pub i64);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            MeterKind::Money => write!(f, "${}", Usd::from_nanos(self.1)),
            MeterKind::Tokens => write!(f, "{} tokens", self.1),
            MeterKind::Requests => write!(f, "{} requests", self.1),
            MeterKind::Parallel => write!(f, "{} parallel requests", self.1),
        }
    }
}
