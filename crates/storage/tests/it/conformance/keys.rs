use tollgate_domain::snapshot::{KeyHolder, SnapshotChange};
use tollgate_storage::virtual_keys::{self, Rotation, VirtualKeyFilter};
use tollgate_storage::{Constraint, PageRequest, StorageError, users};

use crate::fixture::{Fixture, at, content, in_tx, key, key_id, on_both_engines, user, user_id};

on_both_engines! {
    async fn a_key_is_found_by_its_secrets_hash_only(fixture: &Fixture) {
        let store = &fixture.store;
        let ada = user(1, "Ada");
        let mut made = key(5, "laptop", KeyHolder::User(ada.id));
        made.content = content();
        made.expires_at = Some(at(500));
        let ((), changes) = in_tx!(store, tx => {
            users::create(&mut tx, &ada).await.unwrap();
            virtual_keys::create(&mut tx, &made, &[1; 32]).await.unwrap();
        });
        assert_eq!(changes, [SnapshotChange::User(ada.id), SnapshotChange::Key(made.id)]);
        assert_eq!(virtual_keys::find(store, made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(virtual_keys::find_by_hash(store, &[1; 32], at(0)).await.unwrap(), Some(made.clone()));
        assert_eq!(virtual_keys::find_by_hash(store, &[2; 32], at(0)).await.unwrap(), None);
        assert_eq!(virtual_keys::of_user(store, ada.id).await.unwrap(), [made]);
    }

    async fn names_and_secrets_are_unique_and_holders_exist(fixture: &Fixture) {
        let store = &fixture.store;
        in_tx!(store, tx => virtual_keys::create(&mut tx, &key(1, "Laptop", KeyHolder::Itself), &[1; 32]).await.unwrap());
        let create = async |key, hash| {
            virtual_keys::create(&mut store.begin().await.unwrap(), &key, &hash).await.unwrap_err()
        };
        let error = create(key(2, "LAPTOP", KeyHolder::Itself), [2; 32]).await;
        assert!(error.conflicts_with(Constraint::VirtualKeyName), "{error:?}");
        let error = create(key(2, "desk", KeyHolder::Itself), [1; 32]).await;
        assert!(error.conflicts_with(Constraint::VirtualKeySecret), "{error:?}");
        let error = create(key(2, "desk", KeyHolder::User(user_id(9))), [2; 32]).await;
        assert!(matches!(error, StorageError::Reference), "{error:?}");
    }

    async fn rotation_honours_the_old_secret_for_its_grace_time(fixture: &Fixture) {
        let store = &fixture.store;
        let made = key(1, "laptop", KeyHolder::Itself);
        in_tx!(store, tx => virtual_keys::create(&mut tx, &made, &[1; 32]).await.unwrap());
        let rotation = |secret_hash, honour_old_until| Rotation {
            secret_hash,
            masked_value: "sk-tg-…new",
            honour_old_until,
            at: at(10),
        };
        let (rotated, changes) = in_tx!(store, tx => virtual_keys::rotate(&mut tx, made.id, rotation(&[2; 32], Some(at(60)))).await.unwrap());
        assert!(rotated);
        assert_eq!(changes, [SnapshotChange::Key(made.id)]);
        let by = async |hash: u8, when| virtual_keys::find_by_hash(store, &[hash; 32], at(when)).await.unwrap();
        assert_eq!(by(2, 59).await.unwrap().masked_value, "sk-tg-…new");
        assert_eq!(by(1, 59).await.unwrap().previous_until, Some(at(60)));
        assert_eq!(by(1, 60).await, None);
        // At once: the secret before is gone, and so is the one before that.
        in_tx!(store, tx => virtual_keys::rotate(&mut tx, made.id, rotation(&[3; 32], None)).await.unwrap());
        assert!(by(3, 20).await.is_some());
        assert_eq!((by(2, 20).await, by(1, 20).await), (None, None));
        let (rotated, _) = in_tx!(store, tx => virtual_keys::rotate(&mut tx, key_id(9), rotation(&[4; 32], None)).await.unwrap());
        assert!(!rotated);
    }

    async fn keys_change_and_go(fixture: &Fixture) {
        let store = &fixture.store;
        let mut made = key(1, "laptop", KeyHolder::Itself);
        in_tx!(store, tx => virtual_keys::create(&mut tx, &made, &[1; 32]).await.unwrap());
        made.name = "Desktop".into();
        made.description = Some("at home".to_owned());
        made.is_active = false;
        made.content = content();
        made.updated_at = at(7);
        let (changed, changes) = in_tx!(store, tx => virtual_keys::update(&mut tx, &made).await.unwrap());
        assert!(changed);
        assert_eq!(changes, [SnapshotChange::Key(made.id)]);
        assert_eq!(virtual_keys::find_by_hash(store, &[1; 32], at(0)).await.unwrap(), Some(made.clone()));
        let (deleted, changes) = in_tx!(store, tx => virtual_keys::delete(&mut tx, made.id).await.unwrap());
        assert!(deleted);
        assert_eq!(changes, [SnapshotChange::Key(made.id)]);
        let (changed, changes) = in_tx!(store, tx => {
            virtual_keys::update(&mut tx, &made).await.unwrap() || virtual_keys::delete(&mut tx, made.id).await.unwrap()
        });
        assert!(!changed && changes.is_empty());
    }

    async fn keys_are_listed_by_holder_and_name(fixture: &Fixture) {
        let store = &fixture.store;
        let ada = user(1, "Ada");
        in_tx!(store, tx => {
            users::create(&mut tx, &ada).await.unwrap();
            for (number, name, holder) in [
                (1, "laptop", KeyHolder::User(ada.id)),
                (2, "desktop", KeyHolder::User(ada.id)),
                (3, "lone laptop", KeyHolder::Itself),
            ] {
                let hash = [u8::try_from(number).unwrap(); 32];
                virtual_keys::create(&mut tx, &key(number, name, holder), &hash).await.unwrap();
            }
        });
        let names = async |search: Option<&str>, user| {
            let filter = VirtualKeyFilter { search: search.map(str::to_owned), user, group: None };
            let page = virtual_keys::list(store, &filter, PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|each| each.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None, None).await, ["laptop", "desktop", "lone laptop"]);
        assert_eq!(names(Some("LAPTOP"), None).await, ["laptop", "lone laptop"]);
        assert_eq!(names(Some("top"), Some(ada.id)).await, ["laptop", "desktop"]);
    }
}
