use secrecy::ExposeSecret;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::audit::{self, ChainCheck};
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};
use tollgate_storage::virtual_keys::{self, waiting};
use tollgate_storage::{StorageError, Store, Vault, providers, webhooks};

use super::webhooks::hook;
use crate::fixture::{Fixture, at, connect, in_tx, key, on_both_engines, provider, uuid};

async fn one_provider_key(store: &Store) -> ProviderKeyId {
    let id = ProviderKeyId::from_uuid(uuid(1));
    in_tx!(store, tx => {
        providers::create(&mut tx, &provider("acme")).await.unwrap();
        keys::create(&mut tx, &StoredProviderKey {
            id,
            provider: "acme".parse().unwrap(),
            name: "main".to_owned(),
            value: KeyValue::Literal("sk-very-secret".into()),
            models: Vec::new(),
            blacklisted_models: Vec::new(),
            weight: 1.0,
            aliases: std::collections::BTreeMap::new(),
            is_enabled: true,
            created_at: at(0),
            updated_at: at(0),
        }).await.unwrap();
    });
    id
}

on_both_engines! {
    async fn a_rotated_master_key_opens_everything_and_the_old_one_nothing(fixture: &Fixture) {
        let id = one_provider_key(&fixture.store).await;
        let hook = hook(1, &[]);
        let vk = key(2, "Key", KeyHolder::Itself);
        in_tx!(fixture.store, tx => {
            webhooks::create(&mut tx, &hook).await.unwrap();
            virtual_keys::create(&mut tx, &vk, &[1; 32]).await.unwrap();
            waiting::put(&mut tx, vk.id, &"sk-tg-new".into(), at(60), at(0)).await.unwrap();
        });
        let both = Vault::new(&[8; 32]).unwrap().with_older(&[7; 32]).unwrap();
        let store = Store::connect(fixture.db.url(), both.into(), at(0)).await.unwrap();
        assert_eq!(store.reseal().await.unwrap(), 6, "two settings, the headers, the keys and the webhook");
        assert_eq!(store.reseal().await.unwrap(), 0);
        store.close().await;
        let old = connect(fixture.db.url(), 7).await.unwrap_err();
        assert!(matches!(old, StorageError::Sealed));
        let new = connect(fixture.db.url(), 8).await.unwrap();
        let found = keys::find(&new, id).await.unwrap().unwrap();
        assert!(matches!(found.value, KeyValue::Literal(secret) if secret.expose_secret() == "sk-very-secret"));
        let found = webhooks::find(&new, hook.id).await.unwrap().unwrap();
        assert_eq!(found.secret.expose_secret(), hook.secret.expose_secret());
        let (taken, _) = in_tx!(new, tx => waiting::take(&mut tx, vk.id, at(1)).await.unwrap());
        assert_eq!(taken.unwrap().expose_secret(), "sk-tg-new");
        assert_eq!(audit::verify(&new).await.unwrap(), ChainCheck::Intact { entries: 0 });
        new.close().await;
    }

    async fn secrets_do_not_stand_in_the_database(fixture: &Fixture) {
        one_provider_key(&fixture.store).await;
        let sealed = fixture.read_text("select value_sealed || ' ' || extra_headers_sealed from provider_keys join providers on providers.name = provider_name").await;
        assert!(sealed.len() > 40, "{sealed}");
        assert!(!sealed.contains("very-secret") && !sealed.contains("header-secret"));
    }
}

#[tokio::test]
async fn a_backup_is_a_whole_database() {
    let fixture = Fixture::sqlite().await;
    let id = one_provider_key(&fixture.store).await;
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("backup.db");
    fixture.store.backup(&copy).await.unwrap();
    assert!(matches!(
        fixture.store.backup(&copy).await.unwrap_err(),
        StorageError::Address(_)
    ));
    let restored = connect(&format!("sqlite:{}", copy.display()), 7)
        .await
        .unwrap();
    assert!(keys::find(&restored, id).await.unwrap().is_some());
    restored.close().await;
}

#[tokio::test]
async fn postgres_is_backed_up_by_its_own_tools() {
    let fixture = Fixture::postgres().await;
    let directory = tempfile::tempdir().unwrap();
    let refused = fixture
        .store
        .backup(&directory.path().join("x"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("pg_dump"));
}
