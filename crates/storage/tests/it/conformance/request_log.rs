use tollgate_domain::Usd;
use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_domain::ids::ProfileId;
use tollgate_storage::request_log::stats::{self, GroupBy};
use tollgate_storage::request_log::{self, LogFilter};
use tollgate_storage::{PageRequest, Store};

use crate::fixture::journal::{batch, ended, request};
use crate::fixture::{Fixture, at, in_tx, key_id, on_both_engines, user_id};

/// Noon and a half is the tests' start: requests 1 to 3 are in its hour, 4 and 5 in the next.
async fn five_requests(store: &Store) {
    let at_offset = |number: u128, seconds: i64, change: fn(&mut LogEntry)| {
        let mut entry = ended(
            number,
            Outcome::Reported,
            10 * i64::try_from(number).unwrap(),
        );
        entry.facts.at = at(seconds);
        change(&mut entry);
        entry
    };
    let mut piece = batch(0, 10);
    piece.log = vec![
        at_offset(1, 1, |_| ()),
        at_offset(2, 2, |entry| entry.facts.model = "gpt-4o-mini".into()),
        at_offset(3, 3, |entry| {
            entry.facts.user = None;
            entry.facts.profile = None;
            entry.facts.provider = "acme".parse().unwrap();
        }),
        at_offset(4, 3_600, |entry| entry.facts.key = key_id(2)),
        at_offset(5, 3_700, |entry| {
            entry.ending.outcome = Outcome::Refused;
            entry.ending.status = 402;
            entry.ending.error_code = Some("budget_exceeded".to_owned());
            entry.ending.cost = Usd::ZERO;
        }),
    ];
    store.fold(&piece).await.unwrap();
}

fn everything() -> LogFilter {
    LogFilter::default()
}

on_both_engines! {
    async fn requests_are_listed_by_every_filter(fixture: &Fixture) {
        let store = &fixture.store;
        five_requests(store).await;
        let listed = async |filter: LogFilter| {
            let rows = request_log::list(store, &filter, PageRequest::default()).await.unwrap();
            let total = request_log::count(store, &filter).await.unwrap();
            assert_eq!(total, rows.len() as u64, "{filter:?}");
            rows.iter().map(|row| row.entry.facts.request.uuid().as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(listed(everything()).await, [5, 4, 3, 2, 1]);
        assert_eq!(listed(LogFilter { from: Some(at(2)), to: Some(at(3_600)), ..everything() }).await, [3, 2]);
        assert_eq!(listed(LogFilter { from: Some(at(3)), ..everything() }).await, [5, 4, 3]);
        assert_eq!(listed(LogFilter { to: Some(at(3)), ..everything() }).await, [2, 1]);
        assert_eq!(listed(LogFilter { from: Some(at(10)), to: Some(at(20)), ..everything() }).await, [0_u128; 0]);
        assert_eq!(listed(LogFilter { key: Some(key_id(2)), ..everything() }).await, [4]);
        assert_eq!(listed(LogFilter { user: Some(user_id(1)), ..everything() }).await, [5, 4, 2, 1]);
        assert_eq!(listed(LogFilter { profile: Some(ProfileId(4)), ..everything() }).await, [5, 4, 2, 1]);
        assert_eq!(listed(LogFilter { provider: Some("acme".parse().unwrap()), ..everything() }).await, [3]);
        assert_eq!(listed(LogFilter { model: Some("gpt-4o-mini".to_owned()), ..everything() }).await, [2]);
        assert_eq!(listed(LogFilter { outcome: Some(Outcome::Refused), ..everything() }).await, [5]);
        let page = request_log::list(store, &everything(), PageRequest { limit: 2, offset: 1 }).await.unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!(page[0].entry.facts.request, request(4));
        assert_eq!(request_log::find(store, request(9)).await.unwrap(), None);
    }

    async fn sums_are_split_by_everything(fixture: &Fixture) {
        let store = &fixture.store;
        five_requests(store).await;
        let total = stats::total(store, &everything()).await.unwrap();
        assert_eq!((total.requests, total.refused, total.failed), (5, 1, 0));
        assert_eq!((total.input_tokens, total.output_tokens), (75, 105));
        assert_eq!((total.cost, total.duration_micros), (Usd::from_nanos(100), 5_000));
        assert_eq!(stats::total(store, &LogFilter { to: Some(at(-3_600)), ..everything() }).await.unwrap(), stats::UsageSums::default());

        let split = async |by, limit| {
            let groups = stats::grouped(store, &everything(), by, limit).await.unwrap();
            groups.into_iter().map(|(name, sums)| (name, sums.cost.nanos())).collect::<Vec<_>>()
        };
        let named = |pairs: &[(&str, i64)]| {
            pairs.iter().map(|&(name, cost)| (name.to_owned(), cost)).collect::<Vec<_>>()
        };
        assert_eq!(split(GroupBy::Model, 9).await, named(&[("gpt-4o", 80), ("gpt-4o-mini", 20)]));
        assert_eq!(split(GroupBy::Model, 1).await, named(&[("gpt-4o", 80)]));
        assert_eq!(split(GroupBy::Provider, 9).await, named(&[("openai", 70), ("acme", 30)]));
        assert_eq!(split(GroupBy::Profile, 9).await, named(&[("4", 70), ("0", 30)]));
        let (one, two) = (key_id(1).to_string(), key_id(2).to_string());
        assert_eq!(split(GroupBy::Key, 9).await, named(&[(&one, 60), (&two, 40)]));
        let user = user_id(1).to_string();
        assert_eq!(split(GroupBy::User, 9).await, named(&[(&user, 70), ("", 30)]));
        assert_eq!(split(GroupBy::Outcome, 9).await, named(&[("reported", 100), ("refused", 0)]));
        let hours = split(GroupBy::Hour, 9).await;
        assert_eq!(hours.iter().map(|(_, cost)| *cost).collect::<Vec<_>>(), [60, 40]);
        assert_eq!(hours[0].0, at(-1_800).as_micros().to_string());
    }

    async fn old_rows_are_forgotten_in_pieces(fixture: &Fixture) {
        let store = &fixture.store;
        five_requests(store).await;
        let (forgotten, _) = in_tx!(store, tx => request_log::forget(&mut tx, at(3), 1).await.unwrap());
        assert_eq!(forgotten, 1);
        let (forgotten, _) = in_tx!(store, tx => request_log::forget(&mut tx, at(3), 9).await.unwrap());
        assert_eq!(forgotten, 1);
        let rows = request_log::list(store, &everything(), PageRequest::default()).await.unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(request_log::count(store, &everything()).await.unwrap(), 3);
        assert_eq!(stats::total(store, &everything()).await.unwrap().requests, 5);
    }
}
