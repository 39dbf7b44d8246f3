//! Rules about single files: length, module layout, crate documentation.

use super::SourceFile;

/// Above this a file should be split; it is said, not refused.
const SOFT_LIMIT: usize = 500;
/// Above this a file is refused, tests included.
const HARD_LIMIT: usize = 800;

pub(super) fn complaints(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| is_code(&file.path)) {
        let lines = file.text.lines().count();
        if lines > HARD_LIMIT {
            found.push(format!(
                "`{}` has {lines} lines, at most {HARD_LIMIT}: split it",
                file.path
            ));
        }
        if file.path.ends_with("/mod.rs") {
            found.push(format!(
                "`{}`: name it `foo.rs` beside the folder `foo`",
                file.path
            ));
        }
        if file.path.ends_with("/src/lib.rs") && !file.text.starts_with("//!") {
            found.push(format!(
                "`{}` does not start with crate documentation (`//!`)",
                file.path
            ));
        }
    }
    found
}

pub(super) fn notes(files: &[SourceFile]) -> Vec<String> {
    files
        .iter()
        .filter(|file| is_code(&file.path))
        .map(|file| (file.text.lines().count(), &file.path))
        .filter(|(lines, _)| *lines > SOFT_LIMIT)
        .map(|(lines, path)| format!("`{path}` has {lines} lines, aim for {SOFT_LIMIT} at most"))
        .collect()
}

fn is_code(path: &str) -> bool {
    [".rs", ".py", ".ts", ".tsx", ".sh"]
        .iter()
        .any(|end| path.ends_with(end))
        && !path.contains("/generated/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        complaints(&[SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn long_file_is_refused_and_a_longish_one_noted() {
        assert!(check("crates/a/src/x.rs", &"x\n".repeat(HARD_LIMIT)).is_empty());
        assert_eq!(
            check("crates/a/src/x.rs", &"x\n".repeat(HARD_LIMIT + 1)).len(),
            1
        );
        let longish = SourceFile {
            path: "a.rs".to_owned(),
            text: "x\n".repeat(SOFT_LIMIT + 1),
        };
        assert_eq!(notes(&[longish]).len(), 1);
    }

    #[test]
    fn data_may_be_long() {
        assert!(check("crates/a/src/x.tsv", &"x\n".repeat(HARD_LIMIT * 2)).is_empty());
    }

    #[test]
    fn module_files_and_crate_docs_are_checked() {
        assert_eq!(check("crates/a/src/x/mod.rs", "").len(), 1);
        assert_eq!(check("crates/a/src/lib.rs", "mod x;\n").len(), 1);
        assert!(check("crates/a/src/lib.rs", "//! What it is.\n").is_empty());
    }
}
