//! Answers in the shapes that vendors document, and the usage that is read from them.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_llm::usage::{self, UsageFormat};

pub(crate) const FORMATS: [(&str, UsageFormat); 3] = [
    ("openai", UsageFormat::OpenAi),
    ("anthropic", UsageFormat::Anthropic),
    ("gemini", UsageFormat::Gemini),
];

/// Every fixture in a folder below `tests/golden`, by name, with its text.
pub(crate) fn fixtures(folder: &Path, extension: &str) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures in {}", folder.display());
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

pub(crate) fn folder(kind: &str, format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind)
        .join(format)
}

#[test]
fn usage_of_answers() {
    for (name, format) in FORMATS {
        let folder = folder("bodies", name);
        for (case, body) in fixtures(&folder, "json") {
            let usage = usage::from_body(format, &body);
            assert_eq!(usage.is_none(), case.starts_with("none_"), "{name}/{case}");
            insta::with_settings!({snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true}, {
                insta::assert_debug_snapshot!(case, usage);
            });
        }
    }
}

/// Wherever an answer is cut off, reading its usage neither panics nor invents one.
#[test]
fn answers_that_are_cut_off() {
    for (name, format) in FORMATS {
        for (case, body) in fixtures(&folder("bodies", name), "json") {
            let end = body.trim_ascii_end().len();
            for cut in 0..end {
                assert_eq!(
                    usage::from_body(format, &body[..cut]),
                    None,
                    "{name}/{case} cut at {cut}"
                );
            }
        }
    }
}
