use std::collections::BTreeMap;

use tollgate_domain::Usd;
use tollgate_domain::ids::{BudgetId, ProfileId};
use tollgate_domain::limits::Boost;
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_storage::copies::overrides::{self, BudgetOverride};
use tollgate_storage::copies::{self, CopySource, expiry};
use tollgate_storage::{Constraint, StorageError, profiles, users};

use crate::fixture::{Fixture, at, copy, in_tx, on_both_engines, profile, user, user_id, uuid};

async fn profile_and_users(fixture: &Fixture, count: u128) -> ProfileId {
    let (made, _) = in_tx!(fixture.store, tx => {
        for number in 1..=count {
            users::create(&mut tx, &user(number, &format!("U{number}"))).await.unwrap();
        }
        profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap()
    });
    made.id
}

on_both_engines! {
    async fn the_end_of_a_copy_is_told_once_for_each_end(fixture: &Fixture) {
        let store = &fixture.store;
        let made = profile_and_users(fixture, 1).await;
        let mut stored = copy(5, user_id(1), made);
        in_tx!(store, tx => copies::create(&mut tx, &stored).await.unwrap());
        let due = async |now| expiry::due(store, at(now), 10).await.unwrap();
        assert_eq!(due(1_000_000).await, []);
        stored.copy.expires_at = Some(at(50));
        in_tx!(store, tx => copies::update(&mut tx, &stored).await.unwrap());
        assert_eq!(due(49).await, []);
        assert_eq!(due(50).await, [stored.copy.id]);
        in_tx!(store, tx => {
            assert!(!expiry::note(&mut tx, stored.copy.id, at(49)).await.unwrap());
            assert!(expiry::note(&mut tx, stored.copy.id, at(50)).await.unwrap());
            assert!(!expiry::note(&mut tx, stored.copy.id, at(50)).await.unwrap());
            // A change of something else does not tell it again, another end does.
            stored.copy.priority += 1;
            copies::update(&mut tx, &stored).await.unwrap();
        });
        assert_eq!(due(60).await, []);
        stored.copy.expires_at = Some(at(60));
        in_tx!(store, tx => copies::update(&mut tx, &stored).await.unwrap());
        assert_eq!(due(60).await, [stored.copy.id]);
        stored.copy.expires_at = None;
        in_tx!(store, tx => copies::update(&mut tx, &stored).await.unwrap());
        assert_eq!(due(1_000_000).await, []);
    }

    async fn a_copy_is_assigned_taken_away_and_given_back(fixture: &Fixture) {
        let store = &fixture.store;
        let made = profile_and_users(fixture, 1).await;
        let mut held = copy(5, user_id(1), made);
        let ((), changes) = in_tx!(store, tx => copies::create(&mut tx, &held).await.unwrap());
        assert_eq!(changes, [SnapshotChange::User(user_id(1))]);
        assert_eq!(copies::of_user(store, user_id(1)).await.unwrap(), [held.clone()]);
        assert_eq!(copies::count_of_profile(store, made).await.unwrap(), 1);
        let twice = copies::create(&mut store.begin().await.unwrap(), &copy(6, user_id(1), made)).await;
        assert!(twice.unwrap_err().conflicts_with(Constraint::UserCopy));

        held.detached_at = Some(at(5));
        held.copy.is_active = false;
        held.copy.expires_at = Some(at(50));
        held.copy.priority = -3;
        held.source = CopySource::Role;
        let ((), changes) = in_tx!(store, tx => copies::update(&mut tx, &held).await.unwrap());
        assert_eq!(changes, [SnapshotChange::User(user_id(1))]);
        assert!(copies::of_user(store, user_id(1)).await.unwrap().is_empty());
        assert_eq!(copies::count_of_profile(store, made).await.unwrap(), 0);
        let kept = copies::find_of(store, user_id(1), made).await.unwrap();
        assert_eq!(kept, Some(held.clone()));

        held.detached_at = None;
        in_tx!(store, tx => copies::update(&mut tx, &held).await.unwrap());
        assert_eq!(copies::find(store, held.copy.id).await.unwrap(), Some(held.clone()));
        assert_eq!(copies::of_user(store, user_id(1)).await.unwrap(), [held]);
    }

    async fn copies_need_their_user_and_profile(fixture: &Fixture) {
        let store = &fixture.store;
        let made = profile_and_users(fixture, 1).await;
        for (user, profile) in [(user_id(9), made), (user_id(1), ProfileId(4_711))] {
            let homeless = copies::create(&mut store.begin().await.unwrap(), &copy(5, user, profile)).await;
            assert!(matches!(homeless.unwrap_err(), StorageError::Reference));
        }
        let unknown = copies::update(&mut store.begin().await.unwrap(), &copy(5, user_id(1), made)).await;
        assert!(matches!(unknown.unwrap_err(), StorageError::Reference));
    }

    async fn holders_are_walked_in_batches(fixture: &Fixture) {
        let store = &fixture.store;
        let made = profile_and_users(fixture, 5).await;
        in_tx!(store, tx => for number in 1..=5 {
            copies::create(&mut tx, &copy(100 + number, user_id(number), made)).await.unwrap();
        });
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let batch = copies::of_profile(store, made, after, 2).await.unwrap();
            assert!(batch.len() <= 2);
            let Some(last) = batch.last() else { break };
            after = Some(last.copy.user_id);
            seen.extend(batch.iter().map(|each| each.copy.user_id));
        }
        assert_eq!(seen, (1..=5).map(user_id).collect::<Vec<_>>());
        let some = copies::of_users(store, &[user_id(2), user_id(4), user_id(9)]).await.unwrap();
        assert_eq!(some.len(), 2);
        assert!(copies::of_users(store, &[]).await.unwrap().is_empty());
    }

    async fn overrides_raise_budgets_until_they_end(fixture: &Fixture) {
        let store = &fixture.store;
        let made = profile_and_users(fixture, 1).await;
        let held = copy(5, user_id(1), made);
        let budget = BudgetId::from_uuid(uuid(900));
        let raise = |amount, ends_at| BudgetOverride {
            budget,
            amount: Usd::from_nanos(amount),
            cycles: Some(2),
            ends_at,
            created_at: at(1),
        };
        in_tx!(store, tx => copies::create(&mut tx, &held).await.unwrap());
        in_tx!(store, tx => overrides::put(&mut tx, held.copy.id, &raise(5, None)).await.unwrap());
        let ((), changes) = in_tx!(store, tx => overrides::put(&mut tx, held.copy.id, &raise(7, Some(at(60)))).await.unwrap());
        assert_eq!(changes, [SnapshotChange::User(user_id(1))]);
        let found = copies::find(store, held.copy.id).await.unwrap().unwrap();
        let expected = BTreeMap::from([(budget, Boost { amount: 7, until: Some(at(60)) })]);
        assert_eq!(found.copy.overrides, expected);
        let listed = overrides::of_copies(store, &[held.copy.id]).await.unwrap();
        assert_eq!(listed[&held.copy.id], [raise(7, Some(at(60)))]);
        let (removed, changes) = in_tx!(store, tx => overrides::remove(&mut tx, held.copy.id, budget).await.unwrap());
        assert!(removed);
        assert_eq!(changes, [SnapshotChange::User(user_id(1))]);
        let (removed, changes) = in_tx!(store, tx => overrides::remove(&mut tx, held.copy.id, budget).await.unwrap());
        assert!(!removed && changes.is_empty());
        let homeless = overrides::put(&mut store.begin().await.unwrap(), copy(6, user_id(1), made).copy.id, &raise(1, None)).await;
        assert!(matches!(homeless.unwrap_err(), StorageError::Reference));
    }
}
