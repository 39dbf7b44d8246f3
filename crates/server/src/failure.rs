//! How the process ends when it cannot go on.

use std::process::ExitCode;

use crate::config::ConfigError;

/// An error with the exit code that scripts and supervisors read. Bad usage (2) is clap's.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration cannot be used: 78, as in `sysexits.h`; starting again does not help.
    Config(anyhow::Error),
    /// Anything else: 1.
    Other(anyhow::Error),
}

impl Failure {
    pub(crate) fn config(error: impl Into<anyhow::Error>) -> Self {
        Self::Config(error.into())
    }

    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(78),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }

    pub(crate) fn error(&self) -> &anyhow::Error {
        match self {
            Self::Config(error) | Self::Other(error) => error,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error)
    }
}
