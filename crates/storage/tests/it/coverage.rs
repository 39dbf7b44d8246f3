//! No public function goes untested: the source is read, and each must be called by a conformance test.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn texts(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    rust_files(directory, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

/// How a test calls the function `name` of the file at `path`: `users::create(` for a free function, `.commit(` or
/// `Vault::new(` for one of a type.
fn calls(path: &Path, name: &str, is_method: bool) -> Vec<String> {
    if is_method {
        return vec![format!(".{name}("), format!("::{name}(")];
    }
    let module = path.file_stem().unwrap().to_str().unwrap();
    vec![format!("{module}::{name}(")]
}

#[test]
fn every_public_async_function_has_a_conformance_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests: String = texts(&root.join("tests/it"))
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let mut missing = Vec::new();
    let mut seen = 0;
    for (path, text) in texts(&root.join("src")) {
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("pub async fn ") else {
                continue;
            };
            seen += 1;
            let name = rest.split(['(', '<']).next().unwrap();
            let is_method = line.starts_with(' ');
            if !calls(&path, name, is_method)
                .iter()
                .any(|call| tests.contains(call.as_str()))
            {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(seen > 50, "the source was not found: {seen} functions");
    assert!(missing.is_empty(), "not tested: {missing:#?}");
}
