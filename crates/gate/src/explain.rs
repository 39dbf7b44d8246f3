//! Decisions with their reasons, through the same functions as the traffic.

use std::sync::Arc;

use tollgate_domain::access::{
    Candidate, ConsideredView, Copy, Decision, EstimateView, Explain, KeyView, MeterView,
    ModelRequest, Outcome, Payer, PayerView, Plan, Question, Reason, Refusal, Settings, Subject,
    UnknownSubject, evaluate,
};
use tollgate_domain::error::LimitRefusal;
use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::snapshot::{GroupId, KeyHolder, Snapshot, VirtualKey};
use tollgate_domain::{GatewayError, Timestamp};
use tollgate_ledger::{MeterState, Verdict};

use crate::gate::{Gate, refused_by_limit};

/// The body of a short request, when the question does not say how long it is.
const SHORT_BODY_BYTES: u64 = 256;

impl Explain for Gate {
    fn explain(&self, question: &Question<'_>) -> Result<Decision, UnknownSubject> {
        let snapshot = self.snapshot.load_full();
        let now = self.clock.now();
        let at = question.at.unwrap_or(now);
        // The present is the ledger's, whose time does not step back.
        let counted_at = question.at.unwrap_or_else(|| self.ledger.present(now));
        let key = subject(&snapshot, question.subject)?;
        let model = full_name(question);
        let request = ModelRequest {
            endpoint: question.endpoint,
            model: &model,
            body_bytes: SHORT_BODY_BYTES,
            input_tokens: question.input_tokens,
            max_output_tokens: question.max_output_tokens,
            choices: 1,
            unbounded: None,
        };
        let plan = evaluate(&snapshot, &key, &request, &self.learned, at);
        let judged: Vec<_> = plan
            .candidates
            .iter()
            .map(|candidate| self.judge(candidate, counted_at, at))
            .collect();
        Ok(decision(&snapshot, &key, &plan, &judged, at))
    }
}

/// A candidate with the numbers of its meters.
struct Judged<'a> {
    candidate: &'a Candidate,
    meters: Vec<MeterState>,
    refusal: Option<GatewayError>,
    /// What is refused in shadow mode only.
    shadowed: Option<GatewayError>,
}

impl Gate {
    /// `counted_at`: the instant whose windows count; it differs from `at` when the clock has stepped back.
    fn judge<'a>(
        &self,
        candidate: &'a Candidate,
        counted_at: Timestamp,
        at: Timestamp,
    ) -> Judged<'a> {
        let meters = self.ledger.probe(&candidate.needs, counted_at);
        let first_full = |is_enforced| {
            let mut states = candidate.needs.iter().zip(&meters);
            let first = states.find_map(|(need, state)| {
                let verdict = state.verdict.filter(|_| need.is_enforced == is_enforced)?;
                Some(LimitRefusal {
                    kind: need.meter.id.kind,
                    reading: state.reading.clone(),
                    needed: need.amount,
                    is_transient: verdict.is_transient(),
                    largest_output_that_fits: None,
                })
            });
            first.map(|refusal| refused_by_limit(candidate, 1, refusal, at))
        };
        let by_policy = candidate.shadowed.as_deref();
        Judged {
            refusal: first_full(true),
            shadowed: by_policy.map_or_else(|| first_full(false), |refusal| Some(error(refusal))),
            candidate,
            meters,
        }
    }
}

fn decision(
    snapshot: &Snapshot,
    key: &VirtualKey,
    plan: &Plan,
    judged: &[Judged<'_>],
    at: Timestamp,
) -> Decision {
    let admitted = judged.iter().find(|one| one.refusal.is_none());
    let is_transient = |one: &&Judged<'_>| {
        let limit = one.refusal.as_ref().and_then(|error| error.limit.as_ref());
        limit.is_some_and(|limit| limit.is_transient)
    };
    // The same choice as in `Gate::admit`: a transient refusal before the first one.
    let chosen = admitted
        .or_else(|| judged.iter().find(is_transient))
        .or_else(|| judged.first());
    let refusal = match chosen {
        Some(one) => one.refusal.as_ref(),
        None => plan.refusal.as_ref(),
    };
    let candidate = chosen.map(|one| one.candidate);
    Decision {
        allowed: admitted.is_some(),
        reason: refusal.map(reason),
        at,
        revision: snapshot.revision,
        payer: candidate.map(|candidate| payer(key, &candidate.payer)),
        provider: candidate.map(|candidate| candidate.provider.name.to_string()),
        model: candidate.map(|candidate| candidate.model.to_string()),
        key_candidates: candidate.map_or_else(Vec::new, credentials),
        meters: chosen.map_or_else(Vec::new, meters),
        considered: considered(key, plan, judged),
        estimate: candidate.map(|candidate| EstimateView {
            input_tokens: candidate.estimate.input_tokens,
            output_tokens: candidate.estimate.output_tokens,
            cost: candidate.estimate.cost,
            is_bound: candidate.estimate.is_bound,
        }),
    }
}

fn credentials(candidate: &Candidate) -> Vec<KeyView> {
    let view = |key: &Arc<tollgate_domain::provider::ProviderKey>| KeyView {
        id: key.id.to_string(),
        name: key.name.to_string(),
    };
    candidate.keys.iter().map(view).collect()
}

fn meters(judged: &Judged<'_>) -> Vec<MeterView> {
    let needs = judged.candidate.needs.iter();
    needs
        .zip(&judged.meters)
        .map(|(need, state)| MeterView {
            reading: state.reading.clone(),
            needed: need.amount,
            refuses: need.is_enforced && state.verdict.is_some(),
            is_transient: state.verdict.is_some_and(Verdict::is_transient),
            is_enforced: need.is_enforced,
        })
        .collect()
}

/// Every copy that was looked at; those that policy allows with the verdict of their limits. Candidates are in the order
/// of the entries that apply.
fn considered(key: &VirtualKey, plan: &Plan, judged: &[Judged<'_>]) -> Vec<ConsideredView> {
    let mut candidates = judged.iter();
    plan.considered
        .iter()
        .map(|entry| {
            let (refusal, shadow) = match &entry.outcome {
                Outcome::Applies => candidates.next().map_or((None, None), |one| {
                    (
                        one.refusal.as_ref().map(reason),
                        one.shadowed.as_ref().map(reason),
                    )
                }),
                Outcome::Refuses(refusal) => (Some(reason(&error(refusal))), None),
            };
            ConsideredView {
                payer: payer(key, &entry.payer),
                provider: entry
                    .provider
                    .as_ref()
                    .map(|provider| provider.name.to_string()),
                applies: refusal.is_none(),
                reason: refusal,
                shadow,
            }
        })
        .collect()
}

fn error(refusal: &Refusal) -> GatewayError {
    GatewayError::new(refusal.kind, refusal.message.clone())
}

fn reason(error: &GatewayError) -> Reason {
    Reason {
        code: error.kind.code(),
        status: error.kind.status(),
        message: error.message.clone(),
    }
}

fn payer(key: &VirtualKey, payer: &Payer) -> PayerView {
    match payer {
        Payer::Copy(copy) => PayerView {
            id: copy.id.to_string(),
            name: copy.name.to_string(),
            profile_id: Some(copy.profile_id),
            profile_version: Some(copy.profile_version),
            expires_at: copy.expires_at,
        },
        Payer::Key(id) => PayerView {
            id: id.to_string(),
            name: key.name.to_string(),
            profile_id: None,
            profile_version: None,
            expires_at: key.expires_at,
        },
    }
}

/// The key that is asked about; for a user, one without caps or limits of its own.
fn subject(snapshot: &Snapshot, subject: Subject) -> Result<Arc<VirtualKey>, UnknownSubject> {
    match subject {
        Subject::Key(id) => snapshot.key(id).cloned().ok_or(UnknownSubject),
        Subject::User(id) => {
            let user = snapshot.user(id).ok_or(UnknownSubject)?;
            Ok(Arc::new(VirtualKey {
                id: VirtualKeyId::from_uuid(id.uuid()),
                name: user.name.clone(),
                holder: KeyHolder::User(id),
                is_managed: false,
                is_active: true,
                expires_at: None,
                secrets: Vec::new(),
                grants: Vec::new(),
                meters: Vec::new(),
                settings: Settings::default(),
            }))
        }
    }
}

/// `provider/model`, when the question names the provider apart.
fn full_name(question: &Question<'_>) -> String {
    match question.provider {
        Some(provider) if !has_provider(question.model, provider) => {
            format!("{provider}/{}", question.model)
        }
        _ => question.model.to_owned(),
    }
}

fn has_provider(model: &str, provider: &str) -> bool {
    model
        .split_once('/')
        .is_some_and(|(first, _)| first.eq_ignore_ascii_case(provider))
}

/// The copies that the holder of `key` has, its groups' included.
pub(crate) fn copies_of(snapshot: &Snapshot, key: &VirtualKey) -> Vec<Arc<Copy>> {
    let (mut copies, mut waiting): (Vec<_>, Vec<GroupId>) = match key.holder {
        KeyHolder::User(id) => snapshot.user(id).map_or_else(Default::default, |user| {
            (user.copies.clone(), user.groups.clone())
        }),
        KeyHolder::Group(id) => (Vec::new(), vec![id]),
        KeyHolder::Itself => (Vec::new(), Vec::new()),
    };
    let mut seen = Vec::new();
    while let Some(id) = waiting.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        if let Some(group) = snapshot.group(id) {
            copies.extend(group.profile.as_ref().map(|profile| profile.copy.clone()));
            waiting.extend(&group.parents);
        }
    }
    copies
}
