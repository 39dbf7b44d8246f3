use tollgate_domain::Usd;
use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_domain::ids::ProfileId;
use tollgate_storage::request_log::stats::{self, GroupBy};
use tollgate_storage::request_log::{self, LogFilter, Walk};
use tollgate_storage::{PageRequest, Store};

use crate::fixture::journal::{batch, ended, request};
use crate::fixture::{Fixture, at, connect, in_tx, key_id, on_both_engines, user_id};

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

/// Requests of five hours, in an order that has little to do with when they were admitted; many blocks of them.
fn many_requests() -> Vec<LogEntry> {
    requests_at(1..=1_700, |number, chance| {
        let hour = number / 400 * 3_600;
        hour + i64::try_from(chance).unwrap() % 5_000
    })
}

/// Requests with these numbers, admitted when `second` says, which gets a number and something that looks random.
fn requests_at(
    numbers: std::ops::RangeInclusive<u128>,
    second: impl Fn(i64, u64) -> i64,
) -> Vec<LogEntry> {
    let mut random = 7_u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    numbers
        .map(|number| {
            let mut entry = ended(number * 7_919 % 1_709, Outcome::Reported, 3);
            entry.facts.at = at(second(i64::try_from(number).unwrap(), next(1 << 31)));
            entry.facts.key = key_id(next(3).into());
            entry.facts.user = (next(4) > 0).then(|| user_id(next(3).into()));
            entry.facts.profile = (next(4) > 0).then(|| ProfileId(next(2).cast_signed() + 1));
            entry.facts.model = format!("model-{}", next(3));
            if next(60) == 0 {
                entry.facts.provider = "rare".parse().unwrap();
            }
            if next(9) == 0 {
                entry.ending.outcome = Outcome::Refused;
                entry.ending.error_code = Some(format!("code_{}", next(3)));
            }
            entry
        })
        .collect()
}

fn lets_through(filter: &LogFilter, entry: &LogEntry) -> bool {
    let (facts, ending) = (&entry.facts, &entry.ending);
    filter.from.is_none_or(|from| facts.at >= from)
        && filter.to.is_none_or(|to| facts.at < to)
        && filter.key.is_none_or(|key| facts.key == key)
        && filter.user.is_none_or(|user| facts.user == Some(user))
        && filter
            .profile
            .is_none_or(|profile| facts.profile == Some(profile))
        && filter
            .provider
            .as_ref()
            .is_none_or(|provider| facts.provider == *provider)
        && filter
            .model
            .as_ref()
            .is_none_or(|model| facts.model == *model)
        && filter
            .outcome
            .is_none_or(|outcome| ending.outcome == outcome)
        && filter
            .is_shadowed
            .is_none_or(|wanted| facts.shadow.is_some() == wanted)
        && filter.search.as_ref().is_none_or(|wanted| {
            let wanted = wanted.to_lowercase();
            facts.provider.as_str().contains(&wanted)
                || facts.model.to_lowercase().contains(&wanted)
        })
}

/// Every filter alone and some together, for all time and for a part of it.
fn filters() -> Vec<LogFilter> {
    let rare = LogFilter {
        provider: Some("rare".parse().unwrap()),
        ..everything()
    };
    let kinds = [
        everything(),
        LogFilter {
            key: Some(key_id(1)),
            ..everything()
        },
        LogFilter {
            user: Some(user_id(2)),
            ..everything()
        },
        LogFilter {
            profile: Some(ProfileId(1)),
            ..everything()
        },
        LogFilter {
            model: Some("model-1".to_owned()),
            ..everything()
        },
        LogFilter {
            outcome: Some(Outcome::Refused),
            ..everything()
        },
        LogFilter {
            key: Some(key_id(2)),
            outcome: Some(Outcome::Refused),
            ..rare.clone()
        },
        LogFilter {
            user: Some(user_id(0)),
            model: Some("model-2".to_owned()),
            ..everything()
        },
        LogFilter {
            model: Some("none".to_owned()),
            ..everything()
        },
        LogFilter {
            key: Some(key_id(1)),
            model: Some("model-2".to_owned()),
            ..everything()
        },
        LogFilter {
            search: Some("DEL-1".to_owned()),
            ..everything()
        },
        // Of some providers' names alone, and of all models' besides.
        LogFilter {
            search: Some("RAR".to_owned()),
            ..everything()
        },
        LogFilter {
            search: Some("e".to_owned()),
            key: Some(key_id(0)),
            ..everything()
        },
        LogFilter {
            search: Some("nobody".to_owned()),
            ..everything()
        },
        LogFilter {
            is_shadowed: Some(true),
            ..everything()
        },
        LogFilter {
            is_shadowed: Some(false),
            ..rare.clone()
        },
        rare,
    ];
    let times = [
        (None, None),
        (Some(at(2_000)), Some(at(9_000))),
        (Some(at(7_100)), None),
        (Some(at(4_000)), Some(at(4_060))),
        (Some(at(1_000_000)), Some(at(7_000_000))),
    ];
    kinds
        .iter()
        .flat_map(|kind| {
            times.map(|(from, to)| LogFilter {
                from,
                to,
                ..kind.clone()
            })
        })
        .collect()
}

async fn fold_in_pieces(store: &Store, entries: &[LogEntry]) {
    for (piece, number) in entries.chunks(300).zip(0..) {
        let mut fold = batch(number, number + 1);
        fold.log = piece.to_vec();
        store.fold(&fold).await.unwrap();
    }
}

/// What `filter` lets through, newest first.
fn expected<'a>(entries: &'a [LogEntry], filter: &LogFilter) -> Vec<&'a LogEntry> {
    let mut expected: Vec<&LogEntry> = entries
        .iter()
        .filter(|entry| lets_through(filter, entry))
        .collect();
    expected.sort_by_key(|entry| std::cmp::Reverse((entry.facts.at, entry.facts.request)));
    expected
}

/// Whether the pages one after another are the list.
async fn check_pages(store: &Store, entries: &[LogEntry], filter: &LogFilter, limit: u32) {
    let expected = expected(entries, filter);
    for (page, number) in expected.chunks(limit as usize).zip(0..) {
        let offset = number * u64::from(limit);
        let rows = request_log::list(store, filter, PageRequest { limit, offset })
            .await
            .unwrap();
        let listed: Vec<&LogEntry> = rows.iter().map(|row| &row.entry).collect();
        assert_eq!(listed, page, "{filter:?} from {offset}");
    }
}

/// Whether lists and counts say what `entries` say, page by page.
async fn check_against(store: &Store, entries: &[LogEntry]) {
    for filter in filters() {
        let expected = expected(entries, &filter);
        assert_eq!(
            request_log::count(store, &filter).await.unwrap(),
            expected.len() as u64,
            "{filter:?}"
        );
        for (limit, offset) in [(25, 0), (100, 90), (7, 611), (50, 1_290), (10, 5_000)] {
            let rows = request_log::list(store, &filter, PageRequest { limit, offset })
                .await
                .unwrap();
            let listed: Vec<&LogEntry> = rows.iter().map(|row| &row.entry).collect();
            let page = expected
                .iter()
                .skip(usize::try_from(offset).unwrap())
                .take(limit as usize);
            assert_eq!(
                listed,
                page.copied().collect::<Vec<_>>(),
                "{filter:?} from {offset}"
            );
        }
    }
}

/// A row as the first layout kept it, and what it must become.
const OLD_ROW: &str = "insert into request_log (request_id, at, key_id, user_id, copy_id, profile_id, profile_version,
         provider, model, endpoint, is_stream, is_bound, reserved_cost, reserved_tokens, ended_at, outcome, status,
         error_code, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens,
         output_tokens, reasoning_tokens, audio_output_tokens, service_tier, cost, duration_micros, first_byte_micros,
         attempts, resolved_at)
     values ('req_00000000000000000000000000000003', 1794400203000000, 'vk_00000000000000000000000000000001',
         'user_00000000000000000000000000000001', null, 4, 2, 'openai', 'gpt-4o', 'chat_completions', true, false, 90,
         40, 1794400204000000, 'in_doubt', 200, null, 1, 2, 3, 4, 5, 6, 7, 8, 'flex', 30, 1000, 400, 1,
         1794400215000000)
     returning request_id";

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
        assert_eq!(listed(LogFilter { is_shadowed: Some(true), ..everything() }).await, [5, 4, 2, 1]);
        assert_eq!(listed(LogFilter { is_shadowed: Some(false), ..everything() }).await, [3]);
        assert_eq!(listed(LogFilter { search: Some("O-MIN".to_owned()), ..everything() }).await, [2]);
        assert_eq!(listed(LogFilter { search: Some("acm".to_owned()), ..everything() }).await, [3]);
        let page = request_log::list(store, &everything(), PageRequest { limit: 2, offset: 1 }).await.unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!(page[0].entry.facts.request, request(4));
        assert_eq!(request_log::find(store, request(9)).await.unwrap(), None);
    }

    async fn pages_of_a_long_log_are_those_of_a_sorted_list(fixture: &Fixture) {
        let store = &fixture.store;
        let mut entries = many_requests();
        fold_in_pieces(store, &entries).await;
        check_against(store, &entries).await;
        for entry in entries.iter().step_by(29) {
            let found = request_log::find(store, entry.facts.request).await.unwrap().unwrap();
            assert_eq!((&found.entry, found.resolved_at), (entry, None));
        }

        let (forgotten, _) = in_tx!(store, tx => request_log::forget(&mut tx, at(4_500), 5_000).await.unwrap());
        entries.retain(|entry| entry.facts.at >= at(4_500));
        assert_eq!(forgotten, 1_700 - entries.len() as u64);
        check_against(store, &entries).await;
    }

    async fn pages_of_a_busy_hour_are_those_of_a_sorted_list(fixture: &Fixture) {
        // Nearly in their order, as requests end that took a little longer than others.
        let entries = requests_at(1..=1_700, |number, chance| {
            1_800 + number - if chance % 8 == 0 { 12 } else { 0 }
        });
        fold_in_pieces(&fixture.store, &entries).await;
        check_against(&fixture.store, &entries).await;
        check_pages(&fixture.store, &entries, &everything(), 13).await;
    }

    async fn pages_of_a_sparse_year_are_those_of_a_sorted_list(fixture: &Fixture) {
        let entries = requests_at(1..=120, |_, chance| i64::try_from(chance).unwrap() % 30_000_000);
        fold_in_pieces(&fixture.store, &entries).await;
        check_against(&fixture.store, &entries).await;
        check_pages(&fixture.store, &entries, &everything(), 3).await;
        let of_model = LogFilter { model: Some("model-1".to_owned()), ..everything() };
        check_pages(&fixture.store, &entries, &of_model, 2).await;
    }

    async fn blocks_without_what_is_looked_for_are_not_opened(fixture: &Fixture) {
        let store = &fixture.store;
        // Six blocks in one hour. The first and the last have a rare request, and the second another one.
        let mut entries = requests_at(1..=3_000, |number, _| number / 2);
        for (entry, number) in entries.iter_mut().zip(1..) {
            entry.facts.provider = match number {
                100 | 2_900 => "rare",
                700 => "single",
                _ => "openai",
            }.parse().unwrap();
        }
        fold_in_pieces(store, &entries).await;
        let damage = "update request_log_blocks set content = first_request where id in (3, 4, 5) returning 'damaged'";
        assert_eq!(fixture.read_text(damage).await, "damaged");
        let of_provider = |name: &str| LogFilter { provider: Some(name.parse().unwrap()), ..everything() };
        // Whole hours are counted without the log, and parts of them are read.
        let before = |seconds| LogFilter { to: Some(at(seconds)), ..of_provider("rare") };
        for (filter, found) in [
            (of_provider("rare"), &[2_900, 100][..]),
            (before(1_451), &[2_900, 100]),
            (before(1_400), &[100]),
            (of_provider("single"), &[700]),
        ] {
            let rows = request_log::list(store, &filter, PageRequest::default()).await.unwrap();
            let rows: Vec<&LogEntry> = rows.iter().map(|row| &row.entry).collect();
            let expected: Vec<&LogEntry> = found.iter().map(|number| &entries[number - 1]).collect();
            assert_eq!(rows, expected, "{filter:?}");
            assert_eq!(request_log::count(store, &filter).await.unwrap(), found.len() as u64);
        }
        let fails = async |filter| request_log::list(store, &filter, PageRequest::default()).await.is_err();
        assert!(fails(LogFilter { to: Some(at(1_200)), ..of_provider("openai") }).await);
        // A block of an earlier release does not say what it has, nor do sums say where it is.
        let forget = "update request_log_blocks set kinds = null where id = 4 returning 'forgotten'";
        assert_eq!(fixture.read_text(forget).await, "forgotten");
        assert!(fails(of_provider("rare")).await);
        assert!(!fails(of_provider("single")).await);
        let forget = "update usage_sums set last_block = null where provider = 'single' returning 'forgotten'";
        assert_eq!(fixture.read_text(forget).await, "forgotten");
        assert!(fails(of_provider("single")).await);
    }

    async fn rows_of_the_first_layout_are_kept(fixture: &Fixture) {
        let mut fold = batch(0, 10);
        fold.log = vec![ended(1, Outcome::Reported, 10)];
        fixture.store.fold(&fold).await.unwrap();
        assert_eq!(fixture.read_text(OLD_ROW).await, request(3).to_string());
        let store = connect(fixture.db.url(), 7).await.unwrap();
        let found = request_log::find(&store, request(3)).await.unwrap().unwrap();
        assert_eq!((found.entry, found.resolved_at), (ended(3, Outcome::InDoubt, 30), Some(at(15))));
        assert!(request_log::find(&store, request(1)).await.unwrap().is_some());
        assert_eq!(fixture.read_text("select cast(count(*) as text) from request_log").await, "0");
        store.close().await;
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

    async fn a_walk_meets_requests_in_the_order_of_their_admission(fixture: &Fixture) {
        let store = &fixture.store;
        let mut piece = batch(0, 10);
        // As they end: the first of all runs longest, so it stands in the last block.
        piece.log = (1..=1_500_u128).chain([0]).map(|number| {
            let mut entry = ended(number + 1, Outcome::Reported, 1);
            entry.facts.at = at(i64::try_from(number).unwrap());
            if number % 3 == 0 {
                entry.facts.profile = None;
            }
            entry
        }).collect();
        store.fold(&piece).await.unwrap();
        let walked = async |from, to| {
            let mut walk = Walk::start(store, at(from), at(to)).await.unwrap();
            let mut seconds = Vec::new();
            let wanted = |entry: &LogEntry| entry.facts.profile.is_some();
            while let Some(entries) = walk.next(store, wanted).await.unwrap() {
                seconds.extend(entries.iter().map(|entry| entry.facts.at.micros_since(at(0)) / 1_000_000));
            }
            seconds
        };
        let expected = |from: i64, to: i64| (from..to).filter(|second| second % 3 != 0).collect::<Vec<_>>();
        assert_eq!(walked(0, 2_000).await, expected(0, 1_501));
        assert_eq!(walked(700, 1_100).await, expected(700, 1_100));
        assert_eq!(walked(5_000, 6_000).await, [0_i64; 0]);
    }
}
