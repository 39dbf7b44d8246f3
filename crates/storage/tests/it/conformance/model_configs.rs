use tollgate_domain::ids::ModelConfigId;
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_storage::model_configs::{self, ModelScope, StoredModelConfig};
use tollgate_storage::{Constraint, PageRequest};

use crate::fixture::{Fixture, at, content, in_tx, key_id, on_both_engines, user_id, uuid};

fn config(number: u128, model: &str, scope: ModelScope) -> StoredModelConfig {
    StoredModelConfig {
        id: ModelConfigId::from_uuid(uuid(number)),
        model_name: model.to_owned(),
        provider: Some("openai".parse().unwrap()),
        scope,
        content: content(),
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

on_both_engines! {
    async fn limits_on_models_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let mut all = config(1, "*", ModelScope::Global);
        let of_key = config(2, "*", ModelScope::VirtualKey(key_id(1)));
        let ((), changes) = in_tx!(store, tx => {
            model_configs::create(&mut tx, &all).await.unwrap();
            model_configs::create(&mut tx, &of_key).await.unwrap();
            model_configs::create(&mut tx, &config(3, "GPT-4o", ModelScope::User(user_id(1)))).await.unwrap();
        });
        assert_eq!(changes, [SnapshotChange::ModelLimits]);
        let twin = config(4, "gpt-4O", ModelScope::User(user_id(1)));
        let taken = model_configs::create(&mut store.begin().await.unwrap(), &twin).await.unwrap_err();
        assert!(taken.conflicts_with(Constraint::ModelConfigPlace));
        assert_eq!(model_configs::find(store, of_key.id).await.unwrap(), Some(of_key.clone()));
        all.provider = None;
        all.updated_at = at(8);
        in_tx!(store, tx => assert!(model_configs::update(&mut tx, &all).await.unwrap()));
        let page = model_configs::list(store, None, PageRequest { limit: 2, offset: 0 }).await.unwrap();
        assert_eq!((page.items, page.total), (vec![all.clone(), of_key.clone()], 3));
        let found = async |wanted: &str| {
            let page = model_configs::list(store, Some(wanted), PageRequest::default()).await.unwrap();
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|each| each.id).collect::<Vec<_>>()
        };
        assert_eq!(found("PT-4O").await, [config(3, "", ModelScope::Global).id]);
        assert_eq!(found("virtual_key").await, [of_key.id]);
        assert_eq!(found("virtual%key").await, []);
        let (deleted, changes) = in_tx!(store, tx => model_configs::delete(&mut tx, all.id).await.unwrap());
        assert!(deleted);
        assert_eq!(changes, [SnapshotChange::ModelLimits]);
        let (changed, _) = in_tx!(store, tx => {
            model_configs::delete(&mut tx, all.id).await.unwrap() || model_configs::update(&mut tx, &all).await.unwrap()
        });
        assert!(!changed);
    }
}
