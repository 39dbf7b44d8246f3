//! Rotates the managed keys of a profile's holders when the profile's time has come, and forgets the new secrets that
//! nobody collected.
//!
//! What is due is in the database, and each step is one transaction: a step that was made is not made again, whatever
//! happens to the process or to its clock.

mod metrics;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tollgate_domain::access::profile::{AccessProfile, UserCopy};
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId, VirtualKeyId};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_domain::{Clock, IdSource, Timestamp};
use tollgate_management::{NewSecret, Publisher, SecretSource, VIRTUAL_KEY_PREFIX};
use tollgate_storage::audit::{self, NewAuditEntry};
use tollgate_storage::profiles::{self, rotation};
use tollgate_storage::virtual_keys::{self, Rotation, VirtualKey, waiting};
use tollgate_storage::{Store, Tx, copies};

pub(crate) use self::metrics::RotationMetrics;

/// Pause between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Holders whose keys are rotated in one transaction, so that other writes get their turn in between.
const HOLDERS: u32 = 50;
/// Profiles, and secrets that nobody collected, that are looked at in one round.
const DUE: u32 = 100;
/// As the audit trail names it.
const ACTOR: &str = "tollgate (rotation)";

/// The worker.
pub(crate) struct RotationWorker {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) metrics: RotationMetrics,
}

impl RotationWorker {
    /// Rotates until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            match self.round().await {
                Ok(()) => self.metrics.succeeded(),
                Err(error) => self.metrics.failed(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Does everything that is due.
    async fn round(&self) -> anyhow::Result<()> {
        for profile in rotation::due(&self.store, self.clock.now(), DUE).await? {
            while self
                .step(profile)
                .await
                .with_context(|| format!("rotate the keys of the access profile `{profile}`"))?
            {
            }
        }
        for key in waiting::expired(&self.store, self.clock.now(), DUE).await? {
            self.lose(key)
                .await
                .with_context(|| format!("forget the new secret of the key `{key}`"))?;
        }
        Ok(())
    }

    /// Rotates the keys of some further holders of a profile. Says whether there may be more to do.
    async fn step(&self, id: ProfileId) -> anyhow::Result<bool> {
        let mut tx = self.store.begin().await?;
        let now = self.clock.now();
        let due = profiles::find(&mut tx, id)
            .await?
            .filter(|profile| profile.rotation.next_at.is_some_and(|at| at <= now));
        let Some(profile) = due else {
            tx.rollback().await?;
            return Ok(false);
        };
        let after = rotation::cursor(&mut tx, id).await?;
        let holders = copies::of_profile(&mut tx, id, after, HOLDERS).await?;
        let last = holders.last().map(|holder| holder.copy.user_id);
        match last {
            Some(last) => rotation::set_cursor(&mut tx, id, last).await?,
            None => rotation::set(&mut tx, id, profile.rotation_after(now)).await?,
        };
        let mut rotated = 0;
        for holder in holders {
            if takes_part(&holder.copy, now) {
                rotated += self
                    .rotate_keys(&mut tx, &profile, holder.copy.user_id, now)
                    .await?;
            }
        }
        let changes = tx.commit().await?.into_vec();
        self.metrics.rotated(rotated);
        if !changes.is_empty() {
            // What cannot be published now is published later, by the publisher itself.
            let _logged_there = self.publisher.publish(changes).await;
        }
        Ok(last.is_some())
    }

    /// Rotates the managed keys of one holder. Returns how many.
    async fn rotate_keys(
        &self,
        tx: &mut Tx,
        profile: &AccessProfile,
        user: UserId,
        now: Timestamp,
    ) -> anyhow::Result<u64> {
        let collect_until = now.saturating_add_micros(profile.rotation_grace_micros());
        let mut rotated = 0;
        for key in virtual_keys::of_user(&mut *tx, user).await? {
            if !key.is_managed {
                continue;
            }
            let waits = waiting::find(&mut *tx, key.id).await?;
            if waits.is_some_and(|until| until > now) {
                // Another profile rotated it, and its secret still waits: the holder shall not have to collect twice.
                waiting::shorten(tx, key.id, collect_until).await?;
                continue;
            }
            self.rotate_key(tx, profile.id, user, &key, (now, collect_until))
                .await?;
            rotated += 1;
        }
        Ok(rotated)
    }

    async fn rotate_key(
        &self,
        tx: &mut Tx,
        profile: ProfileId,
        user: UserId,
        key: &VirtualKey,
        (now, collect_until): (Timestamp, Timestamp),
    ) -> anyhow::Result<()> {
        let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, self.secrets.as_ref())?;
        let rotation = Rotation {
            secret_hash: &secret.hash,
            masked_value: &secret.masked,
            honour_old_until: Some(collect_until),
            at: now,
        };
        virtual_keys::rotate(tx, key.id, rotation).await?;
        waiting::put(tx, key.id, &secret.value, collect_until, now).await?;
        let facts = serde_json::json!({
            "name": key.name,
            "previous_value": key.masked_value,
            "value": secret.masked,
            "collect_until": collect_until,
        });
        let entry = self.entry("rotate", key.id, (Some(profile), Some(user)), &facts, now);
        audit::append(tx, entry).await?;
        Ok(())
    }

    /// Forgets a secret that nobody collected in time. The key now opens nothing, until it is rotated by hand.
    async fn lose(&self, id: VirtualKeyId) -> anyhow::Result<()> {
        let mut tx = self.store.begin().await?;
        let now = self.clock.now();
        if !waiting::lose(&mut tx, id, now).await? {
            tx.rollback().await?;
            return Ok(());
        }
        let key = virtual_keys::find(&mut tx, id).await?;
        let user = key.as_ref().and_then(|key| match key.holder {
            KeyHolder::User(user) => Some(user),
            _ => None,
        });
        let facts = serde_json::json!({"name": key.map(|key| key.name)});
        let entry = self.entry("lose_secret", id, (None, user), &facts, now);
        audit::append(&mut tx, entry).await?;
        let _nothing_of_the_policy = tx.commit().await?;
        self.metrics.lost();
        tracing::warn!(virtual_key.id = %id, "nobody collected the key's new secret; rotate the key by hand");
        Ok(())
    }

    fn entry(
        &self,
        action: &'static str,
        key: VirtualKeyId,
        (profile, user): (Option<ProfileId>, Option<UserId>),
        facts: &serde_json::Value,
        at: Timestamp,
    ) -> NewAuditEntry {
        NewAuditEntry {
            id: AuditEntryId::from_uuid(self.ids.next_uuid()),
            at,
            actor: ACTOR.to_owned(),
            action,
            target_kind: "virtual_key",
            target_id: key.to_string(),
            profile,
            user,
            previous_values: None,
            new_values: None,
            metadata: Some(facts.to_string()),
        }
    }
}

/// Whether the holder's keys follow the profile's schedule: the copy took rotation over from it, and grants something.
fn takes_part(copy: &UserCopy, now: Timestamp) -> bool {
    copy.content.auto_rotation_interval_ns > 0
        && copy.is_active
        && copy.expires_at.is_none_or(|until| now < until)
}

#[cfg(test)]
mod tests;
