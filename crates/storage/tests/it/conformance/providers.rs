use secrecy::ExposeSecret;
use tollgate_domain::catalog::Prices;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderType;
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_storage::prices::{self, PriceOverride};
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};
use tollgate_storage::{Constraint, StorageError, providers};

use crate::fixture::{Fixture, at, in_tx, on_both_engines, provider, uuid};

fn credential(number: u128, name: &str, value: KeyValue) -> StoredProviderKey {
    StoredProviderKey {
        id: ProviderKeyId::from_uuid(uuid(number)),
        provider: "acme".parse().unwrap(),
        name: name.to_owned(),
        value,
        models: vec!["gpt-4o".to_owned()],
        blacklisted_models: Vec::new(),
        weight: 0.25,
        aliases: [("fast".to_owned(), "gpt-4o-mini".to_owned())].into(),
        is_enabled: true,
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

on_both_engines! {
    async fn providers_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let mut acme = provider("acme");
        let ((), changes) = in_tx!(store, tx => providers::create(&mut tx, &acme).await.unwrap());
        assert_eq!(changes, [SnapshotChange::Providers]);
        let found = providers::find(store, &acme.name).await.unwrap().unwrap();
        let (network, written) = (found.network.unwrap(), acme.network.clone().unwrap());
        assert_eq!((network.base_url, network.request_timeout), (written.base_url, written.request_timeout));
        assert_eq!((network.retry_backoff_initial, network.max_retries), (written.retry_backoff_initial, 2));
        assert_eq!(network.extra_headers[0].1.expose_secret(), "header-secret");
        assert_eq!((found.revision, found.created_at), (1, at(0)));
        let taken = providers::create(&mut store.begin().await.unwrap(), &acme).await.unwrap_err();
        assert!(taken.conflicts_with(Constraint::ProviderName));

        acme.network = None;
        acme.kind = ProviderType::Sandbox;
        acme.is_keyless = true;
        acme.updated_at = at(4);
        in_tx!(store, tx => assert!(providers::update(&mut tx, &acme).await.unwrap()));
        let listed = providers::list(store).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].network.is_none() && listed[0].is_keyless);
        assert_eq!((listed[0].kind, listed[0].revision, listed[0].updated_at), (ProviderType::Sandbox, 2, at(4)));

        let (deleted, changes) = in_tx!(store, tx => providers::delete(&mut tx, &acme.name).await.unwrap());
        assert!(deleted);
        assert_eq!(changes, [SnapshotChange::Providers]);
        let (changed, _) = in_tx!(store, tx => {
            providers::update(&mut tx, &acme).await.unwrap() || providers::delete(&mut tx, &acme.name).await.unwrap()
        });
        assert!(!changed);
    }

    async fn credentials_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let acme = provider("acme");
        let mut literal = credential(1, "main", KeyValue::Literal("sk-very-secret".into()));
        let env = credential(2, "spare", KeyValue::Env("ACME_API_KEY".to_owned()));
        let homeless = keys::create(&mut store.begin().await.unwrap(), &literal).await.unwrap_err();
        assert!(matches!(homeless, StorageError::Reference));
        let ((), changes) = in_tx!(store, tx => {
            providers::create(&mut tx, &acme).await.unwrap();
            keys::create(&mut tx, &literal).await.unwrap();
            keys::create(&mut tx, &env).await.unwrap();
        });
        assert_eq!(changes, [SnapshotChange::Providers]);
        let taken = keys::create(&mut store.begin().await.unwrap(), &credential(3, "main", KeyValue::Missing)).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::ProviderKeyName));

        let found = keys::find(store, literal.id).await.unwrap().unwrap();
        let KeyValue::Literal(secret) = &found.value else { unreachable!("a literal was written") };
        assert_eq!(secret.expose_secret(), "sk-very-secret");
        assert!(!format!("{found:?}").contains("very-secret"));
        assert_eq!((found.weight.to_bits(), found.aliases), (0.25_f64.to_bits(), literal.aliases.clone()));
        let listed = keys::of_provider(store, &acme.name).await.unwrap();
        assert_eq!(listed.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["main", "spare"]);
        assert!(matches!(&listed[1].value, KeyValue::Env(name) if name == "ACME_API_KEY"));

        literal.is_enabled = false;
        literal.models.clear();
        literal.value = KeyValue::Literal("sk-other".into());
        in_tx!(store, tx => assert!(keys::update(&mut tx, &literal).await.unwrap()));
        let found = keys::find(store, literal.id).await.unwrap().unwrap();
        assert!(!found.is_enabled && found.models.is_empty());
        let revision = providers::find(store, &acme.name).await.unwrap().unwrap().revision;
        assert_eq!(revision, 4, "one for the provider, one for each change of its keys");

        let (forgotten, changes) = in_tx!(store, tx => keys::forget_values(&mut tx, &acme.name, at(9)).await.unwrap());
        assert_eq!((forgotten, changes.as_slice()), (2, [SnapshotChange::Providers].as_slice()));
        let listed = keys::list(store).await.unwrap();
        assert!(listed.iter().all(|key| matches!(key.value, KeyValue::Missing) && key.updated_at == at(9)));
        let (forgotten, _) = in_tx!(store, tx => keys::forget_values(&mut tx, &acme.name, at(10)).await.unwrap());
        assert_eq!(forgotten, 0);

        in_tx!(store, tx => {
            assert!(keys::delete(&mut tx, env.id).await.unwrap());
            assert!(!keys::delete(&mut tx, env.id).await.unwrap());
            assert!(!keys::update(&mut tx, &env).await.unwrap());
            assert!(providers::delete(&mut tx, &acme.name).await.unwrap());
        });
        assert!(keys::list(store).await.unwrap().is_empty());
    }

    async fn price_overrides_are_set_and_taken_away(fixture: &Fixture) {
        let store = &fixture.store;
        let price = |input, when| PriceOverride {
            provider: "acme".parse().unwrap(),
            model: "Org/Model-X".to_owned(),
            prices: Prices { per_request: 3, ..Prices::flat(input, 7) },
            updated_at: at(when),
        };
        let provider = "acme".parse().unwrap();
        let ((), changes) = in_tx!(store, tx => prices::put(&mut tx, &price(1, 1)).await.unwrap());
        assert_eq!(changes, [SnapshotChange::Prices]);
        in_tx!(store, tx => prices::put(&mut tx, &price(2, 5)).await.unwrap());
        let found = prices::find(store, &provider, "org/model-x").await.unwrap();
        assert_eq!(found, Some(price(2, 5)));
        assert_eq!(prices::list(store).await.unwrap(), [price(2, 5)]);
        let (deleted, changes) = in_tx!(store, tx => prices::delete(&mut tx, &provider, "ORG/model-x").await.unwrap());
        assert!(deleted);
        assert_eq!(changes, [SnapshotChange::Prices]);
        let (deleted, changes) = in_tx!(store, tx => prices::delete(&mut tx, &provider, "org/model-x").await.unwrap());
        assert!(!deleted && changes.is_empty());
    }
}
