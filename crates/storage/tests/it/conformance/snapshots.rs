use secrecy::{ExposeSecret, SecretString};
use tollgate_domain::Usd;
use tollgate_domain::catalog::Prices;
use tollgate_domain::ids::{
    BudgetId, CopyId, McpClientId, ModelConfigId, ProviderKeyId, TeamId, ToolGroupId,
};
use tollgate_domain::limits::HolderKind;
use tollgate_domain::snapshot::{GroupId, GroupProfileMode, KeyHolder, Snapshot, SnapshotChange};
use tollgate_storage::copies::overrides::{self, BudgetOverride};
use tollgate_storage::groups::profiles::GroupCopy;
use tollgate_storage::groups::{self, StoredGroup};
use tollgate_storage::mcp::clients::{
    self, ClientSecrets, ClientSettings, ConnectionType, StoredMcpClient,
};
use tollgate_storage::mcp::tool_groups::{self, ClientTools};
use tollgate_storage::model_configs::{self, ModelScope, StoredModelConfig};
use tollgate_storage::prices::{self, PriceOverride};
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};
use tollgate_storage::virtual_keys::Rotation;
use tollgate_storage::{Store, copies, profiles, providers, snapshot, users, virtual_keys};

use crate::fixture::{
    Fixture, at, content, copy, in_tx, key, on_both_engines, profile, provider, user, user_id, uuid,
};

fn env(name: &str) -> Option<SecretString> {
    (name == "ACME_API_KEY").then(|| "from-the-environment".into())
}

fn team() -> GroupId {
    GroupId::Team(TeamId::from_uuid(uuid(30)))
}

fn provider_key(number: u128, name: &str, value: KeyValue) -> StoredProviderKey {
    StoredProviderKey {
        id: ProviderKeyId::from_uuid(uuid(number)),
        provider: "acme".parse().unwrap(),
        name: name.to_owned(),
        value,
        models: Vec::new(),
        blacklisted_models: Vec::new(),
        weight: 1.0,
        aliases: std::collections::BTreeMap::new(),
        is_enabled: name != "disabled",
        created_at: at(0),
        updated_at: at(0),
    }
}

/// One of everything; returns what must be published.
async fn fill(store: &Store) -> Vec<SnapshotChange> {
    let ((), changes) = in_tx!(store, tx => {
        let made = profiles::create(&mut tx, profile("Engineering"), "ada", at(0)).await.unwrap();
        let ada = user(1, "Ada");
        users::create(&mut tx, &ada).await.unwrap();
        let held = copy(5, ada.id, made.id);
        copies::create(&mut tx, &held).await.unwrap();
        overrides::put(&mut tx, held.copy.id, &BudgetOverride {
            budget: BudgetId::from_uuid(uuid(900)),
            amount: Usd::from_nanos(7),
            cycles: None,
            ends_at: None,
            created_at: at(0),
        }).await.unwrap();
        let mut lone = key(6, "lone", KeyHolder::Itself);
        lone.content = content();
        virtual_keys::create(&mut tx, &lone, &[6; 32]).await.unwrap();
        virtual_keys::create(&mut tx, &key(7, "hers", KeyHolder::User(ada.id)), &[7; 32]).await.unwrap();
        virtual_keys::rotate(&mut tx, key(7, "", KeyHolder::Itself).id, Rotation {
            secret_hash: &[8; 32],
            masked_value: "…",
            honour_old_until: Some(at(60)),
            at: at(0),
        }).await.unwrap();
        groups::create(&mut tx, &StoredGroup {
            id: team(),
            name: "Core".to_owned(),
            description: None,
            content: content(),
            parents: Vec::new(),
            created_at: at(0),
            updated_at: at(0),
        }).await.unwrap();
        groups::members::add(&mut tx, team(), ada.id).await.unwrap();
        groups::profiles::put(&mut tx, &GroupCopy {
            id: CopyId::from_uuid(uuid(31)),
            group: team(),
            parent_profile_id: made.id,
            mode: GroupProfileMode::Restrict,
            name: "Engineering".to_owned(),
            profile_version: 1,
            is_active: true,
            assigned_at: at(0),
            detached_at: None,
            content: content(),
            created_at: at(0),
            updated_at: at(0),
        }).await.unwrap();
        providers::create(&mut tx, &provider("acme")).await.unwrap();
        for (number, name, value) in [
            (40, "literal", KeyValue::Literal("sk-literal".into())),
            (41, "env", KeyValue::Env("ACME_API_KEY".to_owned())),
            (42, "unset", KeyValue::Env("OTHER_API_KEY".to_owned())),
            (43, "missing", KeyValue::Missing),
            (44, "disabled", KeyValue::Literal("sk-disabled".into())),
        ] {
            keys::create(&mut tx, &provider_key(number, name, value)).await.unwrap();
        }
        model_configs::create(&mut tx, &StoredModelConfig {
            id: ModelConfigId::from_uuid(uuid(50)),
            model_name: "*".to_owned(),
            provider: None,
            scope: ModelScope::User(ada.id),
            content: content(),
            created_at: at(0),
            updated_at: at(0),
        }).await.unwrap();
        prices::put(&mut tx, &PriceOverride {
            provider: "acme".parse().unwrap(),
            model: "Model-X".to_owned(),
            prices: Prices::flat(1, 2),
            updated_at: at(0),
        }).await.unwrap();
        clients::create(&mut tx, &StoredMcpClient {
            id: files(),
            name: "Files".to_owned(),
            connection_type: ConnectionType::Stdio,
            settings: ClientSettings {
                tools_to_execute: vec!["read".to_owned()],
                tool_pricing: [("read".to_owned(), Usd::from_nanos(3))].into(),
                ..ClientSettings::default()
            },
            secrets: ClientSecrets::default(),
            created_at: at(0),
            updated_at: at(0),
        }).await.unwrap();
        let readers = [ClientTools { mcp_client_id: files(), tool_names: vec!["read".to_owned()] }];
        tool_groups::create(&mut tx, "Readers", None, &readers, at(0)).await.unwrap();
    });
    changes
}

fn files() -> McpClientId {
    McpClientId::from_uuid(uuid(60))
}

fn assert_whole(snapshot: &Snapshot) {
    let ada = snapshot.user(user_id(1)).unwrap();
    assert_eq!(
        (ada.copies.len(), ada.groups.as_slice()),
        (1, [team()].as_slice())
    );
    let held = &ada.copies[0];
    assert_eq!((held.profile_version, held.grants.len()), (1, 1));
    let budget = held
        .meters
        .iter()
        .find(|meter| meter.boost.is_some())
        .unwrap();
    assert_eq!(
        (budget.holder.kind, budget.effective_limit(at(0))),
        (HolderKind::AccessProfile, 12_500_000_008)
    );

    let lone = snapshot.key_by_hash(&[6; 32], at(0)).unwrap();
    assert_eq!((lone.grants.len(), lone.holder), (1, KeyHolder::Itself));
    assert!(
        lone.meters
            .iter()
            .all(|meter| meter.holder.kind == HolderKind::VirtualKey)
    );
    let hers = snapshot.key_by_hash(&[8; 32], at(0)).unwrap();
    assert_eq!(hers.holder, KeyHolder::User(user_id(1)));
    assert_eq!(snapshot.key_by_hash(&[7; 32], at(59)).unwrap().id, hers.id);
    assert!(snapshot.key_by_hash(&[7; 32], at(60)).is_none());

    let core = snapshot.group(team()).unwrap();
    assert!(
        core.meters
            .iter()
            .all(|meter| meter.holder.kind == HolderKind::Team)
    );
    let shared = core.profile.as_ref().unwrap();
    assert_eq!(
        (shared.mode, shared.copy.grants.len()),
        (GroupProfileMode::Restrict, 1)
    );

    let acme = snapshot.provider("acme").unwrap();
    let secrets: Vec<&str> = acme
        .keys
        .iter()
        .map(|key| key.secret.expose_secret())
        .collect();
    assert_eq!(secrets, ["sk-literal", "from-the-environment"]);
    assert!(acme.network.is_some() && acme.revision > 1);
    assert_eq!(snapshot.model_limits().len(), 1);
    assert_eq!(snapshot.model_limits()[0].user, Some(user_id(1)));
    let price = snapshot
        .catalog()
        .find(acme, "model-x")
        .unwrap()
        .price
        .clone()
        .unwrap();
    assert_eq!(price.base, Prices::flat(1, 2));
    let client = snapshot.mcp().client("FILES").unwrap();
    assert_eq!(
        (client.id, client.tools_to_execute.as_slice()),
        (files(), ["read".to_owned()].as_slice())
    );
    assert_eq!(client.tool_pricing["read"], Usd::from_nanos(3));
    assert_eq!(
        snapshot.mcp().tools_of_group(ToolGroupId(1), files()),
        ["read"]
    );
}

on_both_engines! {
    async fn a_load_and_the_changes_give_the_same_snapshot(fixture: &Fixture) {
        let store = &fixture.store;
        let mut grown = snapshot::load(store, &env).await.unwrap();
        assert_eq!((grown.users().count(), grown.keys().count(), grown.providers().count()), (0, 0, 0));
        let changes = fill(store).await;
        snapshot::apply(store, &env, &mut grown, &changes).await.unwrap();
        assert_whole(&grown);
        assert_whole(&snapshot::load(store, &env).await.unwrap());
    }

    async fn what_is_gone_is_taken_out(fixture: &Fixture) {
        let store = &fixture.store;
        fill(store).await;
        let mut grown = snapshot::load(store, &env).await.unwrap();
        grown.revision = 9;
        let ((), changes) = in_tx!(store, tx => {
            users::delete(&mut tx, user_id(1)).await.unwrap();
            groups::delete(&mut tx, team()).await.unwrap();
            virtual_keys::delete(&mut tx, key(6, "", KeyHolder::Itself).id).await.unwrap();
            providers::delete(&mut tx, &"acme".parse().unwrap()).await.unwrap();
            prices::delete(&mut tx, &"acme".parse().unwrap(), "model-x").await.unwrap();
            model_configs::delete(&mut tx, ModelConfigId::from_uuid(uuid(50))).await.unwrap();
            clients::delete(&mut tx, files()).await.unwrap();
            tool_groups::delete(&mut tx, ToolGroupId(1)).await.unwrap();
        });
        snapshot::apply(store, &env, &mut grown, &changes).await.unwrap();
        assert_eq!((grown.users().count(), grown.keys().count(), grown.groups().count()), (0, 0, 0));
        assert_eq!((grown.providers().count(), grown.model_limits().len()), (0, 0));
        assert!(grown.key_by_hash(&[6; 32], at(0)).is_none());
        assert!(grown.mcp().client("files").is_none());
        assert!(grown.mcp().tools_of_group(ToolGroupId(1), files()).is_empty());
        snapshot::apply(store, &env, &mut grown, &[SnapshotChange::Everything]).await.unwrap();
        assert_eq!(grown.revision, 9);
    }

    async fn many_rows_are_read_in_batches(fixture: &Fixture) {
        let store = &fixture.store;
        in_tx!(store, tx => for number in 1..=501_u128 {
            users::create(&mut tx, &user(number, &format!("U{number}"))).await.unwrap();
            let mut hash = [0; 32];
            hash[..16].copy_from_slice(&number.to_be_bytes());
            let held = key(number, &format!("key {number}"), KeyHolder::User(user_id(number)));
            virtual_keys::create(&mut tx, &held, &hash).await.unwrap();
        });
        let loaded = snapshot::load(store, &env).await.unwrap();
        assert_eq!((loaded.users().count(), loaded.keys().count()), (501, 501));
    }
}
