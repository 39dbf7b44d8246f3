//! `--demo`: the sandbox provider, a user who may use it, and one whose budget pays for nothing.

use anyhow::Context as _;
use secrecy::SecretString;
use tollgate_domain::Usd;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent, ProviderConfig, UserCopy};
use tollgate_domain::ids::{BudgetId, CopyId, RateLimitId, UserId, VirtualKeyId};
use tollgate_domain::limits::{BudgetLine, LimitSet, RateLimitLine, ResetDuration};
use tollgate_domain::provider::{ProviderName, ProviderType};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_management::{NewSecret, VIRTUAL_KEY_PREFIX};
use tollgate_storage::Tx;
use tollgate_storage::copies::{self, CopySource, StoredCopy};
use tollgate_storage::profiles::{self, NewProfile};
use tollgate_storage::providers::{self, StoredProvider};
use tollgate_storage::users::{self, User};
use tollgate_storage::virtual_keys::{self, Rotation, VirtualKey};

use super::{ACTOR, Founding};

const PROVIDER: &str = "sandbox";

/// Somebody to try Tollgate as.
struct Person {
    name: &'static str,
    email: &'static str,
    profile: &'static str,
    description: &'static str,
    key: &'static str,
    /// A day.
    budget: Usd,
}

const SPENDER: Person = Person {
    name: "Demo user",
    email: "demo@tollgate.invalid",
    profile: "Demo",
    description: "Every model of the sandbox, for five dollars a day.",
    key: "demo",
    budget: Usd::from_nanos(5_000_000_000),
};

/// A microdollar is less than the smallest answer costs.
const BROKE: Person = Person {
    name: "Demo user without money",
    email: "demo-broke@tollgate.invalid",
    profile: "Demo, no money",
    description: "Every model of the sandbox, and a budget that no request fits into.",
    key: "demo-broke",
    budget: Usd::from_nanos(1_000),
};

/// The secrets of this start.
pub(crate) struct DemoKeys {
    /// Answers.
    pub(crate) works: SecretString,
    /// Is refused for its budget.
    pub(crate) refused: SecretString,
}

/// Sees to it that the demo is there, and gives both of its keys a new secret.
pub(crate) async fn ensure_demo(founding: &Founding) -> anyhow::Result<DemoKeys> {
    let ensure = async || -> anyhow::Result<DemoKeys> {
        let mut tx = founding.store.begin().await?;
        ensure_provider(founding, &mut tx).await?;
        let keys = DemoKeys {
            works: ensure_person(founding, &mut tx, &SPENDER).await?,
            refused: ensure_person(founding, &mut tx, &BROKE).await?,
        };
        // The snapshot is made after this.
        let _changes = tx.commit().await?;
        Ok(keys)
    };
    ensure().await.context("set up the demo")
}

async fn ensure_provider(founding: &Founding, tx: &mut Tx) -> anyhow::Result<()> {
    let name: ProviderName = PROVIDER.parse()?;
    if providers::find(&mut *tx, &name).await?.is_some() {
        return Ok(());
    }
    let now = founding.clock.now();
    let provider = StoredProvider {
        name,
        kind: ProviderType::Sandbox,
        is_keyless: true,
        network: None,
        limits: LimitSet::default(),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    providers::create(tx, &provider).await?;
    founding.record(tx, "provider", PROVIDER).await?;
    Ok(())
}

async fn ensure_person(
    founding: &Founding,
    tx: &mut Tx,
    person: &Person,
) -> anyhow::Result<SecretString> {
    let profile = match profiles::find_by_name(&mut *tx, person.profile).await? {
        Some(profile) => profile,
        None => create_profile(founding, tx, person).await?,
    };
    let user = match users::find_by_email(&mut *tx, person.email).await? {
        Some(user) => user.id,
        None => create_user(founding, tx, person).await?,
    };
    if copies::find_of(&mut *tx, user, profile.id).await?.is_none() {
        create_copy(founding, tx, user, &profile).await?;
    }
    let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, founding.secrets.as_ref())?;
    let keys = virtual_keys::of_user(&mut *tx, user).await?;
    match keys.iter().find(|key| key.name == person.key) {
        Some(key) => {
            let rotation = Rotation {
                secret_hash: &secret.hash,
                masked_value: &secret.masked,
                honour_old_until: None,
                at: founding.clock.now(),
            };
            virtual_keys::rotate(tx, key.id, rotation).await?;
        }
        None => create_key(founding, tx, user, person, &secret).await?,
    }
    Ok(secret.value)
}

async fn create_profile(
    founding: &Founding,
    tx: &mut Tx,
    person: &Person,
) -> anyhow::Result<AccessProfile> {
    let content = content(founding, tx, person.budget).await?;
    let new = NewProfile {
        name: person.profile.to_owned(),
        description: Some(person.description.to_owned()),
        is_active: true,
        tags: vec!["demo".to_owned()],
        content,
    };
    let profile = profiles::create(tx, new, ACTOR, founding.clock.now()).await?;
    founding.record(tx, "access_profile", profile.id).await?;
    Ok(profile)
}

/// Everything of the sandbox, a budget a day, and a request a second.
async fn content(founding: &Founding, tx: &mut Tx, budget: Usd) -> anyhow::Result<ProfileContent> {
    let id = profiles::next_provider_config_ids(tx, 1)
        .await?
        .into_iter()
        .next()
        .context("no id for a provider config")?;
    let config = ProviderConfig {
        id,
        provider_name: PROVIDER.parse()?,
        all_models_allowed: true,
        allowed_models: Vec::new(),
        blacklisted_models: Vec::new(),
        key_ids: None,
        weight: None,
        limits: LimitSet::default(),
        model_budgets: Vec::new(),
    };
    Ok(ProfileContent {
        provider_configs: vec![config],
        limits: LimitSet {
            budgets: vec![BudgetLine {
                id: BudgetId::from_uuid(founding.ids.next_uuid()),
                max_limit: budget,
                reset_duration: ResetDuration::Day,
                quarter_start_month: None,
            }],
            rate_limit: Some(RateLimitLine {
                id: RateLimitId::from_uuid(founding.ids.next_uuid()),
                tokens: None,
                requests: Some((600, ResetDuration::Minute)),
                parallel_requests: None,
            }),
        },
        ..ProfileContent::default()
    })
}

async fn create_user(founding: &Founding, tx: &mut Tx, person: &Person) -> anyhow::Result<UserId> {
    let now = founding.clock.now();
    let id = UserId::from_uuid(founding.ids.next_uuid());
    let user = User {
        id,
        name: person.name.to_owned(),
        email: person.email.to_owned(),
        role_id: None,
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    users::create(tx, &user).await?;
    founding.record(tx, "user", id).await?;
    Ok(id)
}

/// A copy has lines of its own, so that no two holders share a counter.
async fn create_copy(
    founding: &Founding,
    tx: &mut Tx,
    user: UserId,
    profile: &AccessProfile,
) -> anyhow::Result<()> {
    let now = founding.clock.now();
    let id = CopyId::from_uuid(founding.ids.next_uuid());
    let mut content = profile.content.clone();
    let configs = content.provider_configs.len();
    let config_ids = profiles::next_provider_config_ids(tx, configs).await?;
    for (config, id) in content.provider_configs.iter_mut().zip(config_ids) {
        config.id = id;
        refresh(founding, &mut config.limits);
        for model in &mut config.model_budgets {
            refresh(founding, &mut model.limits);
        }
    }
    refresh(founding, &mut content.limits);
    let copy = UserCopy {
        id,
        user_id: user,
        parent_profile_id: profile.id,
        name: profile.name.clone(),
        profile_version: profile.version,
        is_active: true,
        expires_at: None,
        priority: 0,
        assigned_at: now,
        content,
        overrides: std::collections::BTreeMap::new(),
    };
    let stored = StoredCopy {
        copy,
        source: CopySource::Hand,
        detached_at: None,
        created_at: now,
        updated_at: now,
    };
    copies::create(tx, &stored).await?;
    founding.record(tx, "user_access_profile", id).await?;
    Ok(())
}

fn refresh(founding: &Founding, limits: &mut LimitSet) {
    for budget in &mut limits.budgets {
        budget.id = BudgetId::from_uuid(founding.ids.next_uuid());
    }
    if let Some(rate) = &mut limits.rate_limit {
        rate.id = RateLimitId::from_uuid(founding.ids.next_uuid());
    }
}

async fn create_key(
    founding: &Founding,
    tx: &mut Tx,
    user: UserId,
    person: &Person,
    secret: &NewSecret,
) -> anyhow::Result<()> {
    let now = founding.clock.now();
    let id = VirtualKeyId::from_uuid(founding.ids.next_uuid());
    let key = VirtualKey {
        id,
        name: person.key.to_owned(),
        description: Some("Renewed at each start of the demo.".to_owned()),
        holder: KeyHolder::User(user),
        is_managed: true,
        is_active: true,
        expires_at: None,
        masked_value: secret.masked.clone(),
        previous_until: None,
        content: ProfileContent::default(),
        created_at: now,
        updated_at: now,
    };
    virtual_keys::create(tx, &key, &secret.hash).await?;
    founding.record(tx, "virtual_key", id).await?;
    Ok(())
}
