use tollgate_domain::ids::{AuditEntryId, ProfileId};
use tollgate_storage::audit::{self, AuditFilter, ChainCheck, NewAuditEntry};
use tollgate_storage::idempotency::{self, Recorded, RecordedAnswer};
use tollgate_storage::{Constraint, PageRequest, Store};

use crate::fixture::{Fixture, at, in_tx, on_both_engines, user_id, uuid};

fn entry(number: u128, action: &'static str) -> NewAuditEntry {
    NewAuditEntry {
        id: AuditEntryId::from_uuid(uuid(number)),
        at: at(i64::try_from(number).unwrap()),
        actor: "key tgm-abcd".to_owned(),
        action,
        target_kind: "access_profile",
        target_id: "4".to_owned(),
        profile: Some(ProfileId(4)),
        user: None,
        previous_values: None,
        new_values: Some("{\"name\":\"x\"}".to_owned()),
        metadata: None,
    }
}

async fn three_entries(store: &Store) {
    in_tx!(store, tx => {
        audit::append(&mut tx, entry(1, "create")).await.unwrap();
        audit::append(&mut tx, entry(2, "update")).await.unwrap();
    });
    let mut assigned = entry(3, "assign");
    assigned.user = Some(user_id(1));
    assigned.profile = None;
    assigned.target_kind = "user";
    assigned.target_id = user_id(1).to_string();
    in_tx!(store, tx => audit::append(&mut tx, assigned).await.unwrap());
}

on_both_engines! {
    async fn entries_are_listed_newest_first_by_every_filter(fixture: &Fixture) {
        let store = &fixture.store;
        three_entries(store).await;
        let listed = async |filter: AuditFilter| {
            let page = audit::list(store, &filter, PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|each| each.action).collect::<Vec<_>>()
        };
        let everything = AuditFilter::default;
        assert_eq!(listed(everything()).await, ["assign", "update", "create"]);
        assert_eq!(listed(AuditFilter { profile: Some(ProfileId(4)), ..everything() }).await, ["update", "create"]);
        assert_eq!(listed(AuditFilter { user: Some(user_id(1)), ..everything() }).await, ["assign"]);
        assert_eq!(listed(AuditFilter { action: Some("update".to_owned()), ..everything() }).await, ["update"]);
        assert_eq!(listed(AuditFilter { target_kind: Some("user".to_owned()), ..everything() }).await, ["assign"]);
        assert_eq!(listed(AuditFilter { target_id: Some("4".to_owned()), ..everything() }).await, ["update", "create"]);
        for (wanted, expected) in [("PDAT", vec!["update"]), ("ser_0", vec!["assign"]), ("a%e", vec![])] {
            let filter = AuditFilter { search: Some(wanted.to_owned()), ..everything() };
            assert_eq!(listed(filter).await, expected, "{wanted}");
        }
        let page = audit::list(store, &everything(), PageRequest { limit: 1, offset: 2 }).await.unwrap();
        assert_eq!((page.items[0].position, page.total), (1, 3));
        assert_eq!(page.items[0].new_values.as_deref(), Some("{\"name\":\"x\"}"));
    }

    async fn the_chain_is_intact_until_somebody_rewrites_it(fixture: &Fixture) {
        let store = &fixture.store;
        assert_eq!(audit::verify(store).await.unwrap(), ChainCheck::Intact { entries: 0 });
        three_entries(store).await;
        assert_eq!(audit::verify(store).await.unwrap(), ChainCheck::Intact { entries: 3 });
        fixture.read_text("update audit_entries set actor = 'somebody else' where position = 2 returning actor").await;
        assert_eq!(audit::verify(store).await.unwrap(), ChainCheck::Broken { position: 2 });
    }

    async fn a_missing_entry_breaks_the_chain(fixture: &Fixture) {
        three_entries(&fixture.store).await;
        fixture.read_text("delete from audit_entries where position = 1 returning actor").await;
        assert_eq!(audit::verify(&fixture.store).await.unwrap(), ChainCheck::Broken { position: 2 });
    }

    async fn an_entry_of_an_abandoned_write_does_not_exist(fixture: &Fixture) {
        let store = &fixture.store;
        let mut tx = store.begin().await.unwrap();
        audit::append(&mut tx, entry(1, "create")).await.unwrap();
        drop(tx);
        three_entries(store).await;
        assert_eq!(audit::verify(store).await.unwrap(), ChainCheck::Intact { entries: 3 });
    }

    async fn answers_are_given_again_for_their_time(fixture: &Fixture) {
        let store = &fixture.store;
        let answer = |body: &str, when| RecordedAnswer {
            fingerprint: [5; 32],
            status: 201,
            headers: vec![("etag".to_owned(), "\"3\"".to_owned())],
            body: body.to_owned(),
            created_at: at(when),
        };
        let find = async |actor: &'static str, since| idempotency::find(store, actor, "k", at(since)).await.unwrap();
        in_tx!(store, tx => idempotency::record(&mut tx, "ada", "k", &answer("{}", 10)).await.unwrap());
        assert_eq!(find("ada", 10).await, Some(Recorded::Answer(answer("{}", 10))));
        assert_eq!(find("ada", 11).await, None);
        assert_eq!(find("bob", 0).await, None);
        let mut tx = store.begin().await.unwrap();
        let again = idempotency::record(&mut tx, "ada", "k", &answer("[]", 90)).await.unwrap_err();
        assert!(again.conflicts_with(Constraint::IdempotencyKey));
        drop(tx);
        assert_eq!(find("ada", 0).await, Some(Recorded::Answer(answer("{}", 10))));
        in_tx!(store, tx => {
            assert_eq!(idempotency::forget(&mut tx, at(11)).await.unwrap(), 1);
            idempotency::record(&mut tx, "ada", "k", &answer("[]", 90)).await.unwrap();
        });
        assert_eq!(find("ada", 0).await, Some(Recorded::Answer(answer("[]", 90))));
        let (forgotten, _) = in_tx!(store, tx => idempotency::forget(&mut tx, at(90)).await.unwrap());
        assert_eq!(forgotten, 0);
        let (forgotten, _) = in_tx!(store, tx => idempotency::forget(&mut tx, at(91)).await.unwrap());
        assert_eq!(forgotten, 1);
    }
}
