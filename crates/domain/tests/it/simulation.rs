//! A draft against the log of what was.

use std::sync::Arc;

use tollgate_domain::access::profile::UserCopy;
use tollgate_domain::access::{Endpoint, MOST_LISTED, Simulation, Simulator};
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::{CopyId, RateLimitId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::RateLimitLine;
use tollgate_domain::{ErrorKind, Timestamp, TokenUsage, Usd};

use crate::world::{NOW, World, budget, config, copy, uuid};

fn request(number: u64, user: u128, model: &str, usd: &str, outcome: Outcome) -> LogEntry {
    let at = NOW.saturating_add_micros(i64::try_from(number).unwrap());
    let cost: Usd = usd.parse().unwrap();
    LogEntry {
        facts: HoldFacts {
            request: RequestId::from_uuid(uuid(u128::from(number))),
            at,
            key: VirtualKeyId::from_uuid(uuid(1)),
            user: Some(UserId::from_uuid(uuid(user))),
            copy: None,
            profile: None,
            profile_version: None,
            provider: "alpha".parse().unwrap(),
            model: model.to_owned(),
            endpoint: Endpoint::ChatCompletions,
            is_stream: false,
            is_bound: false,
            reserved_cost: cost,
            reserved_tokens: 10,
            shadow: None,
        },
        ending: Ending {
            at,
            outcome,
            status: 200,
            error_code: None,
            usage: TokenUsage {
                input: 10,
                ..TokenUsage::default()
            },
            cost: if outcome == Outcome::Refused {
                Usd::ZERO
            } else {
                cost
            },
            duration_micros: 1,
            first_byte_micros: None,
            attempts: 1,
        },
    }
}

/// What the draft makes of the copy of a user.
fn draft(user: u8, usd: &str) -> UserCopy {
    let mut draft = copy(user, vec![config("alpha", "a1 a2", "")]);
    draft.assigned_at = Timestamp::from_micros(0);
    draft.content.limits.budgets = vec![budget(10 + u128::from(user), usd)];
    draft
}

/// Replays the log, of which each user's copy paid.
fn run(drafts: &[UserCopy], log: &[LogEntry]) -> Simulation {
    let mut simulator = Simulator::new(Arc::new(World::new().snapshot()));
    for draft in drafts {
        simulator.put(draft.compile().unwrap());
    }
    for entry in log {
        let user = entry.facts.user.unwrap();
        simulator.replay(CopyId::from_uuid(user.uuid()), entry);
    }
    simulator.finish()
}

#[test]
fn each_user_has_counters_of_its_own() {
    let log = [
        request(1, 1, "a1", "0.6", Outcome::Reported),
        request(2, 2, "a1", "0.6", Outcome::Reported),
        request(3, 1, "a1", "0.6", Outcome::Reported),
        request(4, 1, "a2", "0.4", Outcome::Reported),
        request(5, 1, "a2", "0", Outcome::Reported),
    ];
    let simulation = run(&[draft(1, "1"), draft(2, "1")], &log);
    let refused: Vec<_> = simulation
        .refusals
        .iter()
        .map(|refusal| (refusal.at, refusal.kind))
        .collect();
    let at = |number| NOW.saturating_add_micros(number);
    assert_eq!(
        refused,
        [
            (at(3), ErrorKind::BudgetExceeded),
            (at(5), ErrorKind::BudgetExceeded),
        ]
    );
    let first = simulation.holders[&Some(UserId::from_uuid(uuid(1)))];
    assert_eq!((first.requests, first.newly_refused), (4, 2));
    assert_eq!(
        (first.actual_cost.to_string(), first.draft_cost.to_string()),
        ("1.6".to_owned(), "1".to_owned())
    );
}

#[test]
fn what_the_draft_does_not_grant_is_refused_and_what_it_grants_is_counted_as_new() {
    let log = [
        request(1, 1, "other", "0.1", Outcome::Reported),
        request(2, 1, "a1", "0.1", Outcome::Refused),
        request(3, 1, "other", "0.1", Outcome::Refused),
    ];
    let simulation = run(&[draft(1, "1"), draft(2, "1")], &log);
    assert_eq!(
        simulation
            .refusals
            .iter()
            .map(|refusal| refusal.kind)
            .collect::<Vec<_>>(),
        [ErrorKind::ModelBlocked]
    );
    let holder = simulation.holders[&Some(UserId::from_uuid(uuid(1)))];
    assert_eq!((holder.newly_refused, holder.newly_allowed), (1, 1));
    assert_eq!(
        (
            holder.actual_cost.to_string(),
            holder.draft_cost.to_string()
        ),
        ("0.1".to_owned(), "0.1".to_owned())
    );
}

#[test]
fn an_unknown_price_is_the_drafts_decision() {
    let mut draft = draft(1, "1");
    draft.content.provider_configs[0].all_models_allowed = true;
    let log = [request(1, 1, "unpriced", "0", Outcome::Reported)];
    assert_eq!(
        run(std::slice::from_ref(&draft), &log).refusals[0].kind,
        ErrorKind::PriceUnknown
    );
    draft.content.on_unknown_price = tollgate_domain::access::profile::OnUnknownPrice::Allow;
    assert!(run(std::slice::from_ref(&draft), &log).refusals.is_empty());
}

#[test]
fn the_list_is_bounded_and_the_count_is_not() {
    let many = MOST_LISTED as u64 + 5;
    let log: Vec<_> = (0..many)
        .map(|number| request(number, 1, "other", "0", Outcome::Reported))
        .collect();
    let simulation = run(&[draft(1, "1"), draft(2, "1")], &log);
    assert_eq!(simulation.refusals.len(), MOST_LISTED);
    assert_eq!(simulation.reasons["model_blocked"], many);
    assert_eq!(
        simulation
            .holders
            .values()
            .map(|holder| holder.newly_refused)
            .sum::<u64>(),
        many
    );
}

#[test]
fn running_requests_hold_what_they_were_admitted_with() {
    let lasting = |number, usd, cost: &str, seconds: i64| {
        let mut entry = request(number, 1, "a1", usd, Outcome::Reported);
        entry.ending.at = entry.facts.at.saturating_add_micros(seconds * 1_000_000);
        entry.ending.cost = cost.parse().unwrap();
        entry
    };
    let log = [
        // Estimated at 0.6, cost 0.1, and runs for a second.
        lasting(1, "0.6", "0.1", 1),
        lasting(2, "0.6", "0.6", 0),
        lasting(1_000_002, "0.6", "0.6", 0),
    ];
    let simulation = run(&[draft(1, "1")], &log);
    let [refusal] = &simulation.refusals[..] else {
        panic!("{simulation:?}")
    };
    assert_eq!(refusal.at, log[1].facts.at);
    assert_eq!(refusal.kind, ErrorKind::BudgetInFlight);
}

#[test]
fn parallel_requests_are_counted_while_they_run() {
    let mut draft = draft(1, "100");
    draft.content.limits.rate_limit = Some(RateLimitLine {
        id: RateLimitId::from_uuid(uuid(5)),
        tokens: None,
        requests: None,
        parallel_requests: Some(1),
    });
    let mut log = [1, 2, 3].map(|number| request(number, 1, "a1", "0.1", Outcome::Reported));
    log[0].ending.at = log[2].facts.at;
    let simulation = run(&[draft], &log);
    assert_eq!(simulation.refusals.len(), 1);
    assert_eq!(simulation.refusals[0].at, log[1].facts.at);
    assert_eq!(simulation.refusals[0].kind, ErrorKind::ConcurrencyLimited);
}
