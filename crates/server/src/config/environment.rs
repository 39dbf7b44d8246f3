//! The process's environment, read once.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::keys::{self, CONFIG_VARIABLE, KEYS, PREFIX};
use super::load::ConfigError;

/// Variables by name. Values may be secrets, so there is no `Debug`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment that the process was started with.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        )
    }

    /// These variables.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        )
    }

    /// The value of `name`. An empty one counts as absent, since compose files and charts pass empty ones on.
    ///
    /// # Errors
    /// A value that is not UTF-8.
    pub fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        match self.0.get(name).map(|value| value.to_str()) {
            None | Some(Some("")) => Ok(None),
            Some(Some(text)) => Ok(Some(text)),
            Some(None) => Err(ConfigError::Value {
                name: name.to_owned(),
                message: "is not UTF-8".to_owned(),
            }),
        }
    }

    /// Refuses variables that begin with our prefix and mean nothing.
    pub(super) fn check_names(&self) -> Result<(), ConfigError> {
        for name in self.0.keys().filter(|name| name.starts_with(PREFIX)) {
            let is_known =
                name == CONFIG_VARIABLE || KEYS.iter().any(|key| key.variable() == *name);
            if !is_known && !keys::is_from_kubernetes(name) {
                return Err(ConfigError::UnknownVariable {
                    name: name.clone(),
                    nearest: keys::nearest_variable(name),
                });
            }
        }
        Ok(())
    }
}
