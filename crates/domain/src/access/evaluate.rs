//! The one function that decides: [`evaluate()`], and the same for requests that name no model.
//!
//! The rule, in six sentences:
//! - A key speaks for its holder.
//! - Grants unite: what any live copy allows is allowed.
//! - Denials win inside their copy; a restricting group profile caps every other grant; a key's own grants cap it when
//!   its holder has a copy, and are its grant when it has none.
//! - One copy pays: the first, by priority and then by assignment, that has room in all of its own limits.
//! - Every level above must pass as well.
//! - A copy in shadow mode refuses nothing by its own rules: what it would have refused it pays for after everything that
//!   is really allowed, and the refusal is noted.

mod any_model;
mod caller;
mod caps;
mod credentials;
mod findings;
mod judge;
mod needs;
mod routes;
mod tool;

use super::estimate::Learned;
use super::plan::{Candidate, Passage, Plan};
use super::request::{AnyModelRequest, ModelRequest, ToolRequest};
use crate::snapshot::{Snapshot, VirtualKey};
use crate::time::Timestamp;
use caller::{Caller, Source};
use findings::Findings;
use judge::Judge;
use routes::routes_or_why;

/// Decides what may serve `request` for the holder of `key`, and who pays, as of `now`.
///
/// Total and deterministic: the same snapshot, key, request, experience and instant give the same plan.
pub fn evaluate(
    snapshot: &Snapshot,
    key: &VirtualKey,
    request: &ModelRequest<'_>,
    learned: &dyn Learned,
    now: Timestamp,
) -> Plan<Candidate> {
    decide(snapshot, key, now, "model", |caller, source, findings| {
        let routes = match routes_or_why(snapshot, source, request.model) {
            Ok(routes) => routes,
            Err(why) => {
                findings.add(|outcome| source.considered(None, outcome), Err(why));
                return;
            }
        };
        for route in routes {
            let judge = Judge {
                snapshot,
                caller,
                source,
                route: &route,
                request,
                learned,
            };
            findings.add(
                |outcome| source.considered(Some(route.provider), outcome),
                judge.judge(),
            );
        }
    })
}

/// As [`evaluate()`], for a call of a tool of an MCP client.
pub fn evaluate_tool(
    snapshot: &Snapshot,
    key: &VirtualKey,
    request: &ToolRequest<'_>,
    now: Timestamp,
) -> Plan<Passage> {
    decide(
        snapshot,
        key,
        now,
        "mcp_tool",
        |caller, source, findings| {
            findings.add(
                |outcome| source.considered(None, outcome),
                tool::judge(snapshot, caller, source, request),
            );
        },
    )
}

/// As [`evaluate()`], for what does not depend on the model: the key, its holder, the provider and the limits on
/// everything.
pub fn evaluate_any_model(
    snapshot: &Snapshot,
    key: &VirtualKey,
    request: &AnyModelRequest<'_>,
    now: Timestamp,
) -> Plan<Passage> {
    decide(
        snapshot,
        key,
        now,
        "provider",
        |caller, source, findings| any_model::judge(snapshot, caller, source, request, findings),
    )
}

/// The rule: everything but what one source says of one kind of request, which `judge` adds to the findings. `param` is
/// the field of the request that a refusal is about.
fn decide<C>(
    snapshot: &Snapshot,
    key: &VirtualKey,
    now: Timestamp,
    param: &str,
    judge: impl Fn(&Caller<'_>, &Source<'_>, &mut Findings<C>),
) -> Plan<C> {
    let caller = match Caller::of(snapshot, key, now) {
        Ok(caller) => caller,
        Err(refusal) => return Plan::refused(*refusal),
    };
    let mut findings = Findings::new();
    for source in &caller.sources {
        judge(&caller, source, &mut findings);
    }
    findings.into_plan(caller.ended, param)
}
