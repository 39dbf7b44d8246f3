//! Limits whose usage does not go on through an edit, as the audit trail tells of them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::limits::{Meter, MeterId, MeterKind, ResetDuration};

use super::usage::meters_of;
use crate::context::Context;
use crate::meters::LimitReading;

/// One limit that is new, or counts over another duration than before: its usage starts anew.
///
/// An edit of anything else takes usage along, into the window that runs after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StartsAnew {
    line: Option<Arc<str>>,
    scope: Arc<str>,
    kind: MeterKind,
    before: Option<ResetDuration>,
    after: ResetDuration,
    used: i64,
}

/// What [`StartsAnew`] looks like.
#[derive(Serialize)]
struct View<'a> {
    /// The id of the budget or rate limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    scope: &'a str,
    kind: &'static str,
    /// Null for a limit that is new.
    reset_duration_before: Option<&'static str>,
    reset_duration: &'static str,
    used: Box<RawValue>,
}

impl Serialize for StartsAnew {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind.as_str();
        View {
            id: self.line.as_deref(),
            scope: &self.scope,
            kind,
            reset_duration_before: self.before.map(ResetDuration::as_str),
            reset_duration: self.after.as_str(),
            used: LimitReading::amount(kind, self.used),
        }
        .serialize(serializer)
    }
}

impl StartsAnew {
    /// The limits of `after` that start anew when it takes the place of `before`. `used` tells what each of them starts
    /// with, which is not zero where it has counted over the same duration in its running window before.
    pub(crate) fn find(
        before: &ProfileContent,
        after: &ProfileContent,
        anchor: Timestamp,
        used: impl Fn(&Meter) -> i64,
    ) -> Vec<Self> {
        let duration = |meter: &Meter| Some(meter.window.as_ref()?.duration);
        let durations: HashMap<MeterId, ResetDuration> = meters_of(before, anchor)
            .iter()
            .filter_map(|meter| Some((meter.id, duration(meter)?)))
            .collect();
        let starting = |meter: Arc<Meter>| {
            let after = duration(&meter)?;
            let before = durations.get(&meter.id).copied();
            (before != Some(after)).then(|| Self {
                used: used(&meter),
                line: Some(meter.line_id.clone()),
                scope: meter.scope.clone(),
                kind: meter.id.kind,
                before,
                after,
            })
        };
        let meters = meters_of(after, anchor).into_iter();
        meters.filter_map(starting).collect()
    }

    /// As [`Self::find`], for content with live counters.
    pub(crate) fn find_live(
        ctx: &Context,
        before: &ProfileContent,
        after: &ProfileContent,
        anchor: Timestamp,
    ) -> Vec<Self> {
        let (live, now) = (ctx.parts().live.as_ref(), ctx.now());
        Self::find(before, after, anchor, |meter| live.count(meter, now).used)
    }

    /// As [`Self::find`], for a template, which has no usage: what propagating it starts anew in the copies that are as
    /// the template was.
    pub(crate) fn find_in_template(before: &ProfileContent, after: &ProfileContent) -> Vec<Self> {
        Self::find(before, after, Timestamp::default(), |_| 0)
    }

    /// The same without the line's id, which differs from copy to copy.
    #[must_use]
    pub(crate) fn in_any_copy(self) -> Self {
        Self { line: None, ..self }
    }
}
