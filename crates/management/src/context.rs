//! The only way to data: an extractor that proves the caller's permission.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use tokio::sync::Semaphore;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{PermissionId, ResetId};
use tollgate_domain::limits::MeterId;
use tollgate_domain::live::{AdjustError, Once, UsageReset};
use tollgate_domain::permission::{Action, Permission, Resource};
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_storage::{Store, Tx, resets};

use crate::answers::Reply;
use crate::door::Actor;
use crate::idempotency::Claim;
use crate::problem::{Answer, Problem};
use crate::resets::ResetError;
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

/// Meters that one record of the journal sets back to zero, far below what it has room for.
const METERS_AT_ONCE: usize = 1_000;

/// The change is stored, and with it what is to be reset.
const RESETS_FOLLOW: &str = "the change is made, and its usage is set back to zero as soon as the ledger takes writes; \
nothing has to be sent again";

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

    /// Refuses to hand on more than the caller has: nobody makes somebody else, or a later self, stronger than they are.
    /// `None` = everything, also what later versions add. `place` is where the request says it.
    pub(crate) fn check_handed_on(
        &self,
        permissions: Option<&BTreeSet<PermissionId>>,
        place: &str,
    ) -> Answer<()> {
        let refused = |what: String| {
            let message = format!("{what} cannot be handed on: your own key does not have it");
            Err(Problem::new(StatusCode::FORBIDDEN, "scope_exceeded", message).at(place))
        };
        let Some(permissions) = permissions else {
            return match self.actor.scopes() {
                Some(_) => refused("every permission".to_owned()),
                None => Ok(()),
            };
        };
        let mut known = permissions.iter().filter_map(|id| Permission::from_id(*id));
        match known.find(|permission| !self.actor.may(*permission)) {
            Some(beyond) => refused(format!("the permission `{beyond}`")),
            None => Ok(()),
        }
    }

    /// How a repetition of this request is known; `None` when the caller did not name it.
    pub(crate) fn once(&self) -> Option<Once> {
        self.claim.as_ref().map(Claim::once)
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
        self.commit_and(tx, answer, Resets::None).await
    }

    /// As [`Context::commit`], and sets what these meters of each copy have used back to zero. That is asked for in the
    /// transaction and done once the change is stored, so a write that fails leaves usage as it is, and one that is
    /// stored does not: not even when the process dies in between.
    pub(crate) async fn commit_with_resets<A: Reply>(
        &self,
        mut tx: Tx,
        answer: A,
        copies: &[Vec<MeterId>],
    ) -> Answer<A> {
        for meters in copies
            .iter()
            .flat_map(|meters| meters.chunks(METERS_AT_ONCE))
        {
            let reset = UsageReset {
                id: ResetId::from_uuid(self.parts().ids.next_uuid()),
                meters: meters.to_vec(),
            };
            resets::add(&mut tx, &reset, self.now()).await?;
        }
        self.commit_and(tx, answer, Resets::Asked).await
    }

    async fn commit_and<A: Reply>(&self, mut tx: Tx, answer: A, resets: Resets) -> Answer<A> {
        if let Some(claim) = &self.claim {
            let text = answer.to_text();
            let text = text.map_err(|error| Problem::internal(&error))?;
            let headers = answer.headers().iter().map(|(name, value)| (name, value));
            claim
                .record(&self.state, &mut tx, answer.status(), headers, &text)
                .await?;
        }
        // Until the change is in force, whoever repeats the request waits.
        commit(&self.state, tx, self.claim.clone(), resets).await?;
        Ok(answer)
    }
}

/// Whether a transaction asks for usage to be set back to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resets {
    None,
    Asked,
}

/// Stores what the transaction did and brings it into force, also when the caller goes away; then lets go of `held`.
pub(crate) async fn commit(
    state: &ManagementState,
    tx: Tx,
    held: impl Send + 'static,
    resets: Resets,
) -> Answer<()> {
    let own = state.clone();
    let task = state.parts().tasks.spawn(async move {
        let _held = held;
        let changes: Vec<SnapshotChange> = tx.commit().await?.into_vec();
        let done = match resets {
            Resets::None => Ok(()),
            Resets::Asked => own.apply_resets().await,
        };
        if !changes.is_empty() {
            let published = own.parts().publisher.publish(changes).await;
            published.map_err(|error| Problem::internal(&error))?;
        }
        done.map_err(|error| match error {
            ResetError::Ledger(AdjustError::Unavailable) => Problem::unavailable(RESETS_FOLLOW),
            other => other.into(),
        })
    });
    task.await.map_err(|error| Problem::internal(&error))?
}
