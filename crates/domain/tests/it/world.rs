//! A small world: one key, its user, and whatever copies, groups and providers a test adds.

use std::sync::Arc;

use tollgate_domain::access::profile::{
    McpGrants, OnUnknownPrice, ProfileContent, ProviderConfig, UserCopy,
};
use tollgate_domain::access::{
    AnyModelRequest, Candidate, Endpoint, ModelList, ModelRequest, NothingLearned, Passage, Payer,
    Plan, ProviderGrant, Settings, ToolRequest, evaluate, evaluate_any_model, evaluate_tool,
};
use tollgate_domain::catalog::{Catalog, ModelInfo, ModelPrice, Prices};
use tollgate_domain::ids::{
    BudgetId, CopyId, McpClientId, ProfileId, ProviderConfigId, ProviderKeyId, TeamId, ToolGroupId,
    UserId, VirtualKeyId,
};
use tollgate_domain::limits::{BudgetLine, LimitSet, ResetDuration};
use tollgate_domain::provider::{Provider, ProviderKey, ProviderType};
use tollgate_domain::snapshot::{
    Group, GroupId, GroupProfile, GroupProfileMode, KeyHolder, McpCatalog, McpClient, Snapshot,
    User, VirtualKey,
};
use tollgate_domain::{ErrorKind, Timestamp, Usd};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

/// Every model of every provider here costs one dollar a million tokens, in and out.
const PRICES: Prices = Prices {
    input: 1_000_000,
    cache_read: 1_000_000,
    cache_write_5m: 1_000_000,
    cache_write_1h: 1_000_000,
    audio_input: 1_000_000,
    output: 1_000_000,
    reasoning: 1_000_000,
    audio_output: 1_000_000,
    per_request: 0,
};

pub(crate) struct World {
    pub(crate) key: VirtualKey,
    pub(crate) user: User,
    pub(crate) groups: Vec<Group>,
    pub(crate) providers: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) unpriced: Vec<&'static str>,
    /// What makes every request one whose cost has no bound.
    pub(crate) has_media: bool,
    pub(crate) unbounded: Option<&'static str>,
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A provider's part of a profile: `allowed` and `blacklisted` are space separated.
pub(crate) fn config(provider: &str, allowed: &str, blacklisted: &str) -> ProviderConfig {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    ProviderConfig {
        id: ProviderConfigId(1),
        provider_name: provider.parse().unwrap(),
        all_models_allowed: false,
        allowed_models: words(allowed),
        blacklisted_models: words(blacklisted),
        key_ids: None,
        weight: None,
        limits: LimitSet::default(),
        model_budgets: Vec::new(),
    }
}

pub(crate) fn grant(provider: &str, allowed: &str) -> ProviderGrant {
    let words: Vec<_> = allowed.split_whitespace().collect();
    ProviderGrant {
        provider: provider.parse().unwrap(),
        allowed: ModelList::compile(&words).unwrap(),
        blacklisted: ModelList::default(),
        key_ids: None,
        weight: None,
        meters: Vec::new(),
        model_meters: Vec::new(),
    }
}

pub(crate) fn budget(number: u128, usd: &str) -> BudgetLine {
    BudgetLine {
        id: BudgetId::from_uuid(uuid(number)),
        max_limit: usd.parse::<Usd>().unwrap(),
        reset_duration: ResetDuration::Month,
        quarter_start_month: None,
    }
}

/// Copy number `number`, assigned in that order.
pub(crate) fn copy(number: u8, configs: Vec<ProviderConfig>) -> UserCopy {
    UserCopy {
        id: CopyId::from_uuid(uuid(u128::from(number))),
        user_id: UserId::from_uuid(uuid(1)),
        parent_profile_id: ProfileId(i64::from(number)),
        name: format!("profile-{number}"),
        profile_version: 1,
        is_active: true,
        expires_at: None,
        priority: 0,
        assigned_at: Timestamp::from_micros(1_700_000_000_000_000 + i64::from(number)),
        content: ProfileContent {
            provider_configs: configs,
            ..ProfileContent::default()
        },
        overrides: std::collections::BTreeMap::new(),
    }
}

impl World {
    /// A user with one key, no copy, and two providers: `alpha` (a1, a2, both) and `beta` (b1, both).
    pub(crate) fn new() -> Self {
        let user = UserId::from_uuid(uuid(1));
        Self {
            key: VirtualKey {
                id: VirtualKeyId::from_uuid(uuid(1)),
                name: "key".into(),
                holder: KeyHolder::User(user),
                is_managed: false,
                is_active: true,
                expires_at: None,
                secrets: vec![([7; 32], None)],
                grants: Vec::new(),
                mcp: McpGrants::default(),
                meters: Vec::new(),
                settings: Settings::default(),
            },
            user: User {
                id: user,
                name: "user".into(),
                is_active: true,
                copies: Vec::new(),
                groups: Vec::new(),
            },
            groups: Vec::new(),
            providers: vec![
                ("alpha", vec!["a1", "a2", "both"]),
                ("beta", vec!["b1", "both"]),
            ],
            unpriced: Vec::new(),
            has_media: false,
            unbounded: None,
        }
    }

    pub(crate) fn with_copy(mut self, copy: &UserCopy) -> Self {
        self.user.copies.push(Arc::new(copy.compile().unwrap()));
        self
    }

    pub(crate) fn with_key_grant(mut self, provider: &str, allowed: &str) -> Self {
        self.key.grants.push(grant(provider, allowed));
        self
    }

    /// Puts the user in a team with this profile.
    pub(crate) fn with_team_profile(mut self, mode: GroupProfileMode, copy: &UserCopy) -> Self {
        let id = GroupId::Team(TeamId::from_uuid(uuid(1)));
        self.user.groups.push(id);
        self.groups.push(Group {
            id,
            name: "team".into(),
            meters: Vec::new(),
            parents: Vec::new(),
            profile: Some(GroupProfile {
                mode,
                copy: Arc::new(copy.compile().unwrap()),
            }),
            settings: Settings::default(),
        });
        self
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.put_key(self.key.clone());
        snapshot.put_user(self.user.clone());
        for group in &self.groups {
            snapshot.put_group(group.clone());
        }
        snapshot.set_providers(self.providers.iter().map(|(name, _)| provider(name)));
        let priced = self
            .providers
            .iter()
            .flat_map(|(name, models)| models.iter().map(move |model| (name, model)));
        snapshot.set_mcp(mcp());
        snapshot.set_catalog(Catalog::with_overrides(priced.map(|(name, model)| {
            let price = (!self.unpriced.contains(model)).then(|| ModelPrice {
                base: PRICES,
                ..ModelPrice::default()
            });
            let info = ModelInfo {
                price,
                ..ModelInfo::default()
            };
            (name.parse().unwrap(), (*model).to_owned(), info)
        })));
        snapshot
    }

    /// `payer` of each way to call the tool, or the code of the refusal.
    pub(crate) fn tool_outcome(&self, client: &str, tool: Option<&str>) -> String {
        let request = ToolRequest { client, tool };
        payers(&evaluate_tool(&self.snapshot(), &self.key, &request, NOW))
    }

    /// The same for whatever model.
    pub(crate) fn any_model(&self, provider: Option<&str>) -> Plan<Passage> {
        let request = AnyModelRequest {
            provider,
            tokens: 0,
        };
        evaluate_any_model(&self.snapshot(), &self.key, &request, NOW)
    }

    pub(crate) fn plan(&self, model: &str) -> Plan {
        self.plan_on(&self.snapshot(), model)
    }

    /// As [`World::plan`], on another snapshot than the world's own.
    pub(crate) fn plan_on(&self, snapshot: &Snapshot, model: &str) -> Plan {
        let request = ModelRequest {
            endpoint: Endpoint::ChatCompletions,
            model,
            body_bytes: 400,
            input_tokens: None,
            max_output_tokens: Some(100),
            choices: 1,
            has_media: self.has_media,
            unbounded: self.unbounded,
        };
        evaluate(snapshot, &self.key, &request, &NothingLearned, NOW)
    }

    /// `payer>provider/model` of each candidate, or the code of the refusal.
    pub(crate) fn outcome(&self, model: &str) -> String {
        let plan = self.plan(model);
        if let Some(error) = plan.refusal {
            return error.kind.code().to_owned();
        }
        let routes: Vec<_> = plan.candidates.iter().map(route).collect();
        routes.join(" ")
    }

    pub(crate) fn refusal(&self, model: &str) -> Option<ErrorKind> {
        self.plan(model).refusal.map(|error| error.kind)
    }
}

/// `payer` of each passage, with its provider where it goes to one, or the code of the refusal.
pub(crate) fn payers(plan: &Plan<Passage>) -> String {
    if let Some(error) = &plan.refusal {
        return error.kind.code().to_owned();
    }
    let passages = plan.candidates.iter().map(|passage| {
        let payer = name_of(&passage.payer);
        match &passage.provider {
            Some(provider) => format!("{payer}>{}", provider.name),
            None => payer.to_owned(),
        }
    });
    passages.collect::<Vec<_>>().join(" ")
}

fn name_of(payer: &Payer) -> &str {
    match payer {
        Payer::Copy(copy) => &copy.name,
        Payer::Key(_) => "key",
    }
}

/// `payer>provider/model` of a candidate.
pub(crate) fn route(candidate: &Candidate) -> String {
    let payer = name_of(&candidate.payer);
    format!("{payer}>{}/{}", candidate.provider.name, candidate.model)
}

pub(crate) fn in_shadow(mut copy: UserCopy) -> UserCopy {
    copy.content.shadow = true;
    copy
}

pub(crate) fn allow_unknown_prices(mut copy: UserCopy) -> UserCopy {
    copy.content.on_unknown_price = OnUnknownPrice::Allow;
    copy
}

pub(crate) fn client(number: u128) -> McpClientId {
    McpClientId::from_uuid(uuid(number))
}

/// `Files` (1) may call everything, `Mail` (2) `read` and `send`; group 1 has `read` of both.
fn mcp() -> McpCatalog {
    let one = |number, name: &str, tools: &[&str]| McpClient {
        id: client(number),
        name: name.into(),
        tools_to_execute: tools.iter().map(|&tool| tool.to_owned()).collect(),
        tool_pricing: [("send".to_owned(), Usd::from_nanos(5))].into(),
    };
    let readers = [1, 2].map(|number| (client(number), vec!["read".to_owned()]));
    McpCatalog::new(
        [one(1, "Files", &["*"]), one(2, "Mail", &["read", "send"])],
        [(ToolGroupId(1), readers.into())],
    )
}

pub(crate) fn provider(name: &str) -> Provider {
    Provider {
        name: name.parse().unwrap(),
        kind: ProviderType::OpenAi,
        is_keyless: false,
        network: None,
        keys: vec![Arc::new(ProviderKey {
            id: ProviderKeyId::from_uuid(uuid(1)),
            name: "main".into(),
            secret: String::new().into(),
            models: ModelList::default(),
            blacklisted_models: ModelList::default(),
            weight: 1.0,
            aliases: std::collections::BTreeMap::new(),
        })],
        meters: Vec::new(),
        revision: 1,
    }
}
