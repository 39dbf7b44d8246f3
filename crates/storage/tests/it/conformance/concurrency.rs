use std::sync::atomic::{AtomicI64, Ordering};

use tokio::task::JoinSet;
use tollgate_domain::ids::{AuditEntryId, ProfileId};
use tollgate_storage::audit::{self, ChainCheck, NewAuditEntry};
use tollgate_storage::profiles::{self, versions};
use tollgate_storage::{PageRequest, StorageError, Store};

use crate::fixture::{Fixture, at, in_tx, on_both_engines, profile, uuid};

const WRITERS: u128 = 100;

/// Reads the profile, raises a number inside it, and writes it back, like a client that sends `If-Match`: again and
/// again until nobody came between.
async fn raise(store: Store, id: ProfileId, writer: u128, stale: &'static AtomicI64) {
    loop {
        let mut seen = profiles::find(&store, id).await.unwrap().unwrap();
        seen.content.auto_rotation_interval_ns += 1;
        seen.updated_at = at(5);
        let mut tx = store.begin().await.unwrap();
        match profiles::update(&mut tx, seen, "writer").await {
            Ok(_) => {
                let entry = NewAuditEntry {
                    id: AuditEntryId::from_uuid(uuid(writer)),
                    at: at(5),
                    actor: "writer".to_owned(),
                    action: "update",
                    target_kind: "access_profile",
                    target_id: id.to_string(),
                    profile: Some(id),
                    user: None,
                    previous_values: None,
                    new_values: None,
                    metadata: None,
                };
                audit::append(&mut tx, entry).await.unwrap();
                assert!(tx.commit().await.unwrap().is_empty());
                return;
            }
            Err(StorageError::StaleVersion { .. }) => {
                stale.fetch_add(1, Ordering::Relaxed);
                tx.rollback().await.unwrap();
            }
            Err(error) => unreachable!("{error:?}"),
        }
    }
}

async fn hundred_writers(fixture: &Fixture, profiles_count: u128, stale: &'static AtomicI64) {
    let store = &fixture.store;
    let (ids, _) = in_tx!(store, tx => {
        let mut ids = Vec::new();
        for number in 0..profiles_count {
            let new = profile(&format!("P{number}"));
            ids.push(profiles::create(&mut tx, new, "ada", at(0)).await.unwrap().id);
        }
        ids
    });
    let mut writers = JoinSet::new();
    for writer in 1..=WRITERS {
        let id = ids[usize::try_from(writer % profiles_count).unwrap()];
        writers.spawn(raise(store.clone(), id, writer, stale));
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let mut raised = 0;
    for id in ids {
        let found = profiles::find(store, id).await.unwrap().unwrap();
        let all = versions::list(
            store,
            id,
            None,
            PageRequest {
                limit: 200,
                offset: 0,
            },
        )
        .await
        .unwrap();
        let numbers: Vec<i64> = all.items.iter().rev().map(|each| each.version).collect();
        assert_eq!(
            numbers,
            (1..=found.version).collect::<Vec<_>>(),
            "versions have no gaps"
        );
        assert_eq!(
            found.content.auto_rotation_interval_ns,
            found.version - 1,
            "no update is lost"
        );
        raised += found.version - 1;
    }
    assert_eq!(raised, i64::try_from(WRITERS).unwrap());
    assert_eq!(
        audit::verify(store).await.unwrap(),
        ChainCheck::Intact { entries: 100 }
    );
}

on_both_engines! {
    async fn a_hundred_writers_on_one_profile_lose_nothing(fixture: &Fixture) {
        static STALE: AtomicI64 = AtomicI64::new(0);
        hundred_writers(fixture, 1, &STALE).await;
        assert!(STALE.load(Ordering::Relaxed) > 0, "the writers never met");
    }

    async fn a_hundred_writers_on_ten_profiles_lose_nothing(fixture: &Fixture) {
        static STALE: AtomicI64 = AtomicI64::new(0);
        hundred_writers(fixture, 10, &STALE).await;
    }

    async fn reads_go_on_while_a_write_is_open(fixture: &Fixture) {
        let store = &fixture.store;
        let mut tx = store.begin().await.unwrap();
        let made = profiles::create(&mut tx, profile("Engineering"), "ada", at(0)).await.unwrap();
        assert_eq!(profiles::find(store, made.id).await.unwrap(), None);
        assert!(tx.commit().await.unwrap().is_empty());
        assert_eq!(profiles::find(store, made.id).await.unwrap(), Some(made));
    }
}
