use secrecy::{ExposeSecret, SecretString};
use tollgate_domain::snapshot::{KeyHolder, SnapshotChange};
use tollgate_storage::virtual_keys::{self, Rotation, VirtualKeyFilter, waiting};
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

    async fn a_new_secret_waits_for_its_holder_once_and_not_for_ever(fixture: &Fixture) {
        let store = &fixture.store;
        let (one, two) = (key(1, "One", KeyHolder::Itself), key(2, "Two", KeyHolder::Itself));
        let secret: SecretString = "sk-tg-hidden".into();
        in_tx!(store, tx => {
            for (number, each) in [(1, &one), (2, &two)] {
                virtual_keys::create(&mut tx, each, &[number; 32]).await.unwrap();
                let rotation = Rotation { secret_hash: &[number + 10; 32], masked_value: "new", honour_old_until: Some(at(60)), at: at(1) };
                virtual_keys::rotate(&mut tx, each.id, rotation).await.unwrap();
                waiting::put(&mut tx, each.id, &"sk-tg-older".into(), at(30), at(0)).await.unwrap();
                waiting::put(&mut tx, each.id, &secret, at(60), at(1)).await.unwrap();
            }
        });
        let unknown = waiting::put(&mut store.begin().await.unwrap(), key_id(9), &secret, at(60), at(1)).await;
        assert!(matches!(unknown.unwrap_err(), StorageError::Reference));
        let sealed = fixture.read_text("select value_sealed from key_rotations").await;
        assert!(sealed.len() > 20 && !sealed.contains("hidden"), "{sealed}");
        let (shorter, changes) = in_tx!(store, tx => {
            assert!(!waiting::shorten(&mut tx, one.id, at(60)).await.unwrap());
            waiting::shorten(&mut tx, one.id, at(50)).await.unwrap()
        });
        assert_eq!((shorter, changes), (true, vec![SnapshotChange::Key(one.id)]));
        assert_eq!(waiting::find(store, one.id).await.unwrap(), Some(at(50)));
        assert_eq!(virtual_keys::find(store, one.id).await.unwrap().unwrap().previous_until, Some(at(50)));
        let take = async |id, second| in_tx!(store, tx => waiting::take(&mut tx, id, at(second)).await.unwrap()).0;
        assert!(take(one.id, 50).await.is_none(), "too late");
        assert_eq!(take(one.id, 49).await.unwrap().expose_secret(), "sk-tg-hidden");
        assert!(take(one.id, 49).await.is_none(), "once");
        assert_eq!(waiting::expired(store, at(59), 9).await.unwrap(), []);
        assert_eq!(waiting::expired(store, at(60), 9).await.unwrap(), [two.id]);
        in_tx!(store, tx => {
            assert!(!waiting::lose(&mut tx, two.id, at(59)).await.unwrap());
            assert!(waiting::lose(&mut tx, two.id, at(60)).await.unwrap());
            assert!(!waiting::lose(&mut tx, two.id, at(60)).await.unwrap());
            waiting::put(&mut tx, two.id, &secret, at(90), at(61)).await.unwrap();
            let rotation = Rotation { secret_hash: &[7; 32], masked_value: "by hand", honour_old_until: None, at: at(62) };
            virtual_keys::rotate(&mut tx, two.id, rotation).await.unwrap();
        });
        assert_eq!(waiting::find(store, two.id).await.unwrap(), None, "a rotation by hand makes it void");
    }
}
