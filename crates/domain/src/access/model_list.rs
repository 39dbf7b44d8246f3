//! Lists of model names: exact entries, `*`, and `regex:` patterns.

use std::collections::HashSet;

use regex::{RegexSet, RegexSetBuilder};

use crate::provider::ProviderName;

/// Largest compiled size of the patterns of one list, so that an administrator's typo cannot eat the memory.
const PATTERN_SIZE_LIMIT: usize = 1 << 20;

/// A compiled list. An entry names a model bare or with its provider (`gpt-5` and `openai/gpt-5` are the same entry in
/// openai's list); names compare without case; an entry `regex:…` must match the whole name.
#[derive(Debug, Clone, Default)]
pub struct ModelList {
    is_all: bool,
    exact: HashSet<Box<str>>,
    patterns: Option<RegexSet>,
}

/// An entry whose pattern does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not a valid pattern: {problem}")]
pub struct InvalidModelPattern {
    /// The position in the list.
    pub index: usize,
    /// The entry.
    pub entry: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ModelList {
    /// The list that contains every model.
    pub fn all() -> Self {
        Self {
            is_all: true,
            ..Self::default()
        }
    }

    /// Compiles the entries.
    ///
    /// # Errors
    /// The first `regex:` entry that does not compile, or that is larger than a megabyte compiled.
    pub fn compile<S: AsRef<str>>(entries: &[S]) -> Result<Self, InvalidModelPattern> {
        let mut list = Self::default();
        let mut patterns = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let entry = entry.as_ref();
            if entry == "*" {
                list.is_all = true;
            } else if let Some(pattern) = entry.strip_prefix("regex:") {
                let whole_name = format!("^(?:{pattern})$");
                compile_patterns(std::slice::from_ref(&whole_name)).map_err(|error| {
                    InvalidModelPattern {
                        index,
                        entry: entry.to_owned(),
                        problem: error
                            .to_string()
                            .lines()
                            .last()
                            .unwrap_or_default()
                            .trim()
                            .to_owned(),
                    }
                })?;
                patterns.push(whole_name);
            } else {
                list.exact.insert(entry.to_lowercase().into());
            }
        }
        if !patterns.is_empty() {
            list.patterns =
                Some(
                    compile_patterns(&patterns).map_err(|error| InvalidModelPattern {
                        index: 0,
                        entry: "regex:…".to_owned(),
                        problem: error.to_string(),
                    })?,
                );
        }
        Ok(list)
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        !self.is_all && self.exact.is_empty() && self.patterns.is_none()
    }

    /// Whether the list holds every model through `*`.
    pub const fn is_all(&self) -> bool {
        self.is_all
    }

    /// Whether the list holds `model`, of `provider`.
    pub fn contains(&self, provider: &ProviderName, model: &str) -> bool {
        self.is_all || self.names(provider, model)
    }

    /// Whether the list holds `model`, or every model when none is named.
    pub fn holds(&self, provider: &ProviderName, model: Option<&str>) -> bool {
        model.map_or(self.is_all, |model| self.contains(provider, model))
    }

    /// Whether an entry other than `*` holds `model`: the list's author had this model in mind.
    pub fn names(&self, provider: &ProviderName, model: &str) -> bool {
        if self.exact.is_empty() && self.patterns.is_none() {
            return false;
        }
        let model = model.to_lowercase();
        self.exact.contains(model.as_str())
            || (!self.exact.is_empty()
                && self.exact.contains(format!("{provider}/{model}").as_str()))
            || self
                .patterns
                .as_ref()
                .is_some_and(|patterns| patterns.is_match(&model))
    }

    /// The exact entries, lower case, in no order.
    pub fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(AsRef::as_ref)
    }
}

fn compile_patterns(patterns: &[String]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .size_limit(PATTERN_SIZE_LIMIT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[&str], model: &str, expect: bool) {
        let list = ModelList::compile(entries).unwrap();
        let provider = "openai".parse().unwrap();
        assert_eq!(
            list.contains(&provider, model),
            expect,
            "{entries:?} {model}"
        );
    }

    #[test]
    fn entries_match_without_case() {
        check(&[], "gpt-5", false);
        check(&["*"], "gpt-5", true);
        check(&["GPT-5"], "gpt-5", true);
        check(&["gpt-5"], "Gpt-5", true);
        check(&["openai/gpt-5"], "gpt-5", true);
        check(&["azure/gpt-5"], "gpt-5", false);
        check(&["gpt-5"], "gpt-5-mini", false);
    }

    #[test]
    fn patterns_match_the_whole_name() {
        check(&["regex:gpt-.*"], "GPT-5", true);
        check(&["regex:gpt-5"], "gpt-5-mini", false);
        check(&["regex:a|b"], "ab", false);
        check(&["regex:a|b"], "b", true);
        check(&["regex:gpt"], "x\ngpt\ny", false);
    }

    #[test]
    fn broken_and_huge_patterns_are_refused() {
        let error = ModelList::compile(&["ok", "regex:("]).unwrap_err();
        assert_eq!((error.index, error.entry.as_str()), (1, "regex:("));
        assert!(ModelList::compile(&["regex:(a{1000}){1000}"]).is_err());
    }
}
