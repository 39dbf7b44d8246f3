//! What can go wrong with the database, in terms that callers act on.

use sqlx::error::{DatabaseError, ErrorKind};

/// The result of a storage function.
pub type Result<T> = std::result::Result<T, StorageError>;

/// Why a storage function did not do its work. A failed write has changed nothing once its transaction is dropped.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Something unique exists already.
    #[error("`{0}` must be unique")]
    Conflict(Constraint),
    /// What is written names something that does not exist, or what is deleted is still named by something.
    #[error("something that this refers to does not exist, or something still refers to this")]
    Reference,
    /// The row has another version than the caller has seen.
    #[error("the version is {actual}, not the expected {expected}; read it again and retry")]
    StaleVersion {
        /// What the caller has seen.
        expected: i64,
        /// What is stored.
        actual: i64,
    },
    /// Stored data cannot be read.
    #[error("column `{column}` holds damaged data: {reason}")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// What is wrong with it; never the value.
        reason: String,
    },
    /// A secret cannot be decrypted: the wrong master key, or a row that was tampered with.
    #[error(
        "a stored secret does not open with the master key; start with the key that it was stored under"
    )]
    Sealed,
    /// The database cannot be reached or is too busy. Trying again later may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A piece of the journal does not follow what was folded before.
    #[error("the journal does not fit the database: {0}")]
    JournalGap(String),
    /// The database's address cannot be used.
    #[error("the database address cannot be used: {0}")]
    Address(String),
    /// Another process writes to this database.
    #[error("another process uses this database; stop it first")]
    Locked,
    /// A migration failed, or the database is newer than this binary.
    #[error("the database could not be brought to this version's layout")]
    Migration(#[source] Box<sqlx::migrate::MigrateError>),
    /// A mistake of ours, or a failure that no caller can act on.
    #[error("the database refused a statement")]
    Internal(#[source] sqlx::Error),
}

impl StorageError {
    /// Whether the same call may succeed later without any change.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether this is a conflict on `constraint`.
    pub fn conflicts_with(&self, constraint: Constraint) -> bool {
        matches!(self, Self::Conflict(found) if *found == constraint)
    }
}

macro_rules! constraints {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What must be unique, written `table.column`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Constraint {
            $($(#[$doc])* $name,)+
            /// One that callers do not tell apart.
            Other,
        }

        impl Constraint {
            fn from_path(path: &str) -> Self {
                match path {
                    $($text => Self::$name,)+
                    _ => Self::Other,
                }
            }

            /// `table.column`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Other => "id",
                }
            }
        }
    };
}

constraints! {
    /// A role's name.
    RoleName = "roles.name_key",
    /// A user's e-mail address.
    UserEmail = "users.email_key",
    /// The secret of a management key.
    ManagementKeySecret = "management_keys.secret_hash",
    /// The name of a team, business unit or customer.
    GroupName = "groups.kind",
    /// A provider's name.
    ProviderName = "providers.name",
    /// The name of a provider's key.
    ProviderKeyName = "provider_keys.provider_name",
    /// The place of a limit on a model.
    ModelConfigPlace = "model_configs.place",
    /// An MCP client's name.
    McpClientName = "mcp_clients.name_key",
    /// A tool group's name.
    ToolGroupName = "mcp_tool_groups.name_key",
    /// An access profile's name.
    ProfileName = "access_profiles.name_key",
    /// A role that has the profile already.
    ProfileRole = "access_profile_roles.access_profile_id",
    /// A user who holds the profile already.
    UserCopy = "user_copies.user_id",
    /// A group that has the profile already.
    GroupProfile = "group_profiles.group_id",
    /// A virtual key's name.
    VirtualKeyName = "virtual_keys.name_key",
    /// A virtual key's secret.
    VirtualKeySecret = "virtual_keys.secret_hash",
    /// An idempotency key.
    IdempotencyKey = "idempotency_keys.actor",
}

impl std::fmt::Display for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SQLite's plain codes that mean "later": busy, locked, out of disk, failed I/O, cannot open.
const SQLITE_TRANSIENT: [u32; 5] = [5, 6, 13, 10, 14];

/// PostgreSQL's codes that mean "later".
const POSTGRES_TRANSIENT: [&str; 9] = [
    "40001", // serialization failure
    "40P01", // deadlock
    "53100", // out of disk
    "53300", // too many connections
    "55P03", // lock timeout
    "57014", // statement timeout
    "57P01", // shut down by the administrator
    "57P02", // crashed
    "57P03", // starting up
];

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
                other => Self::Internal(other),
            };
        };
        match database.kind() {
            ErrorKind::UniqueViolation => Self::Conflict(constraint_of(database)),
            ErrorKind::ForeignKeyViolation => Self::Reference,
            _ => {
                let code = database.code().unwrap_or_default();
                if is_transient_code(&code) {
                    Self::Unavailable(error)
                } else {
                    Self::Internal(error)
                }
            }
        }
    }
}

/// SQLite's codes are numbers below 10,000 whose low byte is the plain code; PostgreSQL's have five characters.
fn is_transient_code(code: &str) -> bool {
    if code.len() == 5 {
        return POSTGRES_TRANSIENT.contains(&code);
    }
    code.parse::<u32>()
        .is_ok_and(|code| SQLITE_TRANSIENT.contains(&(code & 0xff)))
}

/// SQLite names the columns in its message, PostgreSQL the constraint: ours are named `<table>__<first column>`.
fn constraint_of(error: &dyn DatabaseError) -> Constraint {
    if let Some(name) = error.constraint() {
        return Constraint::from_path(&name.replacen("__", ".", 1));
    }
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    let first = columns.split(", ").next().unwrap_or_default();
    Constraint::from_path(first)
}
