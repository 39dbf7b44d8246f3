//! Every migration exists for both databases, under the same number and name.

use std::collections::BTreeSet;

use super::SourceFile;

const FOLDER: &str = "crates/storage/migrations/";

pub(super) fn complaints(files: &[SourceFile]) -> Vec<String> {
    let names = |engine: &str| -> BTreeSet<&str> {
        let folder = format!("{FOLDER}{engine}/");
        files
            .iter()
            .filter_map(|file| file.path.strip_prefix(&folder))
            .collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let mut found: Vec<String> = sqlite
        .symmetric_difference(&postgres)
        .map(|name| format!("migration `{name}` exists for one database only"))
        .collect();
    for (name, number) in sqlite.iter().zip(1..) {
        if !is_well_named(name) {
            found.push(format!(
                "migration `{name}` is not named `NNNN_verb_thing.sql`"
            ));
        } else if !name.starts_with(&format!("{number:04}_")) {
            found.push(format!("migration `{name}` is not number {number:04}"));
        }
    }
    found
}

fn is_well_named(name: &str) -> bool {
    let Some((number, rest)) = name.split_once('_') else {
        return false;
    };
    let Some(words) = rest.strip_suffix(".sql") else {
        return false;
    };
    number.len() == 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str]) -> usize {
        let file = |name: &&str| SourceFile {
            path: format!("{FOLDER}{name}"),
            text: String::new(),
        };
        complaints(&names.iter().map(file).collect::<Vec<_>>()).len()
    }

    #[test]
    fn pairs_are_demanded() {
        assert_eq!(
            check(&["sqlite/0001_create_all.sql", "postgres/0001_create_all.sql"]),
            0
        );
        assert_eq!(check(&["sqlite/0001_create_all.sql"]), 1);
        assert_eq!(
            check(&[
                "sqlite/0001_create_all.sql",
                "postgres/0001_create_some.sql"
            ]),
            2
        );
    }

    #[test]
    fn numbers_have_no_gap_and_names_a_form() {
        assert_eq!(
            check(&["sqlite/0002_create_all.sql", "postgres/0002_create_all.sql"]),
            1
        );
        assert_eq!(
            check(&["sqlite/0001_Create.sql", "postgres/0001_Create.sql"]),
            1
        );
    }
}
