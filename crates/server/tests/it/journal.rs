//! `tollgate journal verify` and `repair`, and the start, on every kind of damage.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::black_box::{Caller, Gateway, Place, Stage, chat, cost};
use crate::plain_process::{Finished, finish, tollgate};

const REQUESTS: i64 = 4;
/// What each answer costs.
const ANSWER: i64 = cost(10, 3);
/// Of a segment.
const HEADER_BYTES: u64 = 40;

/// A gateway that has died, with requests that only its journal knows.
struct Dead {
    place: Arc<Place>,
    caller: Caller,
}

impl Dead {
    async fn new() -> Self {
        Self::at(Place::new()).await
    }

    async fn at(place: Place) -> Self {
        // The database hears of nothing after the first look.
        let place = place.with("TOLLGATE_FOLD_INTERVAL", "1h");
        let stage = Stage::at(place, 1.0, "bound").await;
        for _ in 0..REQUESTS {
            let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        // Until a watermark says that it is on disk.
        let file = segment(&stage.gateway.data_dir());
        while !ends_with_a_watermark(&std::fs::read(&file).unwrap()) {
            tokio::task::yield_now().await;
        }
        Self {
            place: stage.gateway.killed().await,
            caller: stage.caller,
        }
    }

    fn damage(&self, offset: u64) {
        let file = self.open();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
    }

    fn open(&self) -> std::fs::File {
        let path = segment(&self.place.data_dir());
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).open(path).unwrap()
    }

    async fn journal(&self, command: &str) -> Finished {
        let mut run = tollgate(&["journal", command, "--data-dir"]);
        finish(run.arg(self.place.data_dir())).await
    }

    /// The start refuses, and says this.
    async fn refuses(&self, why: &str) {
        let Err((status, output)) = Gateway::try_spawn(self.place.clone()).await else {
            panic!("it started");
        };
        assert_eq!(status.code(), Some(1), "{output}");
        assert!(output.contains(why), "{output}");
    }

    /// What is spent after a start.
    async fn spent(&self) -> i64 {
        let gateway = Gateway::spawn(self.place.clone()).await;
        let spent = self.caller.clone().at(&gateway).spent().await;
        drop(gateway.killed().await);
        spent
    }
}

fn ends_with_a_watermark(journal: &[u8]) -> bool {
    let last = journal.last_chunk::<36>();
    last.is_some_and(|record| record.starts_with(b"Tg\x09"))
}

fn segment(data_dir: &Path) -> PathBuf {
    data_dir.join("journal/0000000000000001.journal")
}

#[tokio::test]
async fn sound_journal_has_nothing_to_repair() {
    let dead = Dead::new().await;
    let report = dead.journal("verify").await;
    assert_eq!(report.code, 0, "{}", report.stderr);
    let settled = format!("0 holds without an end; $0.0000{} settled", 16 * REQUESTS);
    assert!(report.stdout.contains(&settled), "{}", report.stdout);
    let repaired = dead.journal("repair").await;
    assert_eq!(
        (repaired.code, repaired.stdout.as_str()),
        (0, "nothing to repair\n")
    );
    assert_eq!(dead.spent().await, REQUESTS * ANSWER);
}

#[tokio::test]
async fn torn_end_is_no_damage_and_is_set_aside_by_the_start_or_a_repair() {
    for repairs in [false, true] {
        let dead = Dead::new().await;
        let file = dead.open();
        let length = file.metadata().unwrap().len();
        file.write_all_at(b"Tg\x01\x01\xff\0\0\0half a record", length)
            .unwrap();
        let report = dead.journal("verify").await;
        assert_eq!(report.code, 0, "{}", report.stderr);
        assert!(report.stdout.contains("a torn end"), "{}", report.stdout);
        if repairs {
            let repaired = dead.journal("repair").await;
            assert!(
                repaired.stdout.contains("kept a copy"),
                "{}",
                repaired.stdout
            );
            assert_eq!(dead.open().metadata().unwrap().len(), length);
        }
        assert_eq!(dead.spent().await, REQUESTS * ANSWER);
        let names = std::fs::read_dir(dead.place.data_dir().join("journal")).unwrap();
        let aside = if repairs { ".damaged" } else { ".torn-" };
        let is_aside = |name: std::ffi::OsString| name.to_string_lossy().contains(aside);
        assert!(
            names
                .into_iter()
                .any(|entry| is_aside(entry.unwrap().file_name()))
        );
    }
}

#[tokio::test]
async fn damage_of_what_was_on_disk_is_refused_until_it_is_repaired() {
    let dead = Dead::new().await;
    // In the first record: the beginning of the first request.
    dead.damage(HEADER_BYTES + 30);
    let report = dead.journal("verify").await;
    assert_eq!(report.code, 1, "{}", report.stdout);
    assert!(
        report.stdout.contains("bytes at 40: damage"),
        "{}",
        report.stdout
    );
    assert!(
        report.stderr.contains("tollgate journal repair"),
        "{}",
        report.stderr
    );
    dead.refuses("damaged at byte 40 of segment 1").await;
    let repaired = dead.journal("repair").await;
    assert_eq!(repaired.code, 0, "{}", repaired.stderr);
    assert!(
        repaired.stdout.contains("kept a copy as it was"),
        "{}",
        repaired.stdout
    );
    assert_eq!(dead.journal("verify").await.code, 0);
    // The end of that request is still there, and with it its cost.
    assert_eq!(dead.spent().await, REQUESTS * ANSWER);
}

#[tokio::test]
async fn damaged_header_is_refused_until_it_is_repaired() {
    let dead = Dead::new().await;
    dead.damage(3);
    let report = dead.journal("verify").await;
    assert_eq!(report.code, 1, "{}", report.stdout);
    assert!(
        report.stdout.contains("its header does not read"),
        "{}",
        report.stdout
    );
    dead.refuses("damaged at byte 0 of segment 1").await;
    let repaired = dead.journal("repair").await;
    assert!(
        repaired.stdout.contains("kept a copy as it was"),
        "{}",
        repaired.stdout
    );
    assert_eq!(dead.journal("verify").await.code, 0);
    assert_eq!(dead.spent().await, REQUESTS * ANSWER);
}

#[tokio::test]
async fn journal_that_nobody_can_tell_is_given_up_only_on_request() {
    let dead = Dead::new().await;
    // In its id.
    dead.damage(10);
    let report = dead.journal("verify").await;
    assert_eq!(report.code, 1, "{}", report.stdout);
    assert!(
        report.stdout.contains("no segment tells"),
        "{}",
        report.stdout
    );
    let repaired = dead.journal("repair").await;
    assert_eq!(repaired.code, 1, "{}", repaired.stdout);
    assert!(
        repaired.stderr.contains("journal.accept_foreign"),
        "{}",
        repaired.stderr
    );
    dead.refuses("damaged at byte 0 of segment 1").await;
    let Ok(accepting) = Arc::try_unwrap(dead.place) else {
        panic!("the gateway is dead");
    };
    let dead = Dead {
        place: Arc::new(accepting.with("TOLLGATE_JOURNAL_ACCEPT_FOREIGN", "true")),
        caller: dead.caller,
    };
    assert_eq!(dead.spent().await, 0);
}

#[tokio::test]
async fn journal_in_use_is_looked_at_and_not_repaired() {
    let dead = Dead::new().await;
    let gateway = Gateway::spawn(dead.place.clone()).await;
    assert_eq!(dead.journal("verify").await.code, 0);
    let refused = dead.journal("repair").await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("in use by another process"),
        "{}",
        refused.stderr
    );
    drop(gateway.killed().await);
    let empty = TempDir::new().unwrap();
    let mut nowhere = tollgate(&["journal", "verify", "--data-dir"]);
    let nowhere = finish(nowhere.arg(empty.path())).await;
    assert_eq!(nowhere.code, 1, "{}", nowhere.stdout);
}
