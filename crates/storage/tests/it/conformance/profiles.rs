use tollgate_domain::ids::{BudgetId, ProfileId};
use tollgate_storage::copies;
use tollgate_storage::profiles::rotation::{self, Rotation};
use tollgate_storage::profiles::{self, ProfileFilter, versions};
use tollgate_storage::{Constraint, PageRequest, StorageError, roles, users};

use crate::fixture::{Fixture, at, copy, in_tx, on_both_engines, profile, user, uuid};

on_both_engines! {
    async fn a_profile_is_kept_as_it_was_written(fixture: &Fixture) {
        let store = &fixture.store;
        let (made, changes) = in_tx!(store, tx => profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap());
        assert!(changes.is_empty(), "a template without holders grants nothing");
        assert_eq!((made.version, made.created_at, made.updated_at), (1, at(1), at(1)));
        assert_eq!(made.content, profile("x").content);
        assert_eq!(profiles::find(store, made.id).await.unwrap(), Some(made.clone()));
        let found = profiles::find_by_name(store, "ENGINEERING").await.unwrap();
        assert_eq!(found, Some(made.clone()));
        let line = made.content.limits.budgets[0].id;
        assert_eq!(profiles::with_budget(store, line).await.unwrap(), Some(made.id));
        assert_eq!(profiles::with_budget(store, BudgetId::from_uuid(uuid(999))).await.unwrap(), None);
        let taken = profiles::create(&mut store.begin().await.unwrap(), profile("engineerinG"), "ada", at(1)).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::ProfileName));
    }

    async fn an_update_steps_the_version_and_keeps_the_old_one(fixture: &Fixture) {
        let store = &fixture.store;
        let (mut seen, _) = in_tx!(store, tx => profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap());
        let before = seen.clone();
        seen.name = "Platform".into();
        seen.description = None;
        seen.tags = vec!["ops".to_owned()];
        seen.is_active = false;
        seen.content.provider_configs.clear();
        seen.updated_at = at(2);
        let (stored, _) = in_tx!(store, tx => profiles::update(&mut tx, seen.clone(), "bob").await.unwrap());
        assert_eq!(stored.version, 2);
        assert_eq!(profiles::find(store, stored.id).await.unwrap(), Some(stored.clone()));

        let stale = profiles::update(&mut store.begin().await.unwrap(), seen, "eve").await.unwrap_err();
        assert!(matches!(stale, StorageError::StaleVersion { expected: 1, actual: 2 }), "{stale:?}");

        let page = versions::list(store, stored.id, Some("BOB"), PageRequest::default()).await.unwrap();
        assert_eq!((page.items.len(), page.items[0].version, page.total), (1, 2, 1));
        let page = versions::list(store, stored.id, None, PageRequest::default()).await.unwrap();
        let numbers: Vec<_> = page.items.iter().map(|each| (each.version, each.changed_by.as_str())).collect();
        assert_eq!((numbers, page.total), (vec![(2, "bob"), (1, "ada")], 2));
        let first = versions::find(store, stored.id, 1).await.unwrap().unwrap();
        assert_eq!(first.snapshot.content, before.content);
        assert_eq!((first.snapshot.name.as_str(), &first.snapshot.tags), ("Engineering", &before.tags));
        assert!(first.snapshot_text.contains("\"provider_name\":\"openai\""));
        assert_eq!(versions::find(store, stored.id, 3).await.unwrap(), None);
    }

    async fn profiles_are_listed_by_every_filter(fixture: &Fixture) {
        let store = &fixture.store;
        in_tx!(store, tx => for (name, tags, is_active) in [
            ("Engineering", vec!["Prod", "eu"], true),
            ("Marketing", vec!["eu"], false),
            ("Support", vec![], true),
        ] {
            let mut new = profile(name);
            new.tags = tags.into_iter().map(str::to_owned).collect();
            new.is_active = is_active;
            profiles::create(&mut tx, new, "ada", at(1)).await.unwrap();
        });
        let names = async |filter: ProfileFilter| {
            let page = profiles::list(store, &filter, PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|each| each.name).collect::<Vec<_>>()
        };
        let tagged = |tags: &[&str]| ProfileFilter {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..ProfileFilter::default()
        };
        assert_eq!(names(ProfileFilter::default()).await, ["Engineering", "Marketing", "Support"]);
        assert_eq!(names(tagged(&["EU"])).await, ["Engineering", "Marketing"]);
        assert_eq!(names(tagged(&["prod", "nothing"])).await, ["Engineering"]);
        let active = ProfileFilter { is_active: Some(true), ..tagged(&["eu"]) };
        assert_eq!(names(active).await, ["Engineering"]);
        let search = ProfileFilter { search: Some("for mark".to_owned()), ..ProfileFilter::default() };
        assert_eq!(names(search).await, ["Marketing"]);
        let page = profiles::list(store, &ProfileFilter::default(), PageRequest { limit: 1, offset: 2 }).await.unwrap();
        assert_eq!((page.items.len(), page.total), (1, 3));
    }

    async fn a_profile_that_somebody_holds_is_not_deleted(fixture: &Fixture) {
        let store = &fixture.store;
        let ada = user(1, "Ada");
        let (made, _) = in_tx!(store, tx => {
            users::create(&mut tx, &ada).await.unwrap();
            let made = profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap();
            copies::create(&mut tx, &copy(5, ada.id, made.id)).await.unwrap();
            made
        });
        let held = profiles::delete(&mut store.begin().await.unwrap(), made.id).await.unwrap_err();
        assert!(matches!(held, StorageError::Reference));
        let mut taken = copies::find_of(store, ada.id, made.id).await.unwrap().unwrap();
        taken.detached_at = Some(at(3));
        in_tx!(store, tx => {
            copies::update(&mut tx, &taken).await.unwrap();
            assert!(profiles::delete(&mut tx, made.id).await.unwrap());
            assert!(!profiles::delete(&mut tx, made.id).await.unwrap());
        });
        assert_eq!(copies::find(store, taken.copy.id).await.unwrap(), None);
        let page = profiles::list(store, &ProfileFilter::default(), PageRequest::default()).await.unwrap();
        assert_eq!(page.total, 0);
    }

    async fn ids_of_deleted_profiles_are_not_given_again(fixture: &Fixture) {
        let store = &fixture.store;
        let (first, _) = in_tx!(store, tx => {
            let made = profiles::create(&mut tx, profile("One"), "ada", at(1)).await.unwrap();
            profiles::delete(&mut tx, made.id).await.unwrap();
            made.id
        });
        let (second, _) = in_tx!(store, tx => profiles::create(&mut tx, profile("Two"), "ada", at(1)).await.unwrap());
        assert!(second.id > first);
    }

    async fn provider_config_ids_never_repeat(fixture: &Fixture) {
        let store = &fixture.store;
        let (mut first, _) = in_tx!(store, tx => profiles::next_provider_config_ids(&mut tx, 3).await.unwrap());
        let (second, _) = in_tx!(store, tx => profiles::next_provider_config_ids(&mut tx, 2).await.unwrap());
        let (none, _) = in_tx!(store, tx => profiles::next_provider_config_ids(&mut tx, 0).await.unwrap());
        assert_eq!((first.len(), second.len(), none.len()), (3, 2, 0));
        first.extend(second);
        first.sort();
        first.dedup();
        assert_eq!(first.len(), 5);
    }

    async fn rotations_are_due_in_order_and_once(fixture: &Fixture) {
        let store = &fixture.store;
        let next = |seconds| Rotation { next_at: Some(at(seconds)), last_at: None };
        let found = async |id| profiles::find(store, id).await.unwrap().unwrap().rotation;
        let (ids, _) = in_tx!(store, tx => {
            let mut ids = Vec::new();
            for (name, seconds) in [("One", 20), ("Two", 10), ("Three", 30)] {
                let made = profiles::create(&mut tx, profile(name), "ada", at(0)).await.unwrap();
                assert_eq!(made.rotation, Rotation::default());
                assert!(rotation::set(&mut tx, made.id, next(seconds)).await.unwrap());
                ids.push(made.id);
            }
            assert!(!rotation::set(&mut tx, ProfileId(4_711), next(1)).await.unwrap());
            ids
        });
        assert_eq!(rotation::due(store, at(9), 9).await.unwrap(), []);
        assert_eq!(rotation::due(store, at(20), 9).await.unwrap(), [ids[1], ids[0]]);
        assert_eq!(rotation::due(store, at(99), 1).await.unwrap(), [ids[1]]);
        let done = Rotation { next_at: Some(at(110)), last_at: Some(at(10)) };
        in_tx!(store, tx => assert!(rotation::set(&mut tx, ids[1], done).await.unwrap()));
        assert_eq!(rotation::due(store, at(20), 9).await.unwrap(), [ids[0]]);
        assert_eq!(found(ids[1]).await, done);
    }

    async fn a_rotation_under_way_is_remembered_until_it_is_over_or_put_off(fixture: &Fixture) {
        let store = &fixture.store;
        let mut new = profile("One");
        new.content.auto_rotation_interval_ns = 3_600_000_000_000;
        let (mut made, _) = in_tx!(store, tx => profiles::create(&mut tx, new, "ada", at(0)).await.unwrap());
        assert_eq!(made.rotation, Rotation { next_at: Some(at(3_600)), last_at: None });
        assert_eq!(rotation::cursor(store, made.id).await.unwrap(), None);
        let ada = user(1, "Ada").id;
        in_tx!(store, tx => {
            assert!(rotation::set_cursor(&mut tx, made.id, ada).await.unwrap());
            assert!(!rotation::set_cursor(&mut tx, ProfileId(4_711), ada).await.unwrap());
        });
        assert_eq!(rotation::cursor(store, ProfileId(4_711)).await.unwrap(), None);
        let update = async |changed| in_tx!(store, tx => profiles::update(&mut tx, changed, "ada").await.unwrap()).0;
        made = update(made.clone()).await;
        assert_eq!(rotation::cursor(store, made.id).await.unwrap(), Some(ada), "an edit of other things leaves it alone");
        made.rotation.next_at = Some(at(7_200));
        made = update(made.clone()).await;
        assert_eq!(rotation::cursor(store, made.id).await.unwrap(), None);
        assert_eq!(profiles::find(store, made.id).await.unwrap(), Some(made.clone()));
        in_tx!(store, tx => {
            rotation::set_cursor(&mut tx, made.id, ada).await.unwrap();
            rotation::set(&mut tx, made.id, made.rotation).await.unwrap();
        });
        assert_eq!(rotation::cursor(store, made.id).await.unwrap(), None);
    }

    async fn profiles_come_with_roles(fixture: &Fixture) {
        let store = &fixture.store;
        let viewer = roles::find_by_name(store, "Viewer").await.unwrap().unwrap().id;
        let (made, _) = in_tx!(store, tx => {
            let made = profiles::create(&mut tx, profile("Engineering"), "ada", at(1)).await.unwrap();
            profiles::roles::attach(&mut tx, made.id, viewer, false, at(1)).await.unwrap();
            profiles::roles::attach(&mut tx, made.id, viewer, true, at(2)).await.unwrap();
            made.id
        });
        let found = profiles::roles::of_profile(store, made).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].role_name.as_str(), found[0].is_default, found[0].created_at), ("Viewer", true, at(1)));
        assert_eq!(profiles::roles::of_role(store, viewer).await.unwrap(), found);
        in_tx!(store, tx => {
            assert!(profiles::roles::detach(&mut tx, made, viewer).await.unwrap());
            assert!(!profiles::roles::detach(&mut tx, made, viewer).await.unwrap());
        });
        assert!(profiles::roles::of_role(store, viewer).await.unwrap().is_empty());
    }
}
