//! Which crate may use which, which crates may not enter the tree, and under which licences.
//!
//! The directions are the architecture: the pure core sees no database and no socket, and the
//! two planes do not see each other. Bans and licences are read from `deny.toml`, so that
//! `cargo deny check` and this rule cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Context as _;
use serde::Deserialize;

use crate::shell;

/// What each crate may use of the workspace. A crate that is not listed may use nothing.
const DIRECTIONS: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("llm", &["domain"]),
    ("ledger", &["domain"]),
    ("storage", &["domain"]),
    ("gate", &["domain", "ledger"]),
    ("proxy", &["domain", "gate", "ledger", "llm"]),
    ("mcp", &["domain", "gate"]),
    ("management", &["domain", "storage"]),
    (
        "server",
        &[
            "domain",
            "gate",
            "ledger",
            "llm",
            "management",
            "mcp",
            "proxy",
            "storage",
        ],
    ),
    // Builders and fakes of tests may reach anything but the planes that use them.
    ("testkit", &["domain", "gate", "ledger", "llm", "storage"]),
];

/// What a crate must not use of the outside world, so that its tests stay plain function calls.
const FOREIGN: [(&str, &[&str]); 4] = [
    ("domain", &["axum", "hyper", "reqwest", "sqlx", "tokio"]),
    ("llm", &["axum", "hyper", "reqwest", "sqlx", "tokio"]),
    ("ledger", &["axum", "hyper", "reqwest", "sqlx"]),
    ("gate", &["axum", "sqlx"]),
];

/// The only crate with SQL in it.
const SQL_OWNER: &str = "storage";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

/// A crate of the workspace, as cargo's metadata describes it.
#[derive(Deserialize)]
struct Member {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what the crate itself uses, else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Policy {
    bans: Bans,
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    /// A name, or a name and the versions below which it is refused: `reqwest:<0.13`.
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

/// A crate that is compiled into something of ours on this platform.
struct Used<'a> {
    name: &'a str,
    version: &'a str,
    license: &'a str,
}

pub(super) fn complaints() -> anyhow::Result<Vec<String>> {
    let metadata = ["metadata", "--no-deps", "--format-version", "1", "--locked"];
    let metadata: Metadata = serde_json::from_str(&shell::output(shell::cargo().args(metadata))?)
        .context("read cargo's metadata")?;
    let policy = fs::read_to_string(shell::root().join("deny.toml")).context("read `deny.toml`")?;
    let policy: Policy = toml::from_str(&policy).context("read `deny.toml`")?;
    // The lock file, and with it the full metadata, also names crates behind features that
    // nobody turned on; the tree has only what is built.
    let tree = [
        "tree",
        "--workspace",
        "-e",
        "normal,build,dev",
        "--prefix",
        "none",
        "--locked",
    ];
    let tree = shell::output(shell::cargo().args(tree).args(["--format", "{p}|{l}"]))?;
    let used: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();

    let mut found: Vec<String> = metadata.packages.iter().flat_map(direction).collect();
    for package in used.into_iter().filter_map(parse_used) {
        found.extend(ban(&package, &policy.bans.deny));
        found.extend(license(&package, &policy.licenses.allow));
    }
    Ok(found)
}

/// Reads `name v1.2.3 (proc-macro)|MIT OR Apache-2.0`.
fn parse_used(line: &str) -> Option<Used<'_>> {
    let (package, license) = line.split_once('|')?;
    let mut words = package.split(' ');
    let name = words.next()?;
    Some(Used {
        name,
        version: words.next()?.trim_start_matches('v'),
        license,
    })
}

fn direction(package: &Member) -> Vec<String> {
    let short = |name: &str| name.strip_prefix("tollgate-").map(str::to_owned);
    let Some(own) = short(&package.name) else {
        return Vec::new();
    };
    let allowed: BTreeMap<_, _> = DIRECTIONS.into();
    let foreign: BTreeMap<_, _> = FOREIGN.into();
    let mut found = Vec::new();
    // What only tests use may point anywhere.
    for dependency in package
        .dependencies
        .iter()
        .filter(|used| used.kind.as_deref() != Some("dev"))
    {
        let name = dependency.name.as_str();
        let refused = match short(name) {
            Some(other) => !allowed
                .get(own.as_str())
                .is_some_and(|list| list.contains(&other.as_str())),
            None => {
                foreign
                    .get(own.as_str())
                    .is_some_and(|list| list.contains(&name))
                    || (name == "sqlx" && own != SQL_OWNER)
            }
        };
        if refused {
            found.push(format!(
                "crate `{own}` may not use `{name}`, see ARCHITECTURE.md"
            ));
        }
    }
    found
}

fn ban(package: &Used<'_>, bans: &[Ban]) -> Option<String> {
    let hit = bans.iter().find(|ban| match ban.spec.split_once(":<") {
        Some((name, below)) => name == package.name && is_below(package.version, below),
        None => ban.spec == package.name,
    })?;
    Some(format!(
        "`{} {}` is banned: {}",
        package.name, package.version, hit.reason
    ))
}

/// Compares dotted numbers from the left; `below` may name fewer of them.
fn is_below(version: &str, below: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(version) < numbers(below)
}

fn license(package: &Used<'_>, allowed: &BTreeSet<String>) -> Option<String> {
    let Used { name, license, .. } = package;
    (!is_allowed(license, allowed))
        .then(|| format!("`{name}` is under `{license}`, which `deny.toml` does not allow"))
}

/// Evaluates the flat expressions that crates use: `A OR B`, `A AND B`, `(A OR B) AND C`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let any = |group: &str| {
        let group = group.replace(" OR ", "/");
        group
            .split('/')
            .any(|name| allowed.contains(name.trim().trim_matches(['(', ')'])))
    };
    // In these expressions AND binds groups in parentheses; without them it binds tighter.
    if expression.contains('(') {
        expression.split(" AND ").all(any)
    } else {
        expression
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, uses: &str, kind: Option<&str>) -> Member {
        let dependency = Dependency {
            name: uses.to_owned(),
            kind: kind.map(str::to_owned),
        };
        Member {
            name: name.to_owned(),
            dependencies: vec![dependency],
        }
    }

    #[test]
    fn planes_do_not_see_each_other() {
        assert_eq!(
            direction(&member("tollgate-proxy", "tollgate-storage", None)).len(),
            1
        );
        assert_eq!(
            direction(&member("tollgate-domain", "tokio", None)).len(),
            1
        );
        assert_eq!(
            direction(&member("tollgate-management", "sqlx", None)).len(),
            1
        );
        assert!(direction(&member("tollgate-gate", "tollgate-ledger", None)).is_empty());
    }

    #[test]
    fn tests_may_use_the_testkit_and_nothing_else_may() {
        assert!(direction(&member("tollgate-proxy", "tollgate-testkit", Some("dev"))).is_empty());
        assert_eq!(
            direction(&member("tollgate-proxy", "tollgate-testkit", None)).len(),
            1
        );
    }

    #[test]
    fn ban_may_name_versions() {
        let bans = [Ban {
            spec: "reqwest:<0.13".to_owned(),
            reason: "old".to_owned(),
        }];
        let check = |line| parse_used(line).is_some_and(|used| ban(&used, &bans).is_some());
        assert!(check("reqwest v0.12.9|MIT"));
        assert!(!check("reqwest v0.13.0|MIT"));
        assert!(!check("reqwest-middleware v0.4.0|MIT"));
    }

    #[test]
    fn licence_expressions() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"]
            .map(str::to_owned)
            .into();
        for fine in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
        ] {
            assert!(is_allowed(fine, &allowed), "{fine}");
        }
        for refused in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
        ] {
            assert!(!is_allowed(refused, &allowed), "{refused}");
        }
    }
}
