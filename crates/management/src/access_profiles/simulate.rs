use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::SemaphorePermit;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent, UserCopy};
use tollgate_domain::access::{SimulatedHolder, Simulation, Simulator};
use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_domain::ids::{CopyId, ProfileId, UserId};
use tollgate_domain::snapshot::Snapshot;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_storage::request_log::{self, LogFilter, Walk};
use tollgate_storage::{copies, groups, profiles};
use utoipa::ToSchema;

use super::content::{UpdateAccessProfile, apply_update};
use super::copying::{Field, take_over};
use super::{get_existing, name_conflict};
use crate::answers::WriteRefusals;
use crate::body::body;
use crate::context::{Context, Require, ViewLogs};
use crate::corrections::catch_up;
use crate::extract::{About, Json, Path, count};
use crate::limits::money;
use crate::problem::{Answer, ErrorBody, Problem};

/// Longest period, in days.
const MAX_DAYS: i64 = 92;
/// Most requests in the log of the period, whoever made them: so many are read. Tests write fewer.
const MAX_READ: u64 = if cfg!(test) { 40 } else { 5_000_000 };
/// Most requests that are replayed.
const MAX_REPLAYED: u64 = if cfg!(test) { 20 } else { 250_000 };
/// Most holders that are listed one by one.
const MOST_HOLDERS: usize = 100;

body! {
    /// A change of the profile that nobody has made yet, and a time to try it on.
    struct SimulateAccessProfile {
        /// As the body of an update.
        draft: required UpdateAccessProfile,
        /// Requests that were made at this instant or later.
        from: required Timestamp,
        /// And before this one; at most 92 days after.
        to: required Timestamp,
    }
    check |period| {
        if let (Some(from), Some(to)) = (&from, &to)
            && let Err(message) = check_period(*from, *to)
        {
            period.inconsistent("to", message);
        }
    }
}

/// What the draft would have done. The totals are exact; lists are cut, and say so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimulationView {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Of everybody.
    total: EffectView,
    /// How many requests the draft would have refused, by code.
    reasons: Vec<ReasonCount>,
    /// By user, those with most refusals first; at most 100.
    holders: Vec<HolderEffect>,
    /// How many there are in all.
    total_holders: u64,
    /// Requests that were served and that the draft would have refused, oldest first; at most 100.
    refusals: Vec<RefusalView>,
    /// How many there are in all.
    total_refusals: u64,
}

/// What the draft would have done to some requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectView {
    requests: u64,
    /// Served, and refused by the draft.
    newly_refused: u64,
    /// Refused, and allowed by the draft.
    newly_allowed: u64,
    /// What they cost, in US dollars.
    #[schema(value_type = f64)]
    actual_cost: Box<RawValue>,
    /// What they would have cost, in US dollars.
    #[schema(value_type = f64)]
    draft_cost: Box<RawValue>,
    /// The latter without the former.
    #[schema(value_type = f64)]
    cost_difference: Box<RawValue>,
}

/// How often a reason was given.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReasonCount {
    /// The code that the data plane would have answered.
    code: &'static str,
    count: u64,
}

/// What the draft would have done to one user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HolderEffect {
    /// Null for keys without a user.
    user_id: Option<String>,
    /// Null for those, and for users who are gone.
    user_name: Option<String>,
    #[serde(flatten)]
    effect: EffectView,
}

/// A request that the draft would have refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusalView {
    /// Also in the request log.
    request_id: String,
    user_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    code: &'static str,
    status: u16,
    message: String,
}

/// Try a change of an access profile on the past
///
/// Replays the requests that copies of the profile paid for, and those of its holders that no profile allowed, against
/// the draft, as if it had been propagated. Usage starts at zero at `from`. Prices are today's, other copies do not step
/// in, and `shadow` of the draft is not looked at: what it would have recorded is what is answered. Nothing is changed.
#[utoipa::path(
    post, path = "/access-profiles/{profile_id}/simulate", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0)),
    request_body = SimulateAccessProfile,
    responses(
        (status = 200, body = SimulationView),
        (status = 429, body = ErrorBody, description = "Another simulation runs; try again when it has ended."),
        WriteRefusals,
    ),
    security(("management_key" = ["Logs:View"]))
)]
pub(crate) async fn simulate_access_profile(
    ctx: Require<ViewLogs>,
    Path(id): Path<ProfileId>,
    About { body, .. }: About<ProfileId, SimulateAccessProfile>,
) -> Answer<Json<SimulationView>> {
    let SimulateAccessProfile { draft, from, to } = body;
    let _turn = start(&ctx)?;
    let draft = validated(&ctx, id, draft).await?;
    catch_up(&ctx).await;
    check_size(&ctx, id, from, to).await?;
    let snapshot = ctx.parts().policy.snapshot();
    let mut replay = Replay {
        ctx: &ctx,
        profile: id,
        draft: &draft.content,
        simulator: Simulator::new(snapshot.clone()),
        payers: HashMap::new(),
        replayed: 0,
    };
    replay.put_group_copies().await?;
    let mut walk = Walk::start(ctx.store(), from, to).await?;
    let wanted = |entry: &LogEntry| concerns(entry, id);
    while let Some(entries) = walk.next(ctx.store(), wanted).await? {
        replay.take(&entries).await?;
    }
    let simulation = replay.simulator.finish();
    Ok(Json(SimulationView::new(from, to, simulation, &snapshot)))
}

/// One at a time: each reads a part of the log.
fn start(ctx: &Context) -> Answer<SemaphorePermit<'_>> {
    ctx.simulations().try_acquire().map_err(|_| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "simulation_running",
            "another simulation runs; try again when it has ended",
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    })
}

/// Whether a copy of the profile paid, or would have, had any allowed it.
fn concerns(entry: &LogEntry, profile: ProfileId) -> bool {
    let facts = &entry.facts;
    match facts.profile {
        Some(payer) => payer == profile,
        None => entry.ending.outcome == Outcome::Refused && facts.user.is_some(),
    }
}

fn check_period(from: Timestamp, to: Timestamp) -> Result<(), String> {
    if to <= from {
        return Err("`to` must be later than `from`".to_owned());
    }
    if to.micros_since(from) > MAX_DAYS * 86_400 * MICROS_PER_SECOND {
        return Err(format!(
            "`to` is more than {MAX_DAYS} days after `from`; try shorter periods"
        ));
    }
    Ok(())
}

/// The profile with the draft, which passes everything that an update has to pass.
async fn validated(
    ctx: &Context,
    id: ProfileId,
    draft: UpdateAccessProfile,
) -> Answer<AccessProfile> {
    let current = get_existing(ctx.store(), id).await?;
    let wanted = apply_update(&current, draft, ctx.parts().ids.as_ref());
    let named = profiles::find_by_name(ctx.store(), &wanted.name).await?;
    if named.is_some_and(|named| named.id != id) {
        return Err(name_conflict(&wanted.name).at("/draft/name"));
    }
    Ok(wanted)
}

async fn check_size(
    ctx: &Context,
    profile: ProfileId,
    from: Timestamp,
    to: Timestamp,
) -> Answer<()> {
    let all = LogFilter {
        from: Some(from),
        to: Some(to),
        ..LogFilter::default()
    };
    let own = LogFilter {
        profile: Some(profile),
        ..all.clone()
    };
    for (filter, most, whose) in [
        (own, MAX_REPLAYED, "of this profile"),
        (all, MAX_READ, "of everybody"),
    ] {
        let requests = request_log::count(ctx.store(), &filter).await?;
        if requests > most {
            return Err(too_many(requests, most, whose));
        }
    }
    Ok(())
}

fn too_many(requests: u64, most: u64, whose: &str) -> Problem {
    Problem::inconsistent(
        "/from",
        format!(
            "the period has {requests} requests {whose}, and at most {most} are replayed; choose a shorter one"
        ),
    )
}

/// A replay with what it has to look up: whose copy pays, and what the draft makes of it.
struct Replay<'a> {
    ctx: &'a Context,
    profile: ProfileId,
    draft: &'a ProfileContent,
    simulator: Simulator,
    /// The copy of a user whose requests no profile allowed; `None` for users who hold none.
    payers: HashMap<UserId, Option<CopyId>>,
    replayed: u64,
}

impl Replay<'_> {
    async fn take(&mut self, entries: &[LogEntry]) -> Answer<()> {
        self.look_up(entries).await?;
        for entry in entries {
            let facts = &entry.facts;
            let payer = facts.copy.or_else(|| {
                let user = facts.user?;
                self.payers.get(&user).copied().flatten()
            });
            let Some(payer) = payer.filter(|payer| self.simulator.knows(*payer)) else {
                continue;
            };
            self.replayed += 1;
            if self.replayed > MAX_REPLAYED {
                return Err(too_many(self.replayed, MAX_REPLAYED, "of this profile"));
            }
            self.simulator.replay(payer, entry);
        }
        Ok(())
    }

    /// Finds the copies of everybody in `entries` who is new. A copy that was taken away is left out: whoever had it is no
    /// holder any more.
    async fn look_up(&mut self, entries: &[LogEntry]) -> Answer<()> {
        let mut users: Vec<UserId> = entries
            .iter()
            .filter_map(|entry| entry.facts.user)
            .filter(|user| !self.payers.contains_key(user))
            .collect();
        users.sort_unstable();
        users.dedup();
        if !users.is_empty() {
            self.payers.extend(users.iter().map(|user| (*user, None)));
            let held = copies::of_users(self.ctx.store(), &users).await?;
            for stored in held {
                if stored.copy.parent_profile_id == self.profile {
                    self.payers
                        .insert(stored.copy.user_id, Some(stored.copy.id));
                    self.put(stored.copy)?;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, mut copy: UserCopy) -> Answer<()> {
        copy.content = take_over(copy.id.uuid(), &copy.content, self.draft, &Field::ALL);
        let compiled = copy.compile().map_err(|error| Problem::internal(&error))?;
        self.simulator.put(compiled);
        Ok(())
    }

    /// The copies that teams, business units and customers have.
    async fn put_group_copies(&mut self) -> Answer<()> {
        let held = groups::profiles::of_profile(self.ctx.store(), self.profile).await?;
        for copy in held {
            self.put(UserCopy {
                id: copy.id,
                // Nobody's in particular; its counters are shared by all members.
                user_id: UserId::from_uuid(copy.id.uuid()),
                parent_profile_id: copy.parent_profile_id,
                name: copy.name,
                profile_version: copy.profile_version,
                is_active: copy.is_active,
                expires_at: None,
                priority: 0,
                assigned_at: copy.assigned_at,
                content: copy.content,
                overrides: BTreeMap::new(),
            })?;
        }
        Ok(())
    }
}

impl SimulationView {
    fn new(from: Timestamp, to: Timestamp, simulation: Simulation, snapshot: &Snapshot) -> Self {
        let total = simulation.total();
        let mut holders: Vec<_> = simulation.holders.iter().collect();
        holders.sort_by_key(|(user, holder)| (Reverse(holder.newly_refused), **user));
        let total_holders = count(&holders);
        holders.truncate(MOST_HOLDERS);
        let name = |user: Option<UserId>| {
            let user = user.and_then(|id| snapshot.user(id));
            user.map(|user| user.name.to_string())
        };
        Self {
            from,
            to,
            total: EffectView::from(&total),
            reasons: simulation
                .reasons
                .into_iter()
                .map(|(code, count)| ReasonCount { code, count })
                .collect(),
            holders: holders
                .into_iter()
                .map(|(user, holder)| HolderEffect {
                    user_id: user.map(|id| id.to_string()),
                    user_name: name(*user),
                    effect: EffectView::from(holder),
                })
                .collect(),
            total_holders,
            refusals: simulation
                .refusals
                .into_iter()
                .map(|refusal| RefusalView {
                    request_id: refusal.request.to_string(),
                    user_id: refusal.user.map(|id| id.to_string()),
                    at: refusal.at,
                    code: refusal.kind.code(),
                    status: refusal.kind.status(),
                    message: refusal.message,
                })
                .collect(),
            total_refusals: total.newly_refused,
        }
    }
}

impl From<&SimulatedHolder> for EffectView {
    fn from(holder: &SimulatedHolder) -> Self {
        let difference = holder.draft_cost.saturating_sub(holder.actual_cost);
        Self {
            requests: holder.requests,
            newly_refused: holder.newly_refused,
            newly_allowed: holder.newly_allowed,
            actual_cost: money(holder.actual_cost),
            draft_cost: money(holder.draft_cost),
            cost_difference: money(difference),
        }
    }
}
