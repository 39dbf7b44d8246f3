use std::collections::BTreeSet;

use tollgate_domain::ids::{ManagementKeyId, RoleId};
use tollgate_domain::permission::{Action, Permission, Resource, SystemRole};
use tollgate_domain::snapshot::{KeyHolder, SnapshotChange};
use tollgate_storage::management_keys::{self, NewManagementKey};
use tollgate_storage::users::{self, UserFilter};
use tollgate_storage::{Constraint, PageRequest, StorageError, roles, virtual_keys};

use crate::fixture::{
    Fixture, at, connect, in_tx, key, key_id, on_both_engines, user, user_id, uuid,
};

on_both_engines! {
    async fn system_roles_exist_once_with_their_permissions(fixture: &Fixture) {
        let store = &fixture.store;
        let again = connect(fixture.db.url(), 7).await.unwrap();
        again.close().await;
        let found = roles::list(store).await.unwrap();
        let names: Vec<&str> = found.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["Admin", "Developer", "Viewer"]);
        assert!(found.iter().all(|role| role.is_system));
        for (role, system) in found.iter().zip(SystemRole::ALL) {
            let expected: BTreeSet<_> = system.permissions().into_iter().map(Permission::id).collect();
            assert_eq!(roles::permissions(store, role.id).await.unwrap(), expected);
        }
    }

    async fn roles_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let (id, _) = in_tx!(store, tx => roles::create(&mut tx, "Auditor", None, at(1)).await.unwrap());
        let taken = roles::create(&mut store.begin().await.unwrap(), "AUDITOR", None, at(1)).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::RoleName));
        let wanted = BTreeSet::from([Permission::new(Resource::Logs, Action::View).id()]);
        in_tx!(store, tx => {
            assert!(roles::update(&mut tx, id, "Reader", Some("reads"), at(2)).await.unwrap());
            roles::set_permissions(&mut tx, id, &wanted).await.unwrap();
        });
        assert_eq!(roles::permissions(store, id).await.unwrap(), wanted);
        let found = roles::find_by_name(store, "reader").await.unwrap().unwrap();
        assert_eq!((found.id, found.updated_at, found.is_system), (id, at(2), false));
        assert_eq!(roles::find(store, id).await.unwrap(), Some(found));

        let mut holder = user(1, "Ada");
        holder.role_id = Some(id);
        in_tx!(store, tx => users::create(&mut tx, &holder).await.unwrap());
        let held = roles::delete(&mut store.begin().await.unwrap(), id).await;
        assert!(matches!(held.unwrap_err(), StorageError::Reference));
        in_tx!(store, tx => {
            assert!(users::delete(&mut tx, holder.id).await.unwrap());
            assert!(roles::delete(&mut tx, id).await.unwrap());
            assert!(!roles::delete(&mut tx, id).await.unwrap());
        });
        assert_eq!(roles::find(store, id).await.unwrap(), None);
    }

    async fn users_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let mut ada = user(1, "Ada");
        let ((), changes) = in_tx!(store, tx => users::create(&mut tx, &ada).await.unwrap());
        assert_eq!(changes, [SnapshotChange::User(ada.id)]);
        assert_eq!(users::find(store, ada.id).await.unwrap(), Some(ada.clone()));
        let mut twin = user(2, "Twin");
        twin.email = "ADA@example.com".into();
        let taken = users::create(&mut store.begin().await.unwrap(), &twin).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::UserEmail));
        twin.email = "twin@example.com".into();
        twin.role_id = Some(RoleId(4_711));
        let homeless = users::create(&mut store.begin().await.unwrap(), &twin).await;
        assert!(matches!(homeless.unwrap_err(), StorageError::Reference));

        ada.is_active = false;
        ada.email = "lovelace@example.com".into();
        ada.updated_at = at(9);
        let (changed, changes) = in_tx!(store, tx => users::update(&mut tx, &ada).await.unwrap());
        assert!(changed);
        assert_eq!(changes, [SnapshotChange::User(ada.id)]);
        let found = users::find_by_email(store, "Lovelace@Example.com").await.unwrap();
        assert_eq!(found, Some(ada.clone()));
        let unknown = user(3, "Nobody");
        let missing = users::missing(store, &[ada.id, unknown.id]).await.unwrap();
        assert_eq!(missing, [unknown.id]);
        let (changed, changes) = in_tx!(store, tx => users::update(&mut tx, &unknown).await.unwrap());
        assert!(!changed && changes.is_empty());

        let held = key(5, "Ada's key", KeyHolder::User(ada.id));
        in_tx!(store, tx => virtual_keys::create(&mut tx, &held, &[1; 32]).await.unwrap());
        let (deleted, changes) = in_tx!(store, tx => users::delete(&mut tx, ada.id).await.unwrap());
        assert!(deleted);
        assert_eq!(changes, [SnapshotChange::Key(key_id(5)), SnapshotChange::User(ada.id)]);
        assert_eq!(virtual_keys::find(store, key_id(5)).await.unwrap(), None);
        assert_eq!(users::find(store, ada.id).await.unwrap(), None);
    }

    async fn users_are_listed_in_pages_and_found_by_any_part(fixture: &Fixture) {
        let store = &fixture.store;
        let admin = roles::find_by_name(store, "Admin").await.unwrap().unwrap().id;
        in_tx!(store, tx => for (number, name) in (1..).zip(["Ada", "Grace", "Adam_100%", "Edsger", "Madam"]) {
            let mut new = user(number, name);
            new.role_id = (number > 3).then_some(admin);
            users::create(&mut tx, &new).await.unwrap();
        });
        let find = async |search: &str, role| {
            let filter = UserFilter { search: Some(search.to_owned()), role };
            let page = users::list(store, &filter, PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|user| user.name).collect::<Vec<_>>()
        };
        assert_eq!(find("ADA", None).await, ["Ada", "Adam_100%", "Madam"]);
        assert_eq!(find("dam", None).await, ["Adam_100%", "Madam"]);
        assert_eq!(find("dam", Some(admin)).await, ["Madam"]);
        assert_eq!(find("m_1", None).await, ["Adam_100%"]);
        assert_eq!(find("0%", None).await, ["Adam_100%"]);
        assert_eq!(find("%", None).await, ["Adam_100%"]);
        assert_eq!(find("grace@exa", None).await, ["Grace"]);
        assert_eq!(find("nobody", None).await, Vec::<String>::new());
        assert_eq!(find("  ", None).await.len(), 5);
        assert_eq!(find("a\0d", None).await, Vec::<String>::new());
        assert_eq!(users::find_by_email(store, "ada@example.com\0").await.unwrap(), None);

        let page = PageRequest { limit: 2, offset: 3 };
        let page = users::list(store, &UserFilter::default(), page).await.unwrap();
        let names: Vec<&str> = page.items.iter().map(|user| user.name.as_str()).collect();
        assert_eq!((names.as_slice(), page.total), (["Edsger", "Madam"].as_slice(), 5));
        in_tx!(store, tx => users::delete(&mut tx, user_id(1)).await.unwrap());
        let page = users::list(store, &UserFilter::default(), PageRequest::default()).await.unwrap();
        assert_eq!(page.total, 4);
        assert_eq!(find("ada", None).await, ["Adam_100%", "Madam"]);
    }

    async fn management_keys_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let view = Permission::new(Resource::Logs, Action::View).id();
        let new = |number: u128, scopes| NewManagementKey {
            id: ManagementKeyId::from_uuid(uuid(number)),
            name: format!("key {number}"),
            description: None,
            secret_hash: [u8::try_from(number).unwrap(); 32],
            key_prefix: "tgm-abcd".to_owned(),
            scopes,
            expires_at: None,
        };
        in_tx!(store, tx => {
            management_keys::create(&mut tx, &new(1, None), at(0)).await.unwrap();
            management_keys::create(&mut tx, &new(2, Some(BTreeSet::from([view]))), at(1)).await.unwrap();
        });
        let taken = NewManagementKey { secret_hash: [1; 32], ..new(3, None) };
        let taken = management_keys::create(&mut store.begin().await.unwrap(), &taken, at(0)).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::ManagementKeySecret));

        let root = management_keys::find_by_hash(store, &[1; 32]).await.unwrap().unwrap();
        let mut limited = management_keys::find_by_hash(store, &[2; 32]).await.unwrap().unwrap();
        let update = Permission::new(Resource::Logs, Action::Update).id();
        assert!(root.allows(view) && root.allows(update));
        assert!(limited.allows(view) && !limited.allows(update));
        assert_eq!(management_keys::find_by_hash(store, &[9; 32]).await.unwrap(), None);

        limited.scopes = Some(BTreeSet::new());
        limited.expires_at = Some(at(100));
        in_tx!(store, tx => {
            assert!(management_keys::update(&mut tx, &limited, at(2)).await.unwrap());
            management_keys::touch(&mut tx, limited.id, at(3)).await.unwrap();
        });
        let found = management_keys::find(store, limited.id).await.unwrap().unwrap();
        assert_eq!(found.scopes, limited.scopes);
        assert_eq!((found.last_used_at, found.updated_at, found.expires_at), (Some(at(3)), at(2), Some(at(100))));
        assert_eq!(management_keys::all(store).await.unwrap()[1..], [found]);
        in_tx!(store, tx => {
            assert!(management_keys::delete(&mut tx, limited.id).await.unwrap());
            assert!(!management_keys::delete(&mut tx, limited.id).await.unwrap());
            assert!(management_keys::exist(&mut tx).await.unwrap());
            assert!(management_keys::delete(&mut tx, root.id).await.unwrap());
            assert!(!management_keys::exist(&mut tx).await.unwrap());
        });
    }
}
