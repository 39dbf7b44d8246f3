//! A draft against the log of what was.

use tollgate_domain::access::profile::UserCopy;
use tollgate_domain::access::{Endpoint, MOST_LISTED, Simulation, Simulator};
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::{RequestId, UserId, VirtualKeyId};
use tollgate_domain::{ErrorKind, Timestamp, TokenUsage, Usd};

use crate::world::{NOW, budget, config, copy, uuid};

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

fn draft(usd: &str) -> UserCopy {
    let mut draft = copy(1, vec![config("alpha", "a1 a2", "")]);
    draft.assigned_at = Timestamp::from_micros(0);
    draft.content.limits.budgets = vec![budget(10, usd)];
    draft
}

fn run(draft: &UserCopy, log: &[LogEntry]) -> Simulation {
    let is_priced = |entry: &LogEntry| entry.facts.model != "unpriced";
    let mut simulator = Simulator::new(draft, &is_priced).unwrap();
    for entry in log {
        simulator.replay(entry);
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
    let simulation = run(&draft("1"), &log);
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
            (at(5), ErrorKind::BudgetExceeded)
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
    let simulation = run(&draft("1"), &log);
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
    let mut draft = draft("1");
    draft.content.provider_configs[0].all_models_allowed = true;
    let log = [request(1, 1, "unpriced", "0", Outcome::Reported)];
    assert_eq!(run(&draft, &log).refusals[0].kind, ErrorKind::PriceUnknown);
    draft.content.on_unknown_price = tollgate_domain::access::profile::OnUnknownPrice::Allow;
    assert!(run(&draft, &log).refusals.is_empty());
}

#[test]
fn the_list_is_bounded_and_the_count_is_not() {
    let many = MOST_LISTED as u64 + 5;
    let log: Vec<_> = (0..many)
        .map(|number| request(number, 1, "other", "0", Outcome::Reported))
        .collect();
    let simulation = run(&draft("1"), &log);
    assert_eq!(simulation.refusals.len(), MOST_LISTED);
    assert_eq!(
        simulation
            .holders
            .values()
            .map(|holder| holder.newly_refused)
            .sum::<u64>(),
        many
    );
}
