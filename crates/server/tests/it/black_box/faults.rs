//! Faults of the disk under a running gateway, and jumps of its clock, injected from outside: `faults.c` stands between the process and the C
//! library, and does what the plan in a shared file says. The binary knows nothing of it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Where the fields of `struct plan` are.
const CALLS: u64 = 0;
const INJECTED: u64 = 8;
const FIRST: u64 = 16;
const COUNT: u64 = 24;
const KINDS: u64 = 32;
const ACTION: u64 = 36;
const ERROR: u64 = 40;
const PER_MILLE: u64 = 44;
const CLOCK: u64 = 48;
const SCOPE: u64 = 56;
const TIMERS: u64 = 120;
const BYTES: u64 = 128;

/// Kinds of calls, to be added up.
pub(crate) const WRITE: u32 = 1;
pub(crate) const SYNC: u32 = 2;
pub(crate) const CUT: u32 = 4;
/// Renames and deletions.
pub(crate) const NAME: u32 = 8;
/// Opening a file to write it, or making it.
pub(crate) const OPEN: u32 = 16;
pub(crate) const ANY: u32 = WRITE | SYNC | CUT | NAME;

/// What happens to a call that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It does nothing and returns this error of the system.
    Fail(Errno),
    /// So many thousandths of the bytes are written, and the process is told so.
    ShortWrite(u32),
    /// The process dies before the call.
    KillBefore,
    /// The process dies after the call.
    KillAfter,
    /// So many thousandths of the bytes are written, and the process dies.
    TornWrite(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errno {
    /// The device fails.
    Io = 5,
    /// The file belongs to somebody else.
    Access = 13,
    /// The device is full.
    NoSpace = 28,
    /// The file system is mounted read-only.
    ReadOnly = 30,
}

/// What is struck, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// A part of the paths of the files.
    pub(crate) scope: &'static str,
    /// Which calls.
    pub(crate) kinds: u32,
    pub(crate) action: Action,
    /// After so many further calls.
    pub(crate) after: u64,
    /// How many calls from there on; `u64::MAX` until the disk is healed.
    pub(crate) count: u64,
}

impl Plan {
    /// The first call that fits, and no other.
    pub(crate) const fn once(scope: &'static str, kinds: u32, action: Action) -> Self {
        Self {
            scope,
            kinds,
            action,
            after: 0,
            count: 1,
        }
    }

    /// Every call that fits, until the disk is healed.
    pub(crate) const fn always(scope: &'static str, kinds: u32, action: Action) -> Self {
        Self {
            count: u64::MAX,
            ..Self::once(scope, kinds, action)
        }
    }

    #[must_use]
    pub(crate) const fn after(self, calls: u64) -> Self {
        Self {
            after: calls,
            ..self
        }
    }
}

/// The library, built for this test, and the file with the plan.
pub(crate) struct Faults {
    directory: TempDir,
    plan: File,
}

impl Faults {
    /// Builds the library; nothing fails yet.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/black_box/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(directory.path().join("faults.so"))
            .arg(source)
            .status()
            .expect("a C compiler, which building needs as well");
        assert!(built.success());
        let plan = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(directory.path().join("plan"))
            .unwrap();
        plan.set_len(BYTES).unwrap();
        Self { directory, plan }
    }

    /// The variables with which a process starts under these faults.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        let file = |name| self.directory.path().join(name);
        [
            ("LD_PRELOAD", file("faults.so")),
            ("FAULT_PLAN", file("plan")),
        ]
    }

    /// From now on this happens.
    pub(crate) fn strike(&self, plan: Plan) {
        self.heal();
        let (action, error, per_mille) = match plan.action {
            Action::Fail(error) => (1, error as u32, 0),
            Action::ShortWrite(per_mille) => (2, 0, per_mille),
            Action::KillBefore => (3, 0, 0),
            Action::KillAfter => (4, 0, 0),
            Action::TornWrite(per_mille) => (5, 0, per_mille),
        };
        let mut scope = [0; 64];
        scope[..plan.scope.len()].copy_from_slice(plan.scope.as_bytes());
        self.plan.write_all_at(&scope, SCOPE).unwrap();
        self.put_u32(KINDS, plan.kinds);
        self.put_u32(ERROR, error);
        self.put_u32(PER_MILLE, per_mille);
        self.put_u64(COUNT, plan.count);
        self.put_u64(FIRST, self.calls() + 1 + plan.after);
        self.put_u32(ACTION, action);
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        self.put_u32(ACTION, 0);
    }

    /// From now on the wall clock of the process is so many seconds ahead of ours.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.plan
            .write_all_at(&seconds.to_ne_bytes(), CLOCK)
            .unwrap();
    }

    /// From now on so many seconds more have passed for the timers of the process.
    pub(crate) fn pass(&self, seconds: u64) {
        self.put_u64(TIMERS, self.get_u64(TIMERS) + seconds);
    }

    /// How many calls were seen that fitted a plan.
    pub(crate) fn calls(&self) -> u64 {
        self.get_u64(CALLS)
    }

    /// How many calls were struck.
    pub(crate) fn injected(&self) -> u64 {
        self.get_u64(INJECTED)
    }

    fn get_u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.plan.read_exact_at(&mut bytes, at).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn put_u64(&self, at: u64, value: u64) {
        self.plan.write_all_at(&value.to_ne_bytes(), at).unwrap();
    }

    fn put_u32(&self, at: u64, value: u32) {
        self.plan.write_all_at(&value.to_ne_bytes(), at).unwrap();
    }
}
