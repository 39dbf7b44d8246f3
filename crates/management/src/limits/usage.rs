use std::collections::HashMap;
use std::sync::Arc;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::error::MeterReading;
use tollgate_domain::limits::{Holder, HolderKind, Meter, MeterId};
use tollgate_domain::live::LiveCounters;

use crate::context::Context;

/// What meters show now, by meter.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    by_meter: HashMap<MeterId, MeterReading>,
    /// What `last_reset` says of a line without a running window.
    since: Timestamp,
}

impl Readings {
    /// Reads every meter from the counters that enforcement uses.
    pub(crate) fn read<'a>(
        meters: impl IntoIterator<Item = &'a Arc<Meter>>,
        live: &dyn LiveCounters,
        since: Timestamp,
        now: Timestamp,
    ) -> Self {
        let by_meter = meters
            .into_iter()
            .map(|meter| {
                let count = live.count(meter, now);
                let reading = MeterReading::new(meter, now, count.used, count.reserved);
                (meter.id, reading)
            })
            .collect();
        Self { by_meter, since }
    }

    /// Reads the meters of some content that has no overrides, in force already or only about to be.
    pub(crate) fn of(ctx: &Context, content: &ProfileContent, since: Timestamp) -> Self {
        let live = ctx.parts().live.as_ref();
        Self::read(&meters_of(content, since), live, since, ctx.now())
    }

    pub(crate) fn find(&self, meter: MeterId) -> Option<&MeterReading> {
        self.by_meter.get(&meter)
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }
}

/// The meters of some content without overrides, to look numbers up by: it does not matter whose they are.
pub(super) fn meters_of(content: &ProfileContent, anchor: Timestamp) -> Vec<Arc<Meter>> {
    let nobody = Holder {
        kind: HolderKind::AccessProfile,
        id: "".into(),
        name: "".into(),
    };
    content.meters(nobody, anchor, &|_| None)
}

/// The readings of a template: it has no usage, ever since it was made.
pub(crate) fn no_usage(since: Timestamp) -> Readings {
    Readings {
        by_meter: HashMap::new(),
        since,
    }
}
