use tollgate_domain::Usd;
use tollgate_domain::accounting::{Corrected, Correction, Outcome};
use tollgate_domain::ids::{AuditEntryId, ProfileId};
use tollgate_domain::live::{CorrectionNote, Once};
use tollgate_storage::Constraint;
use tollgate_storage::audit::{self, AuditFilter, ChainCheck};
use tollgate_storage::idempotency::{self, Recorded, RecordedAnswer};
use tollgate_storage::in_doubt::{self, InDoubtFilter};
use tollgate_storage::{PageRequest, Store};

use crate::fixture::journal::{amount, batch, ended, facts, hold, request};
use crate::fixture::{Fixture, at, in_tx, key_id, on_both_engines, user_id, uuid};

fn everything() -> InDoubtFilter {
    InDoubtFilter::default()
}

/// Three, of which the last is another user's, and has been written off.
async fn three(store: &Store) {
    let mut other = hold(3, Vec::new());
    other.facts.user = Some(user_id(2));
    other.facts.key = key_id(2);
    other.facts.profile = None;
    other.facts.provider = "acme".parse().unwrap();
    "small".clone_into(&mut other.facts.model);
    let mut piece = batch(0, 10);
    piece.in_doubt = vec![
        hold(1, vec![amount(1, 3_600, 90)]),
        hold(2, vec![amount(1, 3_600, 90)]),
        other,
    ];
    piece.log = (1..=3)
        .map(|number| {
            let mut entry = ended(number, Outcome::InDoubt, 90);
            entry.ending.error_code = Some("interrupted".to_owned());
            entry
        })
        .collect();
    store.fold(&piece).await.unwrap();
    let mut correction = batch(10, 20);
    correction.resolved = vec![(request(3), Usd::from_nanos(7), at(15))];
    store.fold(&correction).await.unwrap();
}

fn correction(number: u128, of: Corrected, before: i64, after: i64) -> Correction {
    Correction {
        at: at(15),
        note: CorrectionNote {
            id: AuditEntryId::from_uuid(uuid(number)),
            actor: "mk_1".to_owned(),
            reason: "the invoice \"42\"".to_owned(),
            profile: Some(ProfileId(4)),
            user: Some(user_id(1)),
            once: None,
        },
        of,
        before: Usd::from_nanos(before),
        after: Usd::from_nanos(after),
    }
}

on_both_engines! {
    async fn amounts_in_doubt_are_listed_newest_first_by_every_filter(fixture: &Fixture) {
        let store = &fixture.store;
        three(store).await;
        let listed = async |filter: InDoubtFilter| {
            let page = in_doubt::list(store, &filter, PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64, "{filter:?}");
            page.items.iter().map(|each| each.charged.facts.request.uuid().as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(listed(everything()).await, [3, 2, 1]);
        assert_eq!(listed(InDoubtFilter { is_resolved: Some(false), ..everything() }).await, [2, 1]);
        assert_eq!(listed(InDoubtFilter { is_resolved: Some(true), ..everything() }).await, [3]);
        assert_eq!(listed(InDoubtFilter { from: Some(at(2)), ..everything() }).await, [3, 2]);
        assert_eq!(listed(InDoubtFilter { to: Some(at(2)), ..everything() }).await, [1]);
        assert_eq!(listed(InDoubtFilter { key: Some(key_id(2)), ..everything() }).await, [3]);
        assert_eq!(listed(InDoubtFilter { user: Some(user_id(1)), ..everything() }).await, [2, 1]);
        assert_eq!(listed(InDoubtFilter { profile: Some(ProfileId(4)), ..everything() }).await, [2, 1]);
        assert_eq!(listed(InDoubtFilter { provider: Some("acme".parse().unwrap()), ..everything() }).await, [3]);
        assert_eq!(listed(InDoubtFilter { model: Some("gpt-4o".to_owned()), ..everything() }).await, [2, 1]);
        assert_eq!(listed(InDoubtFilter { search: Some("CME".to_owned()), ..everything() }).await, [3]);
        let page = in_doubt::list(store, &everything(), PageRequest { limit: 1, offset: 1 }).await.unwrap();
        assert_eq!((page.items.len(), page.total), (1, 3));
        assert_eq!(page.items[0].charged.facts, facts(2));
    }

    async fn one_amount_in_doubt_says_everything(fixture: &Fixture) {
        let store = &fixture.store;
        three(store).await;
        let open = in_doubt::find(store, request(1)).await.unwrap().unwrap();
        assert_eq!(open.charged, hold(1, vec![amount(1, 3_600, 90)]));
        assert_eq!(open.ended_at, Some(ended(1, Outcome::InDoubt, 90).ending.at));
        assert_eq!((open.error_code.as_deref(), open.resolved), (Some("interrupted"), None));
        let resolved = in_doubt::find(store, request(3)).await.unwrap().unwrap();
        assert_eq!(resolved.resolved, Some((at(15), Usd::from_nanos(7))));
        assert_eq!(resolved.charged.facts.reserved_cost, Usd::from_nanos(90));
        assert_eq!(in_doubt::find(store, request(9)).await.unwrap(), None);
    }

    async fn corrections_by_hand_are_in_the_audit_trail_once(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 10);
        piece.counters = vec![amount(1, 3_600, -500_000_000)];
        piece.corrections = vec![
            correction(1, Corrected::Budget(amount(1, 3_600, -500_000_000)), 1_500_000_000, 1_000_000_000),
            correction(2, Corrected::InDoubt(request(1)), 90, 0),
        ];
        store.fold(&piece).await.unwrap();
        store.fold(&piece).await.unwrap();
        let trail = audit::list(store, &AuditFilter::default(), PageRequest::default()).await.unwrap();
        assert_eq!(trail.total, 2);
        let (resolved, adjusted) = (&trail.items[0], &trail.items[1]);
        assert_eq!(adjusted.id, AuditEntryId::from_uuid(uuid(1)));
        assert_eq!((adjusted.action.as_str(), adjusted.target_kind.as_str()), ("adjust", "budget"));
        assert_eq!(adjusted.target_id, format!("bud_{}", uuid(1).as_simple()));
        assert_eq!((adjusted.profile, adjusted.user, adjusted.at), (Some(ProfileId(4)), Some(user_id(1)), at(15)));
        assert_eq!(adjusted.previous_values.as_deref(), Some("{\"current_usage\":1.5}"));
        assert_eq!(adjusted.new_values.as_deref(), Some("{\"current_usage\":1}"));
        assert_eq!(
            adjusted.metadata.as_deref(),
            Some("{\"reason\":\"the invoice \\\"42\\\"\",\"window\":{\"reset_duration\":\"1h\",\
                  \"start\":\"2026-11-11T12:30:00Z\",\"end\":\"2026-11-11T13:30:00Z\"}}")
        );
        assert_eq!((resolved.action.as_str(), resolved.target_kind.as_str()), ("resolve", "in_doubt"));
        assert_eq!(resolved.target_id, request(1).to_string());
        assert_eq!(resolved.previous_values.as_deref(), Some("{\"cost_usd\":0.00000009}"));
        assert_eq!(resolved.new_values.as_deref(), Some("{\"cost_usd\":0}"));
        assert_eq!(audit::verify(store).await.unwrap(), ChainCheck::Intact { entries: 2 });
    }

    async fn correction_with_a_key_is_known_until_its_answer_is(fixture: &Fixture) {
        const DAY: i64 = 24 * 3_600;
        let store = &fixture.store;
        let once = |key: &str, number| Once { key: key.to_owned(), fingerprint: [number; 32] };
        let correct = async |number: u128, key: &str, fingerprint: u8, when: i64| {
            let from = u64::try_from(10 * (number - 1)).unwrap();
            let mut piece = batch(from, from + 10);
            let mut one = correction(number, Corrected::Budget(amount(1, 3_600, 5)), 0, 5);
            one.at = at(when);
            one.note.once = Some(once(key, fingerprint));
            piece.last_instant = at(when);
            piece.corrections = vec![one];
            store.fold(&piece).await.unwrap();
        };
        let known = async || {
            let made = store.ledger_state().await.unwrap().made_once;
            made.into_iter().map(|one| (one.actor, one.once, one.at)).collect::<Vec<_>>()
        };
        let answer = |fingerprint, when| RecordedAnswer {
            fingerprint: [fingerprint; 32],
            status: 200,
            headers: Vec::new(),
            body: "{}".to_owned(),
            created_at: at(when),
        };
        correct(1, "a", 7, 15).await;
        let found = idempotency::find(store, "mk_1", "a", at(15)).await.unwrap();
        assert_eq!(found, Some(Recorded::Made { fingerprint: [7; 32] }));
        assert_eq!(known().await, [("mk_1".to_owned(), once("a", 7), at(15))]);
        // The answer of another request with the key does not take its place, the right one does.
        let mut tx = store.begin().await.unwrap();
        let other = idempotency::record(&mut tx, "mk_1", "a", &answer(8, 16)).await.unwrap_err();
        assert!(other.conflicts_with(Constraint::IdempotencyKey));
        drop(tx);
        in_tx!(store, tx => idempotency::record(&mut tx, "mk_1", "a", &answer(7, 16)).await.unwrap());
        let found = idempotency::find(store, "mk_1", "a", at(15)).await.unwrap();
        assert_eq!(found, Some(Recorded::Answer(answer(7, 16))));
        assert_eq!(known().await, []);
        // An answer that is faster than the fold stays.
        in_tx!(store, tx => idempotency::record(&mut tx, "mk_1", "b", &answer(7, 20)).await.unwrap());
        correct(2, "b", 7, 19).await;
        let found = idempotency::find(store, "mk_1", "b", at(15)).await.unwrap();
        assert_eq!(found, Some(Recorded::Answer(answer(7, 20))));
        // What is older than a day gives way to the next use of the key, whoever looks.
        correct(3, "b", 9, 21 + DAY).await;
        assert_eq!(known().await, [("mk_1".to_owned(), once("b", 9), at(21 + DAY))]);
        correct(4, "c", 9, 22 + 2 * DAY).await;
        assert_eq!(known().await, [("mk_1".to_owned(), once("c", 9), at(22 + 2 * DAY))]);
    }
}
