//! Rules about words: one name for one thing, and no promise without an issue.

use super::SourceFile;

/// Words with a better name in our vocabulary. Field names of the wire are not prose and stay.
const VOCABULARY: [(&str, &str); 6] = [
    ("api token", "virtual key, or management key"),
    ("user key", "virtual key"),
    ("provider token", "credential"),
    ("access template", "access profile"),
    ("whitelist", "allow list"),
    ("throttling rule", "rate limit"),
];

/// Marks of unfinished work; written apart so that this file keeps its own rule.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

pub(super) fn complaints(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| is_prose_or_code(&file.path)) {
        for (line, number) in file.text.lines().zip(1..) {
            for problem in problems(line) {
                found.push(format!("`{}:{number}`: {problem}", file.path));
            }
        }
    }
    found
}

fn is_prose_or_code(path: &str) -> bool {
    // The list above names what it refuses.
    [".rs", ".md", ".py", ".sql", ".toml"]
        .iter()
        .any(|end| path.ends_with(end))
        && path != "xtask/src/tidy/words.rs"
}

fn problems(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for mark in MARKS {
        if let Some((_, rest)) = line.split_once(mark)
            && !names_an_issue(rest)
        {
            found.push(format!(
                "`{mark}` without an issue number, write `{mark}(#12)`"
            ));
        }
    }
    let lower = line.to_lowercase();
    for (word, better) in VOCABULARY {
        if lower.contains(word) {
            found.push(format!("say `{better}` for `{word}`"));
        }
    }
    found
}

fn names_an_issue(rest: &str) -> bool {
    rest.strip_prefix("(#")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_needs_an_issue_number() {
        let mark = MARKS[0];
        assert_eq!(problems(&format!("// {mark}: later")).len(), 1);
        assert_eq!(problems(&format!("// {mark}(#): later")).len(), 1);
        assert!(problems(&format!("// {mark}(#12): later")).is_empty());
    }

    #[test]
    fn vocabulary_is_kept_whatever_the_case() {
        assert_eq!(problems("an API token opens it").len(), 1);
        assert!(problems("a virtual key opens it").is_empty());
    }
}
