use tollgate_domain::ids::{BusinessUnitId, CopyId, CustomerId, ProfileId, TeamId};
use tollgate_domain::snapshot::{GroupId, GroupProfileMode, KeyHolder, SnapshotChange};
use tollgate_storage::groups::members::{self, Member};
use tollgate_storage::groups::profiles::{self as group_profiles, GroupCopy};
use tollgate_storage::groups::{self, GroupKind, StoredGroup};
use tollgate_storage::{Constraint, PageRequest, StorageError, profiles, users, virtual_keys};

use crate::fixture::{
    Fixture, at, content, in_tx, key, on_both_engines, profile, user, user_id, uuid,
};

fn team(number: u128) -> GroupId {
    GroupId::Team(TeamId::from_uuid(uuid(number)))
}

fn customer(number: u128) -> GroupId {
    GroupId::Customer(CustomerId::from_uuid(uuid(number)))
}

fn member(number: u128) -> Member {
    let user = user(number, &format!("U{number}"));
    Member {
        user: user.id,
        name: user.name,
        email: user.email,
    }
}

fn group(id: GroupId, name: &str, parents: &[GroupId]) -> StoredGroup {
    StoredGroup {
        id,
        name: name.to_owned(),
        description: None,
        content: content(),
        parents: parents.to_vec(),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn group_copy(number: u128, group: GroupId, profile: ProfileId) -> GroupCopy {
    GroupCopy {
        id: CopyId::from_uuid(uuid(number)),
        group,
        parent_profile_id: profile,
        mode: GroupProfileMode::Restrict,
        name: "Engineering".to_owned(),
        profile_version: 1,
        is_active: true,
        assigned_at: at(0),
        detached_at: None,
        content: content(),
        created_at: at(0),
        updated_at: at(0),
    }
}

on_both_engines! {
    async fn groups_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let above = group(customer(1), "Acme", &[]);
        let mut below = group(team(2), "Core", &[above.id]);
        let homeless = groups::create(&mut store.begin().await.unwrap(), &below).await.unwrap_err();
        assert!(matches!(homeless, StorageError::Reference));
        let ((), changes) = in_tx!(store, tx => {
            groups::create(&mut tx, &above).await.unwrap();
            groups::create(&mut tx, &below).await.unwrap();
        });
        assert_eq!(changes, [SnapshotChange::Group(above.id), SnapshotChange::Group(below.id)]);
        assert_eq!(groups::find(store, below.id).await.unwrap(), Some(below.clone()));
        let taken = groups::create(&mut store.begin().await.unwrap(), &group(team(3), "CORE", &[])).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::GroupName));
        let unit = GroupId::BusinessUnit(BusinessUnitId::from_uuid(uuid(4)));
        in_tx!(store, tx => groups::create(&mut tx, &group(unit, "Core", &[])).await.unwrap());

        let stands_above = groups::delete(&mut store.begin().await.unwrap(), above.id).await.unwrap_err();
        assert!(matches!(stands_above, StorageError::Reference));
        below.name = "Kernel".into();
        below.parents = vec![unit];
        below.updated_at = at(3);
        let (changed, changes) = in_tx!(store, tx => groups::update(&mut tx, &below).await.unwrap());
        assert!(changed);
        assert_eq!(changes, [SnapshotChange::Group(below.id)]);
        let page = groups::list(store, GroupKind::Team, Some("ern"), PageRequest::default()).await.unwrap();
        assert_eq!((page.items, page.total), (vec![below.clone()], 1));
        let page = groups::list(store, GroupKind::Customer, None, PageRequest::default()).await.unwrap();
        assert_eq!((page.items.len(), page.total), (1, 1));

        in_tx!(store, tx => {
            users::create(&mut tx, &user(9, "Ada")).await.unwrap();
            members::add(&mut tx, below.id, user_id(9)).await.unwrap();
            let held = key(7, "of the team", KeyHolder::Group(below.id));
            virtual_keys::create(&mut tx, &held, &[1; 32]).await.unwrap();
        });
        let (deleted, changes) = in_tx!(store, tx => groups::delete(&mut tx, below.id).await.unwrap());
        assert!(deleted);
        let expected = [
            SnapshotChange::Key(key(7, "", KeyHolder::Itself).id),
            SnapshotChange::User(user_id(9)),
            SnapshotChange::Group(below.id),
        ];
        assert_eq!(changes, expected);
        let (changed, _) = in_tx!(store, tx => {
            groups::delete(&mut tx, below.id).await.unwrap() || groups::update(&mut tx, &below).await.unwrap()
        });
        assert!(!changed);
    }

    async fn members_come_and_go(fixture: &Fixture) {
        let store = &fixture.store;
        in_tx!(store, tx => {
            for number in 1..=2 {
                users::create(&mut tx, &user(number, &format!("U{number}"))).await.unwrap();
            }
            groups::create(&mut tx, &group(customer(1), "Acme", &[])).await.unwrap();
            groups::create(&mut tx, &group(team(2), "Core", &[])).await.unwrap();
            groups::create(&mut tx, &group(team(3), "Apps", &[])).await.unwrap();
        });
        let ((), changes) = in_tx!(store, tx => {
            members::add(&mut tx, customer(1), user_id(1)).await.unwrap();
            members::add(&mut tx, team(2), user_id(1)).await.unwrap();
            members::add(&mut tx, team(2), user_id(1)).await.unwrap();
            members::add(&mut tx, team(2), user_id(2)).await.unwrap();
        });
        assert_eq!(changes, [SnapshotChange::User(user_id(1)), SnapshotChange::User(user_id(2))]);
        let page = members::list(store, team(2), None, PageRequest { limit: 1, offset: 1 }).await.unwrap();
        assert_eq!((page.items, page.total), (vec![member(2)], 2));
        let page = members::list(store, team(2), Some("u2"), PageRequest::default()).await.unwrap();
        assert_eq!((page.items, page.total), (vec![member(2)], 1));
        let missing = groups::missing(store, &[team(2), team(9), customer(1)]).await.unwrap();
        assert_eq!(missing, [team(9)]);
        let names = groups::names(store, &[team(2), team(9)]).await.unwrap();
        assert_eq!(names.into_keys().collect::<Vec<_>>(), [team(2)]);
        assert_eq!(members::of_user(store, user_id(1)).await.unwrap(), [customer(1), team(2)]);
        let both = members::of_users(store, &[user_id(1), user_id(2)]).await.unwrap();
        assert_eq!(both[&user_id(2)], [team(2)]);

        in_tx!(store, tx => members::set_of_user(&mut tx, user_id(1), GroupKind::Team, &[team(3)]).await.unwrap());
        assert_eq!(members::of_user(store, user_id(1)).await.unwrap(), [customer(1), team(3)]);
        in_tx!(store, tx => {
            assert!(members::remove(&mut tx, team(3), user_id(1)).await.unwrap());
            assert!(!members::remove(&mut tx, team(3), user_id(1)).await.unwrap());
        });
        let homeless = members::add(&mut store.begin().await.unwrap(), team(9), user_id(1)).await.unwrap_err();
        assert!(matches!(homeless, StorageError::Reference));
    }

    async fn a_groups_profile_is_set_taken_away_and_given_back(fixture: &Fixture) {
        let store = &fixture.store;
        let (made, _) = in_tx!(store, tx => {
            groups::create(&mut tx, &group(team(2), "Core", &[])).await.unwrap();
            profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap().id
        });
        let mut held = group_copy(5, team(2), made);
        let ((), changes) = in_tx!(store, tx => group_profiles::put(&mut tx, &held).await.unwrap());
        assert_eq!(changes, [SnapshotChange::Group(team(2))]);
        assert_eq!(group_profiles::find(store, team(2)).await.unwrap(), Some(held.clone()));
        assert_eq!(group_profiles::of_profile(store, made).await.unwrap(), [held.clone()]);
        let still_held = profiles::delete(&mut store.begin().await.unwrap(), made).await.unwrap_err();
        assert!(matches!(still_held, StorageError::Reference));

        let (detached, changes) = in_tx!(store, tx => group_profiles::detach(&mut tx, team(2), at(4)).await.unwrap());
        assert!(detached);
        assert_eq!(changes, [SnapshotChange::Group(team(2))]);
        let (detached, _) = in_tx!(store, tx => group_profiles::detach(&mut tx, team(2), at(5)).await.unwrap());
        assert!(!detached);
        assert_eq!(group_profiles::find(store, team(2)).await.unwrap(), None);
        let kept = group_profiles::find_of(store, team(2), made).await.unwrap().unwrap();
        assert_eq!((kept.id, kept.detached_at), (held.id, Some(at(4))));
        held.mode = GroupProfileMode::Unite;
        in_tx!(store, tx => group_profiles::put(&mut tx, &held).await.unwrap());
        let found = group_profiles::of_groups(store, &[team(2), team(3)]).await.unwrap();
        assert_eq!(found.into_values().collect::<Vec<_>>(), [held]);
    }
}
