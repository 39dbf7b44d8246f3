//! Who may call which tool of an MCP client.

use tollgate_domain::access::profile::{McpGrants, ToolAction, ToolOverride, UserCopy};
use tollgate_domain::access::{ToolRequest, evaluate_tool};
use tollgate_domain::ids::ToolGroupId;
use tollgate_domain::snapshot::GroupProfileMode;

use crate::world::{NOW, World, budget, client, config, copy, in_shadow};

fn grants(servers: &[u128], groups: &[i64], overrides: &[(u128, &str, ToolAction)]) -> McpGrants {
    McpGrants {
        servers: servers.iter().map(|number| client(*number)).collect(),
        tool_groups: groups.iter().map(|id| ToolGroupId(*id)).collect(),
        tool_overrides: overrides
            .iter()
            .map(|&(number, tool, action)| ToolOverride {
                mcp_client_id: client(number),
                tool_name: tool.to_owned(),
                action,
            })
            .collect(),
    }
}

fn granting(number: u8, mcp: McpGrants) -> UserCopy {
    let mut copy = copy(number, vec![config("alpha", "*", "")]);
    copy.content.mcp = mcp;
    copy
}

const INCLUDE: ToolAction = ToolAction::Include;
const EXCLUDE: ToolAction = ToolAction::Exclude;
const BLOCKED: &str = "mcp_tool_blocked";

/// What a user with a copy of these grants gets for `client/tool`.
fn outcome(mcp: McpGrants, tool: &str) -> String {
    World::new().with_copy(&granting(1, mcp)).tool_called(tool)
}

impl World {
    fn tool_called(&self, tool: &str) -> String {
        match tool.split_once('/') {
            Some((client, tool)) => self.tool_outcome(client, Some(tool)),
            None => self.tool_outcome(tool, None),
        }
    }
}

#[test]
fn nothing_is_granted_unless_somebody_wrote_it() {
    for tool in ["files/read", "mail/read", "files", "nobody/read", "nobody"] {
        assert_eq!(outcome(McpGrants::default(), tool), BLOCKED, "{tool}");
        assert_eq!(outcome(grants(&[], &[99], &[]), tool), BLOCKED, "{tool}");
    }
}

#[test]
fn servers_groups_and_single_tools_grant() {
    let whole = || grants(&[1], &[], &[]);
    assert_eq!(outcome(whole(), "files/whatever-comes-later"), "profile-1");
    assert_eq!(outcome(whole(), "FILES/read"), "profile-1");
    assert_eq!(
        outcome(whole(), &format!("{}/read", client(1))),
        "profile-1"
    );
    assert_eq!(outcome(whole(), "mail/read"), BLOCKED);
    let grouped = || grants(&[], &[1], &[]);
    assert_eq!(outcome(grouped(), "files/read"), "profile-1");
    assert_eq!(outcome(grouped(), "mail/read"), "profile-1");
    assert_eq!(outcome(grouped(), "mail/send"), BLOCKED);
    let single = || grants(&[], &[], &[(2, "send", INCLUDE)]);
    assert_eq!(outcome(single(), "mail/send"), "profile-1");
    assert_eq!(outcome(single(), "mail/SEND"), BLOCKED, "tools have case");
    assert_eq!(outcome(single(), "files/send"), BLOCKED);
}

#[test]
fn an_exclusion_wins_inside_its_copy_and_only_there() {
    let all_but = || grants(&[1], &[1], &[(1, "read", EXCLUDE), (1, "read", INCLUDE)]);
    assert_eq!(outcome(all_but(), "files/read"), BLOCKED);
    assert_eq!(outcome(all_but(), "files/write"), "profile-1");
    assert_eq!(outcome(all_but(), "mail/read"), "profile-1");
    assert_eq!(
        outcome(grants(&[1], &[], &[(1, "*", EXCLUDE)]), "files/write"),
        BLOCKED
    );
    let world = World::new()
        .with_copy(&granting(1, all_but()))
        .with_copy(&granting(2, grants(&[], &[1], &[])));
    assert_eq!(world.tool_called("files/read"), "profile-2");
    assert_eq!(world.tool_called("files/write"), "profile-1");
}

#[test]
fn a_tool_that_its_client_does_not_offer_is_nobodys() {
    let whole = || grants(&[2], &[], &[(2, "purge", INCLUDE)]);
    assert_eq!(outcome(whole(), "mail/send"), "profile-1");
    assert_eq!(outcome(whole(), "mail/purge"), BLOCKED);
    let shadow = World::new().with_copy(&in_shadow(granting(1, McpGrants::default())));
    assert_eq!(shadow.tool_called("mail/purge"), BLOCKED);
    assert_eq!(shadow.tool_called("nobody/read"), BLOCKED);
    assert_eq!(shadow.tool_called("mail/send"), "profile-1");
}

#[test]
fn a_client_is_open_when_one_of_its_tools_is() {
    assert_eq!(outcome(grants(&[1], &[], &[]), "files"), "profile-1");
    assert_eq!(outcome(grants(&[], &[1], &[]), "mail"), "profile-1");
    let but_the_one = grants(&[], &[1], &[(2, "read", EXCLUDE)]);
    assert_eq!(outcome(but_the_one, "mail"), BLOCKED);
    let both_excluded = grants(&[2], &[], &[(2, "read", EXCLUDE), (2, "send", EXCLUDE)]);
    assert_eq!(outcome(both_excluded, "mail"), BLOCKED);
    let not_offered = grants(&[], &[], &[(2, "purge", INCLUDE)]);
    assert_eq!(outcome(not_offered, "mail"), BLOCKED);
}

#[test]
fn a_keys_own_tools_cap_its_holder_and_grant_without_one() {
    let reads = || grants(&[], &[], &[(1, "read", INCLUDE)]);
    let mut world = World::new().with_copy(&granting(1, grants(&[1, 2], &[], &[])));
    assert_eq!(world.tool_called("mail/send"), "profile-1");
    world.key.mcp = reads();
    assert_eq!(world.tool_called("files/read"), "profile-1");
    assert_eq!(world.tool_called("files/write"), BLOCKED);
    assert_eq!(world.tool_called("mail/send"), BLOCKED);
    assert_eq!(world.tool_called("mail"), BLOCKED);
    let mut alone = World::new();
    assert_eq!(alone.tool_called("files/read"), BLOCKED);
    alone.key.mcp = reads();
    assert_eq!(alone.tool_called("files/read"), "key");
    assert_eq!(alone.tool_called("files/write"), BLOCKED);
    // What a key may call is no more than what its holder may.
    let mut greedy = World::new().with_copy(&granting(1, reads()));
    greedy.key.mcp = grants(&[1], &[], &[]);
    assert_eq!(greedy.tool_called("files/write"), BLOCKED);
}

#[test]
fn a_restricting_group_profile_caps_tools_too() {
    let own = granting(1, grants(&[1], &[], &[]));
    let with = |mode, mcp| {
        World::new()
            .with_copy(&own)
            .with_team_profile(mode, &granting(9, mcp))
    };
    let reading = || grants(&[], &[1], &[]);
    let capped = with(GroupProfileMode::Restrict, reading());
    assert_eq!(capped.tool_called("files/read"), "profile-1");
    assert_eq!(capped.tool_called("files/write"), BLOCKED);
    assert_eq!(
        capped.tool_called("mail/read"),
        BLOCKED,
        "a cap grants nothing"
    );
    let united = with(GroupProfileMode::Unite, reading());
    assert_eq!(united.tool_called("files/write"), "profile-1");
    assert_eq!(united.tool_called("mail/read"), "profile-9");
    let trial = World::new().with_copy(&own).with_team_profile(
        GroupProfileMode::Restrict,
        &in_shadow(granting(9, reading())),
    );
    assert_eq!(trial.tool_called("files/write"), "profile-1");
}

#[test]
fn a_copy_in_shadow_mode_comes_last_and_notes_what_it_would_have_refused() {
    let world = World::new()
        .with_copy(&in_shadow(granting(1, McpGrants::default())))
        .with_copy(&granting(2, grants(&[1], &[], &[])));
    assert_eq!(world.tool_called("files/read"), "profile-2 profile-1");
    let request = ToolRequest {
        client: "files",
        tool: Some("read"),
    };
    let plan = evaluate_tool(&world.snapshot(), &world.key, &request, NOW);
    let noted: Vec<_> = plan
        .candidates
        .iter()
        .map(|passage| passage.shadowed.as_ref().map(|why| why.message.as_str()))
        .collect();
    let why = "`profile-1` does not grant the tool `read` of `Files`";
    assert_eq!(noted, [None, Some(why)]);
}

#[test]
fn a_call_needs_the_limits_on_everything_and_none_of_a_provider() {
    let mut paying = granting(1, grants(&[2], &[], &[]));
    paying.content.limits.budgets = vec![budget(10, "5")];
    paying.content.provider_configs[0].limits.budgets = vec![budget(11, "2")];
    let world = World::new().with_copy(&paying);
    let request = ToolRequest {
        client: "mail",
        tool: Some("send"),
    };
    let plan = evaluate_tool(&world.snapshot(), &world.key, &request, NOW);
    let needs = plan.candidates[0].needs.iter();
    let needs: Vec<_> = needs
        .map(|need| (need.meter.scope.to_string(), need.amount))
        .collect();
    assert_eq!(needs, [("total".to_owned(), 5)]);
}

#[test]
fn an_inactive_key_calls_nothing() {
    let mut world = World::new().with_copy(&granting(1, grants(&[1], &[], &[])));
    world.key.is_active = false;
    assert_eq!(world.tool_called("files/read"), "access_blocked");
}
