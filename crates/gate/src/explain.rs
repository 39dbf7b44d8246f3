//! Decisions with their reasons, through the same functions as the traffic.

mod explained;

use std::sync::Arc;

use tollgate_domain::access::profile::McpGrants;
use tollgate_domain::access::{
    ConsideredView, Copy, Decision, Explain, KeyView, MeterView, ModelRequest, ModelWish, Outcome,
    Payer, PayerView, Plan, Question, Reason, Refusal, Settings, Subject, UnknownSubject, Wish,
    evaluate, evaluate_any_model, evaluate_tool,
};
use tollgate_domain::error::LimitRefusal;
use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::provider::ProviderKey;
use tollgate_domain::snapshot::{GroupId, KeyHolder, Snapshot, VirtualKey};
use tollgate_domain::{GatewayError, Timestamp};
use tollgate_ledger::{MeterState, Verdict};

use crate::gate::Gate;
use explained::Explained;

/// The body of a short request, when the question does not say how long it is.
const SHORT_BODY_BYTES: u64 = 256;

impl Explain for Gate {
    fn explain(&self, question: &Question<'_>) -> Result<Decision, UnknownSubject> {
        let snapshot = self.snapshot.load_full();
        let now = self.clock.now();
        let at = question.at.unwrap_or(now);
        let key = subject(&snapshot, question.subject)?;
        let moment = Moment {
            revision: snapshot.revision,
            at,
            // The present is the ledger's, whose time does not step back.
            counted_at: question.at.unwrap_or_else(|| self.ledger.present(now)),
        };
        Ok(match question.wish {
            Wish::Model(wish) => {
                let model = full_name(&wish);
                let request = ModelRequest {
                    endpoint: wish.endpoint,
                    model: &model,
                    body_bytes: SHORT_BODY_BYTES,
                    input_tokens: wish.input_tokens,
                    max_output_tokens: wish.max_output_tokens,
                    choices: 1,
                    has_media: false,
                    unbounded: None,
                };
                let plan = evaluate(&snapshot, &key, &request, &self.learned, at);
                self.decision(&key, &plan, moment)
            }
            Wish::Tool(request) => {
                let plan = evaluate_tool(&snapshot, &key, &request, at);
                let client = snapshot.mcp().client(request.client);
                Decision {
                    mcp_client: client.map(|client| client.name.to_string()),
                    mcp_tool: request.tool.map(str::to_owned),
                    ..self.decision(&key, &plan, moment)
                }
            }
            Wish::AnyModel(request) => {
                let plan = evaluate_any_model(&snapshot, &key, &request, at);
                self.decision(&key, &plan, moment)
            }
        })
    }
}

/// When, and by which policy.
#[derive(Clone, Copy)]
struct Moment {
    revision: u64,
    at: Timestamp,
    /// The instant whose windows count; it differs from `at` when the clock has stepped back.
    counted_at: Timestamp,
}

/// A candidate with the numbers of its meters.
struct Judged<'a, C> {
    candidate: &'a C,
    meters: Vec<MeterState>,
    refusal: Option<GatewayError>,
    /// What is refused in shadow mode only.
    shadowed: Option<GatewayError>,
}

impl Gate {
    fn judge<'a, C: Explained>(&self, candidate: &'a C, moment: Moment) -> Judged<'a, C> {
        let needs = candidate.needs();
        let meters = self.ledger.probe(needs, moment.counted_at);
        let first_full = |is_enforced| {
            let mut states = needs.iter().zip(&meters);
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
            first.map(|refusal| candidate.refused_by(refusal, moment.at))
        };
        let by_policy = candidate.shadowed();
        Judged {
            refusal: first_full(true),
            shadowed: by_policy.map_or_else(|| first_full(false), |refusal| Some(error(refusal))),
            candidate,
            meters,
        }
    }

    fn decision<C: Explained>(&self, key: &VirtualKey, plan: &Plan<C>, moment: Moment) -> Decision {
        let judged: Vec<_> = plan
            .candidates
            .iter()
            .map(|candidate| self.judge(candidate, moment))
            .collect();
        let admitted = judged.iter().find(|one| one.refusal.is_none());
        let is_transient = |one: &&Judged<'_, C>| {
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
            at: moment.at,
            revision: moment.revision,
            payer: candidate.map(|candidate| payer(key, candidate.payer())),
            provider: candidate
                .and_then(C::provider)
                .map(|provider| provider.name.to_string()),
            model: candidate.and_then(C::model).map(str::to_owned),
            mcp_client: None,
            mcp_tool: None,
            key_candidates: candidate.map_or_else(Vec::new, credentials),
            meters: chosen.map_or_else(Vec::new, meters),
            considered: considered(key, plan, &judged),
            estimate: candidate.and_then(C::estimate),
        }
    }
}

fn credentials<C: Explained>(candidate: &C) -> Vec<KeyView> {
    let view = |key: &Arc<ProviderKey>| KeyView {
        id: key.id.to_string(),
        name: key.name.to_string(),
    };
    candidate.keys().iter().map(view).collect()
}

fn meters<C: Explained>(judged: &Judged<'_, C>) -> Vec<MeterView> {
    let needs = judged.candidate.needs().iter();
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
fn considered<C>(
    key: &VirtualKey,
    plan: &Plan<C>,
    judged: &[Judged<'_, C>],
) -> Vec<ConsideredView> {
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
                mcp: McpGrants::default(),
                meters: Vec::new(),
                settings: Settings::default(),
            }))
        }
    }
}

/// `provider/model`, when the wish names the provider apart.
fn full_name(wish: &ModelWish<'_>) -> String {
    match wish.provider {
        Some(provider) if !has_provider(wish.model, provider) => {
            format!("{provider}/{}", wish.model)
        }
        _ => wish.model.to_owned(),
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
