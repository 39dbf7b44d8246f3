//! The sums of the request log: by hour (steps 1 and 7), then by hour, day and 32 days (step 13).

use std::collections::BTreeMap;

use tollgate_domain::accounting::Outcome;
use tollgate_domain::ids::ProfileId;
use tollgate_domain::{Timestamp, Usd};
use tollgate_storage::request_log::LogFilter;
use tollgate_storage::request_log::stats::{self, GroupBy, UsageSums};
use tollgate_testkit::test_db::TestDb;

use super::{Old, upgrades_on_both_engines};
use crate::fixture::journal::{batch, ended};
use crate::fixture::{at, key_id, user_id};

const HOUR: i64 = 3_600;
/// So many hours, 400 days, are looked back on: several spans of 32 days.
const HOURS: i64 = 400 * 24;

/// One hour's sum as the first layout kept it.
struct Sum {
    hour: Timestamp,
    key: u128,
    user: Option<u128>,
    profile: i64,
    provider: &'static str,
    model: &'static str,
    outcome: Outcome,
    requests: i64,
}

/// The start of the hour of the tests' noon, `hours` ago.
fn hours_ago(hours: i64) -> Timestamp {
    at(-1_800 - hours * HOUR)
}

fn sums() -> Vec<Sum> {
    (0..700)
        .map(|number: i64| {
            // Each thing changes at a pace of its own, so that every combination is met.
            let pick = |pace: i64, of: i64| number / pace % of;
            Sum {
                // Every hour of the first day and then ever fewer, down to the oldest.
                hour: hours_ago(if number < 24 {
                    number
                } else {
                    number * 997 % HOURS
                }),
                key: u128::try_from(pick(3, 3) + 1).unwrap(),
                user: (pick(11, 4) > 0).then(|| u128::try_from(pick(11, 4)).unwrap()),
                profile: pick(5, 5),
                provider: ["openai", "acme"][usize::try_from(pick(25, 2)).unwrap()],
                model: ["gpt-4o", "o1", "small"][usize::try_from(pick(50, 3)).unwrap()],
                outcome: Outcome::ALL[usize::try_from(number % 5).unwrap()],
                requests: 1 + number % 4,
            }
        })
        .collect()
}

impl Sum {
    fn row(&self) -> String {
        format!(
            "{}, '{}', '{}', {}, '{}', '{}', '{}', {}, {}, {}, {}, {}",
            self.hour.as_micros(),
            key_id(self.key),
            self.user
                .map(|user| user_id(user).to_string())
                .unwrap_or_default(),
            self.profile,
            self.provider,
            self.model,
            self.outcome.as_str(),
            self.requests,
            self.requests * 10,
            self.requests * 3,
            self.requests * 1_000_003,
            self.requests * 250,
        )
    }

    fn is_in(&self, filter: &LogFilter) -> bool {
        filter.from.is_none_or(|from| self.hour >= from)
            && filter.to.is_none_or(|to| self.hour < to)
            && filter.key.is_none_or(|key| key == key_id(self.key))
            && filter
                .user
                .is_none_or(|user| self.user.map(user_id) == Some(user))
            && filter
                .profile
                .is_none_or(|profile| profile.0 == self.profile)
            && filter.outcome.is_none_or(|outcome| outcome == self.outcome)
            && filter
                .model
                .as_ref()
                .is_none_or(|model| model == self.model)
    }

    fn add_to(&self, sums: &mut UsageSums) {
        let requests = u64::try_from(self.requests).unwrap();
        sums.requests += requests;
        sums.refused += if self.outcome == Outcome::Refused {
            requests
        } else {
            0
        };
        sums.failed += if self.outcome == Outcome::Failed {
            requests
        } else {
            0
        };
        sums.input_tokens += requests * 10;
        sums.output_tokens += requests * 3;
        sums.cost = Usd::from_nanos(sums.cost.nanos() + self.requests * 1_000_003);
        sums.duration_micros += requests * 250;
    }
}

/// The sums as an earlier release wrote them; rows of one hour and thing are one row.
async fn fill(old: &Old) -> Vec<Sum> {
    let mut seen = BTreeMap::new();
    for sum in sums() {
        let key = (
            sum.hour,
            sum.key,
            sum.user,
            sum.profile,
            sum.provider,
            sum.model,
            sum.outcome.code(),
        );
        seen.entry(key).or_insert(sum);
    }
    let kept: Vec<Sum> = seen.into_values().collect();
    let rows: Vec<String> = kept.iter().map(Sum::row).collect();
    old.insert(
        "usage_hourly (hour, key_id, user_id, profile_id, provider, model, outcome, requests, input_tokens,
             output_tokens, cost, duration_micros)",
        &rows,
    )
    .await;
    kept
}

fn filters() -> Vec<LogFilter> {
    let all = LogFilter::default;
    let days_ago = |days: i64| Some(hours_ago(days * 24 + 5));
    vec![
        all(),
        LogFilter {
            key: Some(key_id(2)),
            ..all()
        },
        LogFilter {
            user: Some(user_id(3)),
            ..all()
        },
        LogFilter {
            profile: Some(ProfileId(4)),
            ..all()
        },
        LogFilter {
            model: Some("o1".to_owned()),
            ..all()
        },
        LogFilter {
            outcome: Some(Outcome::Refused),
            ..all()
        },
        LogFilter {
            from: days_ago(1),
            ..all()
        },
        LogFilter {
            from: days_ago(40),
            to: days_ago(2),
            ..all()
        },
        LogFilter {
            to: days_ago(200),
            key: Some(key_id(1)),
            user: Some(user_id(1)),
            ..all()
        },
        LogFilter {
            from: days_ago(399),
            to: days_ago(1),
            profile: Some(ProfileId(1)),
            outcome: Some(Outcome::Reported),
            ..all()
        },
    ]
}

/// What the statistics say is what the old rows add up to.
async fn check_sums(old: Old) {
    let kept = fill(&old).await;
    let (store, _db) = old.upgraded().await;
    for filter in filters() {
        let mut total = UsageSums::default();
        let mut by_model: BTreeMap<&str, UsageSums> = BTreeMap::new();
        let mut by_hour: BTreeMap<Timestamp, UsageSums> = BTreeMap::new();
        for sum in kept.iter().filter(|sum| sum.is_in(&filter)) {
            sum.add_to(&mut total);
            sum.add_to(by_model.entry(sum.model).or_default());
            sum.add_to(by_hour.entry(sum.hour).or_default());
        }
        assert!(total.requests > 0, "{filter:?} finds nothing");
        assert_eq!(
            stats::total(&store, &filter).await.unwrap(),
            total,
            "{filter:?}"
        );
        let mut models = stats::grouped(&store, &filter, GroupBy::Model, 100)
            .await
            .unwrap();
        models.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = by_model
            .into_iter()
            .map(|(model, sums)| (model.to_owned(), sums));
        assert_eq!(models, expected.collect::<Vec<_>>(), "{filter:?}");
        let hours = stats::grouped(&store, &filter, GroupBy::Hour, 1_000)
            .await
            .unwrap();
        let expected = by_hour
            .into_iter()
            .map(|(hour, sums)| (hour.as_micros().to_string(), sums));
        assert_eq!(hours, expected.collect::<Vec<_>>(), "{filter:?}");
    }
    // What is logged from now on is added to what was there.
    let before = stats::total(&store, &LogFilter::default()).await.unwrap();
    let mut piece = batch(0, 10);
    piece.log = vec![ended(1, Outcome::Reported, 7)];
    store.fold(&piece).await.unwrap();
    let after = stats::total(&store, &LogFilter::default()).await.unwrap();
    assert_eq!(after.requests, before.requests + 1);
    assert_eq!(after.cost.nanos(), before.cost.nanos() + 7);
    store.close().await;
}

upgrades_on_both_engines! {
    async fn sums_of_the_first_layout_are_kept(old: Old from 6) {
        check_sums(old).await;
    }

    async fn sums_by_hour_become_sums_by_span_and_split(old: Old from 12) {
        check_sums(old).await;
    }
}
