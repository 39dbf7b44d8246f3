//! Decisions are numbered without gaps, each number once, in the file's name as in its title.

use super::SourceFile;

const FOLDER: &str = "docs/adr/";

pub(super) fn complaints(files: &[SourceFile]) -> Vec<String> {
    let mut decisions: Vec<(&str, &str)> = files
        .iter()
        .filter_map(|file| Some((file.path.strip_prefix(FOLDER)?, &*file.text)))
        .collect();
    decisions.sort_unstable();
    let mut found = Vec::new();
    for ((name, text), number) in decisions.into_iter().zip(1..) {
        if !name.starts_with(&format!("{number:04}-")) {
            found.push(format!("decision `{name}` is not number {number:04}"));
        } else if !text.starts_with(&format!("# {number}. ")) {
            found.push(format!(
                "decision `{name}` has a title that does not start with `# {number}. `"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decisions: &[(&str, &str)]) -> usize {
        let file = |(name, text): &(&str, &str)| SourceFile {
            path: format!("{FOLDER}{name}"),
            text: (*text).to_owned(),
        };
        complaints(&decisions.iter().map(file).collect::<Vec<_>>()).len()
    }

    #[test]
    fn each_number_is_there_once() {
        let first = ("0001-decide.md", "# 1. Decide\n");
        assert_eq!(check(&[first, ("0002-act.md", "# 2. Act\n")]), 0);
        assert_eq!(check(&[first, ("0001-act.md", "# 1. Act\n")]), 1);
        assert_eq!(check(&[first, ("0003-act.md", "# 3. Act\n")]), 1);
        assert_eq!(check(&[first, ("0002-act.md", "# 3. Act\n")]), 1);
    }
}
