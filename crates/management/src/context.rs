//! The only way to data: an extractor that proves the caller's permission.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use tokio::sync::Semaphore;
use tollgate_domain::Timestamp;
use tollgate_domain::permission::{Action, Permission, Resource};
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_storage::{Store, Tx};

use crate::answers::Reply;
use crate::door::Actor;
use crate::idempotency::Claim;
use crate::problem::{Answer, Problem};
use crate::state::{ManagementParts, ManagementState};

/// A permission as a type.
pub(crate) trait Permits: Send + Sync + 'static {
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($resource:ident { $($name:ident = $action:ident),+ $(,)? })+) => {$($(
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        impl Permits for $name {
            const PERMISSION: Permission = Permission::new(Resource::$resource, Action::$action);
        }
    )+)+};
}

permissions! {
    AccessProfiles {
        ViewAccessProfiles = View,
        CreateAccessProfiles = Create,
        UpdateAccessProfiles = Update,
        DeleteAccessProfiles = Delete,
    }
    VirtualKeys {
        ViewVirtualKeys = View,
        CreateVirtualKeys = Create,
        UpdateVirtualKeys = Update,
        DeleteVirtualKeys = Delete,
    }
    Users { ViewUsers = View, CreateUsers = Create, UpdateUsers = Update, DeleteUsers = Delete }
    Roles { ViewRoles = View, CreateRoles = Create, UpdateRoles = Update, DeleteRoles = Delete }
    APIKeys {
        ViewApiKeys = View,
        CreateApiKeys = Create,
        UpdateApiKeys = Update,
        DeleteApiKeys = Delete,
    }
    Teams { ViewTeams = View, CreateTeams = Create, UpdateTeams = Update, DeleteTeams = Delete }
    Customers {
        ViewCustomers = View,
        CreateCustomers = Create,
        UpdateCustomers = Update,
        DeleteCustomers = Delete,
    }
    BusinessUnits {
        ViewBusinessUnits = View,
        CreateBusinessUnits = Create,
        UpdateBusinessUnits = Update,
        DeleteBusinessUnits = Delete,
    }
    Providers {
        ViewProviders = View,
        CreateProviders = Create,
        UpdateProviders = Update,
        DeleteProviders = Delete,
    }
    MCPGateway { ViewMcp = View, CreateMcp = Create, UpdateMcp = Update, DeleteMcp = Delete }
    Logs { ViewLogs = View, UpdateLogs = Update }
    AuditLogs { ViewAuditLogs = View }
    Settings {
        ViewSettings = View,
        CreateSettings = Create,
        UpdateSettings = Update,
        DeleteSettings = Delete,
    }
}

/// The caller has the permission `P`. Whoever has one of these has the database; nobody else has.
pub(crate) struct Require<P> {
    context: Context,
    permission: PhantomData<P>,
}

/// What an operation works with.
pub(crate) struct Context {
    state: ManagementState,
    actor: Actor,
    /// Of a request with an idempotency key.
    claim: Option<Claim>,
}

impl<P> Deref for Require<P> {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl<P: Permits> FromRequestParts<ManagementState> for Require<P> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ManagementState,
    ) -> Result<Self, Problem> {
        let actor =
            parts.extensions.get::<Actor>().cloned().ok_or_else(|| {
                Problem::unauthenticated("no credential was checked for this path")
            })?;
        let needed = P::PERMISSION;
        if !actor.may(needed) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "permission_denied",
                format!(
                    "this needs the permission `{needed}`, which this management key does not have"
                ),
            ));
        }
        Ok(Self {
            context: Context {
                state: state.clone(),
                actor,
                claim: parts.extensions.get::<Claim>().cloned(),
            },
            permission: PhantomData,
        })
    }
}

impl Context {
    pub(crate) fn parts(&self) -> &ManagementParts {
        self.state.parts()
    }

    /// Which simulations run.
    pub(crate) fn simulations(&self) -> &Semaphore {
        self.state.simulations()
    }

    /// For reading.
    pub(crate) fn store(&self) -> &Store {
        &self.parts().store
    }

    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts().clock.now()
    }

    /// Starts the transaction of a write.
    pub(crate) async fn begin(&self) -> Answer<Tx> {
        Ok(self.store().begin().await?)
    }

    /// Stores what the transaction did, with the answer that tells of it where the caller may ask for that again, and
    /// brings it into force. The caller going away stops none of it.
    ///
    /// The answer comes back unchanged: a write cannot be committed by somebody who does not know yet what to say of it.
    pub(crate) async fn commit<A: Reply>(&self, tx: Tx, answer: A) -> Answer<A> {
        self.commit_then(tx, answer, |_| Ok(())).await
    }

    /// As [`Context::commit`], and does what belongs to the change outside of the database, once that has it.
    pub(crate) async fn commit_then<A: Reply>(
        &self,
        mut tx: Tx,
        answer: A,
        after: impl FnOnce(&ManagementParts) -> Answer<()> + Send + 'static,
    ) -> Answer<A> {
        if let Some(claim) = &self.claim {
            let text = answer.to_text();
            let text = text.map_err(|error| Problem::internal(&error))?;
            let headers = answer.headers().iter().map(|(name, value)| (name, value));
            claim
                .record(&self.state, &mut tx, answer.status(), headers, &text)
                .await?;
        }
        // Until the change is in force, whoever repeats the request waits.
        commit(&self.state, tx, self.claim.clone(), after).await?;
        Ok(answer)
    }
}

/// Stores what the transaction did, does what comes after, and brings it into force, also when the caller goes away; then
/// lets go of `held`.
pub(crate) async fn commit(
    state: &ManagementState,
    tx: Tx,
    held: impl Send + 'static,
    after: impl FnOnce(&ManagementParts) -> Answer<()> + Send + 'static,
) -> Answer<()> {
    let own = state.clone();
    let task = state.parts().tasks.spawn(async move {
        let _held = held;
        let changes: Vec<SnapshotChange> = tx.commit().await?.into_vec();
        let done = after(own.parts());
        if !changes.is_empty() {
            let published = own.parts().publisher.publish(changes).await;
            published.map_err(|error| Problem::internal(&error))?;
        }
        done
    });
    task.await.map_err(|error| Problem::internal(&error))?
}
