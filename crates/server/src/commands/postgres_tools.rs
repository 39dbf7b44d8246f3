//! PostgreSQL's own tools for backup and restore. The address goes to them by variables, since other users of the host
//! can read arguments.

use std::process::Command;

use anyhow::{Context as _, bail};
use percent_encoding::percent_decode_str;
use url::Url;

/// The tool, told where the database is.
pub(super) fn tool(program: &str, database: &str) -> anyhow::Result<Command> {
    // The parser's message could quote the address, and with it the password.
    let url = Url::parse(database).map_err(|_| anyhow::anyhow!("the address is no URL"))?;
    let mut command = Command::new(program);
    for (variable, value) in variables(&url) {
        command.env(variable, value);
    }
    Ok(command)
}

/// Runs the tool to its end.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("run `{program}`; install PostgreSQL's client tools"))?;
    if !status.success() {
        bail!("`{program}` failed: {status}");
    }
    Ok(())
}

/// The database's name: no secret, and the tool's sign that it should connect.
pub(super) fn database_name(database: &str) -> anyhow::Result<String> {
    let url = Url::parse(database).map_err(|_| anyhow::anyhow!("the address is no URL"))?;
    variables(&url)
        .into_iter()
        .rev()
        .find(|(variable, _)| *variable == "PGDATABASE")
        .map(|(_, name)| name)
        .context("the address names no database")
}

fn variables(url: &Url) -> Vec<(&'static str, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut found = Vec::new();
    let mut add = |variable, value: String| {
        if !value.is_empty() {
            found.push((variable, value));
        }
    };
    add("PGHOST", decode(url.host_str().unwrap_or_default()));
    add(
        "PGPORT",
        url.port().map(|port| port.to_string()).unwrap_or_default(),
    );
    add("PGUSER", decode(url.username()));
    add("PGPASSWORD", decode(url.password().unwrap_or_default()));
    add("PGDATABASE", decode(url.path().trim_start_matches('/')));
    for (name, value) in url.query_pairs() {
        let variable = match name.as_ref() {
            "host" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            "options" => "PGOPTIONS",
            _ => continue,
        };
        add(variable, value.into_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_variables() {
        let url = "postgres://u%40x:p%20w@db:5433/toll?sslmode=require&host=/run/pg";
        let found = variables(&url.parse().unwrap());
        let expected = [
            ("PGHOST", "db"),
            ("PGPORT", "5433"),
            ("PGUSER", "u@x"),
            ("PGPASSWORD", "p w"),
            ("PGDATABASE", "toll"),
            ("PGSSLMODE", "require"),
            ("PGHOST", "/run/pg"),
        ];
        let expected: Vec<_> = expected
            .map(|(name, value)| (name, value.to_owned()))
            .into();
        assert_eq!(found, expected);
    }
}
