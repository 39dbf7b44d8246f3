//! The blocks of the request log, whose kinds are said since step 16.

use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_storage::request_log::{self, LogFilter};
use tollgate_storage::{PageRequest, Store};
use tollgate_testkit::test_db::TestDb;

use super::{Old, upgrades_on_both_engines};
use crate::fixture::journal::{batch, ended};
use crate::fixture::{at, key_id, uuid};

/// A step that fills the sums from those by hour; what it does so with is the same on both engines.
const SUM_UP: &str = include_str!("../../../migrations/sqlite/0013_sum_up_usage.sql");

/// The content of two blocks with a request each, as releases before step 16 wrote it.
const BLOCKS: [&str; 2] = [
    "0201000000000000000000000000000000010d00000000000000000000000000000001080401066f70656e6169066770742d\
     346f10636861745f636f6d706c6574696f6e7300010d6d6f64656c5f626c6f636b6564000100000000000000000000000000\
     000001809186a9ebffaf0600006501c80180897ab4012814e8070190030001ff0106020304050708",
    "0201000000000000000000000000000000010d00000000000000000000000000000001080401066f70656e6169026f311063\
     6861745f636f6d706c6574696f6e7300010d746f6b656e5f6c696d6974656402000000000000000000000000000000020100\
     000000000000000000000000000002809a80aaebffaf0600006505c80180897ab4012814e8070190030001ff010602030405\
     0708",
];

/// The requests in those, and the one that is logged after the upgrade.
fn requests() -> [LogEntry; 3] {
    let mut entries = [1, 2, 3].map(|number| ended(number, Outcome::Reported, 10));
    entries[1].facts.model = "o1".into();
    entries[1].ending.outcome = Outcome::Refused;
    entries[2].facts.key = key_id(2);
    entries
}

async fn fill(old: &Old) {
    for ((entry, content), number) in requests().iter().zip(BLOCKS).zip(1..) {
        let at = entry.facts.at.as_micros();
        let request = old.blob(uuid(number).as_bytes());
        let content: Vec<u8> = (0..content.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(&content[place..place + 2], 16).unwrap())
            .collect();
        let content = old.blob(&content);
        let block = format!("{number}, 1, {at}, {at}, 0, {request}, {request}, {content}");
        old.insert("request_log_blocks", &[block]).await;
        let (facts, ending) = (&entry.facts, &entry.ending);
        let sum = format!(
            "{}, '{}', '{}', 4, 'openai', '{}', '{}', 1, 0, 0, 0, 0",
            crate::fixture::at(-1_800).as_micros(),
            facts.key,
            facts.user.unwrap(),
            facts.model,
            ending.outcome.as_str(),
        );
        old.insert("usage_hourly", &[sum]).await;
    }
    let (_, fill) = SUM_UP.split_once("with splits").unwrap();
    old.run(format!("with splits{fill}")).await;
}

/// Whether `filter` lets these requests through, and no others.
async fn check_list(store: &Store, filter: LogFilter, expected: &[&LogEntry]) {
    let found = request_log::list(store, &filter, PageRequest::default())
        .await
        .unwrap();
    let found: Vec<&LogEntry> = found.iter().map(|logged| &logged.entry).collect();
    assert_eq!(found, expected, "{filter:?}");
    let count = request_log::count(store, &filter).await.unwrap();
    assert_eq!(count, expected.len() as u64, "{filter:?}");
}

upgrades_on_both_engines! {
    async fn blocks_that_say_no_kinds_are_searched_and_filled_further(old: Old from 15) {
        fill(&old).await;
        let (store, _db) = old.upgraded().await;
        let [first, second, third] = requests();
        let all = LogFilter::default;
        let of_model = |model: &str| LogFilter { model: Some(model.to_owned()), ..all() };
        let of_key = |key| LogFilter { key: Some(key_id(key)), ..all() };
        check_list(&store, of_model("gpt-4o"), &[&first]).await;
        check_list(&store, of_model("o1"), &[&second]).await;
        check_list(&store, of_model("none"), &[]).await;
        check_list(&store, of_key(1), &[&second, &first]).await;

        // It goes into the second block, of which all kinds are said from now on.
        let mut piece = batch(0, 10);
        piece.log = vec![third.clone()];
        store.fold(&piece).await.unwrap();
        check_list(&store, all(), &[&third, &second, &first]).await;
        check_list(&store, of_key(1), &[&second, &first]).await;
        check_list(&store, of_key(2), &[&third]).await;
        check_list(&store, of_model("gpt-4o"), &[&third, &first]).await;
        check_list(&store, of_model("none"), &[]).await;
        let later = LogFilter { from: Some(at(2)), outcome: Some(Outcome::Refused), ..all() };
        check_list(&store, later, &[&second]).await;
        store.close().await;
    }
}
