//! Rotation with a clock that the test moves, on a database of its own.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::CopyId;
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_management::{BoxFuture, PublishError, SystemSecrets, hash_secret};
use tollgate_storage::Vault;
use tollgate_storage::audit::{AuditEntry, AuditFilter};
use tollgate_storage::copies::{CopySource, StoredCopy};
use tollgate_storage::profiles::NewProfile;
use tollgate_storage::users::{self, User};
use tollgate_storage::{PageRequest, profiles};
use tollgate_testkit::clock::{SequentialIds, TestClock};

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// Remembers what it was told to publish.
#[derive(Default)]
struct Published(Mutex<Vec<SnapshotChange>>);

impl Publisher for Published {
    fn publish(&self, changes: Vec<SnapshotChange>) -> BoxFuture<'_, Result<(), PublishError>> {
        self.0.lock().extend(changes);
        Box::pin(async { Ok(()) })
    }
}

struct Stage {
    clock: Arc<TestClock>,
    ids: Arc<SequentialIds>,
    store: Store,
    published: Arc<Published>,
    worker: RotationWorker,
    _directory: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(TestClock::default());
        let vault = Arc::new(Vault::new(&[7; 32]).unwrap());
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = Store::connect(&url, vault, clock.now()).await.unwrap();
        let ids = Arc::new(SequentialIds::default());
        let published = Arc::new(Published::default());
        let worker = RotationWorker {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            secrets: Arc::new(SystemSecrets::new()),
            publisher: published.clone(),
            metrics: RotationMetrics::default(),
        };
        Self {
            clock,
            ids,
            store,
            published,
            worker,
            _directory: directory,
        }
    }

    /// A profile whose holders' keys are rotated every so many days.
    async fn profile(&self, name: &str, days: u32) -> ProfileId {
        let interval = DAY * days;
        let new = NewProfile {
            name: name.to_owned(),
            description: None,
            is_active: true,
            tags: Vec::new(),
            content: ProfileContent {
                auto_rotation_interval_ns: i64::try_from(interval.as_nanos()).unwrap(),
                ..ProfileContent::default()
            },
        };
        let mut tx = self.store.begin().await.unwrap();
        let made = profiles::create(&mut tx, new, "test", self.clock.now()).await;
        let _nothing = tx.commit().await.unwrap();
        made.unwrap().id
    }

    /// A user with a managed key and one that is not.
    async fn user(&self, name: &str) -> (UserId, VirtualKeyId) {
        let now = self.clock.now();
        let user = User {
            id: UserId::from_uuid(self.ids.next_uuid()),
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            role_id: None,
            is_active: true,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store.begin().await.unwrap();
        users::create(&mut tx, &user).await.unwrap();
        let mut managed = None;
        for is_managed in [true, false] {
            let key = VirtualKey {
                id: VirtualKeyId::from_uuid(self.ids.next_uuid()),
                name: format!("{name} {is_managed}"),
                description: None,
                holder: KeyHolder::User(user.id),
                is_managed,
                is_active: true,
                expires_at: None,
                masked_value: "sk-tg-…first".to_owned(),
                previous_until: None,
                content: ProfileContent::default(),
                created_at: now,
                updated_at: now,
            };
            let hash = hash_secret(&format!("{name} {is_managed}"));
            virtual_keys::create(&mut tx, &key, &hash).await.unwrap();
            managed = managed.or(Some(key.id));
        }
        let _nothing = tx.commit().await.unwrap();
        (user.id, managed.unwrap())
    }

    /// Gives the profile to the user; `change` makes the copy another.
    async fn assign(&self, user: UserId, profile: ProfileId, change: impl FnOnce(&mut UserCopy)) {
        let template = profiles::find(&self.store, profile).await.unwrap().unwrap();
        let now = self.clock.now();
        let mut copy = UserCopy {
            id: CopyId::from_uuid(self.ids.next_uuid()),
            user_id: user,
            parent_profile_id: profile,
            name: template.name,
            profile_version: template.version,
            is_active: true,
            expires_at: None,
            priority: 0,
            assigned_at: now,
            content: template.content,
            overrides: std::collections::BTreeMap::new(),
        };
        change(&mut copy);
        let stored = StoredCopy {
            copy,
            source: CopySource::Hand,
            detached_at: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store.begin().await.unwrap();
        copies::create(&mut tx, &stored).await.unwrap();
        let _nothing = tx.commit().await.unwrap();
    }

    /// A round of the worker, and what the audit trail says of it, oldest first.
    async fn round(&self) -> Vec<AuditEntry> {
        let page = PageRequest {
            limit: 1_000,
            offset: 0,
        };
        let everything = AuditFilter::default();
        let before = audit::list(&self.store, &everything, page).await.unwrap();
        self.worker.round().await.unwrap();
        let after = audit::list(&self.store, &everything, page).await.unwrap();
        let new = usize::try_from(after.total - before.total).unwrap();
        after.items.into_iter().take(new).rev().collect()
    }

    async fn opens(&self, secret: &str) -> bool {
        let hash = hash_secret(secret);
        let found = virtual_keys::find_by_hash(&self.store, &hash, self.clock.now()).await;
        found.unwrap().is_some()
    }

    async fn collect(&self, key: VirtualKeyId) -> Option<String> {
        use secrecy::ExposeSecret as _;
        let mut tx = self.store.begin().await.unwrap();
        let taken = waiting::take(&mut tx, key, self.clock.now()).await.unwrap();
        let _nothing = tx.commit().await.unwrap();
        taken.map(|secret| secret.expose_secret().to_owned())
    }
}

#[tokio::test]
async fn managed_keys_are_rotated_once_when_their_time_has_come() {
    let stage = Stage::new().await;
    let profile = stage.profile("P", 10).await;
    let (ada, key) = stage.user("ada").await;
    stage.assign(ada, profile, |_| {}).await;
    stage.clock.advance(DAY * 9 + Duration::from_secs(86_399));
    assert!(stage.round().await.is_empty());
    stage.clock.advance(Duration::from_secs(1));
    let entries = stage.round().await;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(
        (
            entry.actor.as_str(),
            entry.action.as_str(),
            entry.target_id.as_str()
        ),
        (ACTOR, "rotate", key.to_string().as_str())
    );
    assert_eq!((entry.profile, entry.user), (Some(profile), Some(ada)));
    assert_eq!(*stage.published.0.lock(), [SnapshotChange::Key(key)]);
    assert!(stage.round().await.is_empty(), "once");
    let rotation = profiles::find(&stage.store, profile)
        .await
        .unwrap()
        .unwrap()
        .rotation;
    let now = stage.clock.now();
    assert_eq!(rotation.last_at, Some(now));
    assert_eq!(
        rotation.next_at.unwrap().micros_since(now),
        10 * 86_400 * 1_000_000
    );

    assert!(
        stage.opens("ada true").await,
        "the old secret has its grace time"
    );
    let new = stage.collect(key).await.unwrap();
    assert!(stage.opens(&new).await);
    assert_eq!(stage.collect(key).await, None, "it is handed out once");
    let text = format!("{entries:?}");
    assert!(!text.contains(&new), "{text}");
    stage.clock.advance(DAY * 5);
    assert!(!stage.opens("ada true").await && stage.opens(&new).await);
    assert!(stage.opens("ada false").await, "it is not managed");
    assert!(
        stage.round().await.is_empty(),
        "a collected secret is not lost"
    );
}

#[tokio::test]
async fn a_clock_that_jumps_rotates_once_and_never_twice() {
    let stage = Stage::new().await;
    let profile = stage.profile("P", 1).await;
    let (ada, _) = stage.user("ada").await;
    stage.assign(ada, profile, |_| {}).await;
    let start = stage.clock.now();
    stage.clock.advance(DAY * 100);
    let rotations = |entries: Vec<AuditEntry>| {
        entries
            .iter()
            .filter(|each| each.action == "rotate")
            .count()
    };
    assert_eq!(rotations(stage.round().await), 1);
    stage.clock.set(start);
    assert_eq!(rotations(stage.round().await), 0);
    stage.clock.advance(DAY * 100);
    assert_eq!(rotations(stage.round().await), 0);
    stage.clock.advance(DAY);
    assert_eq!(rotations(stage.round().await), 1);
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_goes_on_where_it_stood() {
    let stage = Stage::new().await;
    let profile = stage.profile("P", 1).await;
    let holders = usize::try_from(HOLDERS).unwrap() + 3;
    for number in 0..holders {
        let (user, _) = stage.user(&format!("user{number}")).await;
        stage.assign(user, profile, |_| {}).await;
    }
    stage.clock.advance(DAY);
    assert!(stage.worker.step(profile).await.unwrap());
    assert_eq!(stage.published.0.lock().len(), holders - 3);
    // The process dies here, and another one comes up.
    let again = RotationWorker {
        metrics: RotationMetrics::default(),
        store: stage.store.clone(),
        clock: stage.clock.clone(),
        ids: stage.ids.clone(),
        secrets: stage.worker.secrets.clone(),
        publisher: stage.published.clone(),
    };
    again.round().await.unwrap();
    let mut published = stage.published.0.lock().clone();
    published.sort();
    published.dedup();
    assert_eq!(published.len(), holders);
    assert_eq!(stage.published.0.lock().len(), holders, "each key once");
}

#[tokio::test]
async fn only_copies_that_grant_and_took_rotation_over_follow_the_schedule() {
    let stage = Stage::new().await;
    let profile = stage.profile("P", 1).await;
    let changes: [fn(&mut UserCopy); 3] = [
        |copy| copy.content.auto_rotation_interval_ns = 0,
        |copy| copy.is_active = false,
        |copy| copy.expires_at = Some(copy.assigned_at),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (user, _) = stage.user(&format!("user{number}")).await;
        stage.assign(user, profile, change).await;
    }
    stage.clock.advance(DAY);
    assert!(stage.round().await.is_empty());
}

#[tokio::test]
async fn two_profiles_at_once_make_one_secret_and_the_stricter_grace_holds() {
    let stage = Stage::new().await;
    let (ada, key) = stage.user("ada").await;
    for (name, days) in [("slow", 4), ("fast", 2)] {
        let profile = stage.profile(name, days).await;
        stage.assign(ada, profile, |_| {}).await;
    }
    // "fast" is due first; four days after the start both are.
    stage.clock.advance(DAY * 4);
    assert_eq!(stage.round().await.len(), 1);
    let until = waiting::find(&stage.store, key).await.unwrap().unwrap();
    assert_eq!(until.micros_since(stage.clock.now()), 86_400 * 1_000_000);
    stage.clock.advance(Duration::from_secs(86_399));
    assert!(stage.opens("ada true").await);
    stage.clock.advance(Duration::from_secs(1));
    assert!(!stage.opens("ada true").await);
}

#[tokio::test]
async fn a_secret_that_nobody_collects_is_forgotten_and_said_to_be_lost() {
    let stage = Stage::new().await;
    let profile = stage.profile("P", 10).await;
    let (ada, key) = stage.user("ada").await;
    stage.assign(ada, profile, |_| {}).await;
    stage.clock.advance(DAY * 10);
    stage.round().await;
    stage.clock.advance(DAY * 5);
    let entries = stage.round().await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].action.as_str(), entries[0].user),
        ("lose_secret", Some(ada))
    );
    assert_eq!(waiting::find(&stage.store, key).await.unwrap(), None);
    assert_eq!(stage.collect(key).await, None);
    assert!(!stage.opens("ada true").await);
    assert!(stage.round().await.is_empty());
}
