mod kinds;

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome, Shadow};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::usage::{ServiceTier, TokenUsage};
use tollgate_domain::{ErrorKind, Timestamp, Usd};
use uuid::Uuid;

use super::*;

/// None of the first two.
fn shadow(number: u64) -> Option<Shadow> {
    let by_policy = Shadow {
        kind: ErrorKind::ModelBlocked,
        limit: None,
    };
    let limit = MeterId {
        line: Uuid::from_u128(u128::from(number % 2)),
        kind: MeterKind::ALL[usize::try_from(number % 4).unwrap()],
    };
    match number % 7 {
        2 => Some(by_policy),
        5 | 6 => Some(Shadow::of_limit(limit, number.is_multiple_of(3))),
        _ => None,
    }
}

/// The `number`-th of requests that have different things left out.
fn entry(number: u64) -> LogEntry {
    let id = |offset: u64| Uuid::from_u128(u128::from(number % 5 + offset) << 64);
    let signed = number.cast_signed();
    LogEntry {
        facts: HoldFacts {
            request: RequestId::from_uuid(Uuid::from_u128(u128::from(number * 77 % 1_000))),
            at: Timestamp::from_micros(1_794_400_200_000_000 - signed * 1_000_003 % 60_000_000),
            key: VirtualKeyId::from_uuid(id(1)),
            user: number.is_multiple_of(2).then(|| UserId::from_uuid(id(2))),
            copy: number.is_multiple_of(3).then(|| CopyId::from_uuid(id(3))),
            profile: number.is_multiple_of(5).then_some(ProfileId(signed)),
            profile_version: number.is_multiple_of(7).then_some(signed),
            provider: "openai".parse().unwrap(),
            model: format!("model-{}", number % 3),
            endpoint: if number.is_multiple_of(2) {
                Endpoint::Embeddings
            } else {
                Endpoint::ChatCompletions
            },
            is_stream: number.is_multiple_of(2),
            is_bound: number.is_multiple_of(3),
            reserved_cost: Usd::from_nanos(signed * 1_000_000_007),
            reserved_tokens: number * 1_000,
            shadow: shadow(number),
        },
        ending: Ending {
            at: Timestamp::from_micros(1_794_400_200_000_000 + signed),
            outcome: Outcome::ALL[usize::try_from(number % 5).unwrap()],
            status: 200 + u16::try_from(number % 300).unwrap(),
            error_code: number
                .is_multiple_of(4)
                .then(|| format!("code_{}", number % 6)),
            usage: TokenUsage {
                input: number % 4 * 100,
                cache_read: number % 3,
                cache_write_5m: number % 5,
                cache_write_1h: number % 7,
                audio_input: number % 2,
                output: number,
                reasoning: number % 9,
                audio_output: number % 8,
                tier: ServiceTier::ALL[usize::try_from(number % 5).unwrap()],
            },
            cost: Usd::from_nanos(signed - 20),
            duration_micros: number * number,
            first_byte_micros: number.is_multiple_of(2).then_some(number),
            attempts: u32::try_from(number % 3).unwrap(),
        },
    }
}

fn filled(numbers: std::ops::Range<u64>) -> Block {
    let mut filler = Filler::default();
    for number in numbers {
        let resolved_at = number
            .is_multiple_of(6)
            .then(|| Timestamp::from_micros(number.cast_signed()));
        filler.add(&entry(number), resolved_at);
    }
    filler.into_block()
}

#[test]
fn everything_of_a_request_comes_back() {
    let block = Block::decode(&filled(0..100).encode()).unwrap();
    for number in 0..100 {
        let entry = entry(number);
        let logged = block.find(entry.facts.request).unwrap();
        assert_eq!(logged.entry, entry);
        assert_eq!(logged.resolved_at.is_some(), number.is_multiple_of(6));
    }
}

#[test]
fn ends_of_every_range_come_back() {
    let mut extreme = entry(1);
    for (at, ended) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MIN)] {
        extreme.facts.at = Timestamp::from_micros(at);
        extreme.ending.at = Timestamp::from_micros(ended);
        extreme.facts.reserved_cost = Usd::from_nanos(i64::MAX);
        extreme.ending.cost = Usd::from_nanos(i64::MIN);
        extreme.ending.duration_micros = u64::MAX;
        extreme.ending.attempts = u32::MAX;
        extreme.facts.model = String::new();
        let mut filler = Filler::from(filled(2..4));
        filler.add(&extreme, Some(Timestamp::MAX));
        let block = Block::decode(&filler.into_block().encode()).unwrap();
        let logged = block.find(extreme.facts.request).unwrap();
        assert_eq!(
            (&logged.entry, logged.resolved_at),
            (&extreme, Some(Timestamp::MAX))
        );
    }
}

#[test]
fn block_that_is_filled_further_is_as_if_filled_at_once() {
    let begun = Block::decode(&filled(0..50).encode()).unwrap();
    let mut filler = Filler::from(begun);
    for number in 50..100_u64 {
        let resolved_at = number
            .is_multiple_of(6)
            .then(|| Timestamp::from_micros(number.cast_signed()));
        filler.add(&entry(number), resolved_at);
    }
    assert_eq!(filler.into_block(), filled(0..100));
}

#[test]
fn request_takes_less_than_a_hundred_bytes() {
    let bytes = filled(0..512).encode().len();
    assert!(bytes / 512 < 100, "{} bytes a request", bytes / 512);
}

#[test]
fn block_cut_anywhere_is_damaged_and_no_panic() {
    let bytes = filled(0..20).encode();
    for length in 0..bytes.len() {
        assert!(Block::decode(&bytes[..length]).is_err(), "{length}");
    }
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            if let Ok(block) = Block::decode(&damaged) {
                let read = Block::decode_for(&damaged, &LogFilter::default()).unwrap();
                assert_eq!(read, block);
            }
        }
    }
    assert!(Block::decode(&[&bytes[..], &[0]].concat()).is_err());
    let of_another_release = [&[3], &bytes[1..]].concat();
    assert!(Block::decode(&of_another_release).is_err());
}

#[test]
fn requests_that_a_filter_lets_through_are_those_that_are_read() {
    let block = filled(0..100);
    let of = |number: u64| entry(number).facts;
    let filters = [
        LogFilter::default(),
        LogFilter {
            key: Some(of(3).key),
            ..LogFilter::default()
        },
        LogFilter {
            user: of(4).user,
            outcome: Some(Outcome::ALL[4]),
            ..LogFilter::default()
        },
        LogFilter {
            model: Some(of(2).model),
            is_shadowed: Some(true),
            ..LogFilter::default()
        },
        LogFilter {
            from: Some(of(40).at),
            to: Some(of(20).at),
            is_shadowed: Some(false),
            ..LogFilter::default()
        },
        LogFilter {
            model: Some("none".to_owned()),
            ..LogFilter::default()
        },
    ];
    for (filter, is_any) in filters.iter().zip([true, true, true, true, true, false]) {
        let is_let_through = |logged: &LoggedRequest| {
            let facts = &logged.entry.facts;
            filter.from.is_none_or(|from| facts.at >= from)
                && filter.to.is_none_or(|to| facts.at < to)
                && filter.key.is_none_or(|key| facts.key == key)
                && (filter.user).is_none_or(|user| facts.user == Some(user))
                && (filter.model.as_ref()).is_none_or(|model| facts.model == *model)
                && (filter.outcome).is_none_or(|outcome| logged.entry.ending.outcome == outcome)
                && (filter.is_shadowed).is_none_or(|wanted| facts.shadow.is_some() == wanted)
        };
        let expected: Vec<_> = block.requests().filter(is_let_through).collect();
        assert_eq!(!expected.is_empty(), is_any, "{filter:?}");
        let read = Block::decode_for(&block.encode(), filter).unwrap();
        assert_eq!(read.requests().collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

#[test]
fn corrected_request_says_so_and_others_do_not_change() {
    let mut block = filled(1..6);
    let id = entry(3).facts.request;
    let at = Timestamp::from_micros(9);
    let before = block.resolve(id, Usd::from_nanos(5), at).unwrap();
    assert_eq!(before.entry, entry(3));
    let after = block.find(id).unwrap();
    assert_eq!(
        (after.entry.ending.cost, after.resolved_at),
        (Usd::from_nanos(5), Some(at))
    );
    assert_eq!(block.find(entry(4).facts.request).unwrap().entry, entry(4));
    assert!(
        block
            .resolve(entry(9).facts.request, Usd::ZERO, at)
            .is_none()
    );
}

#[test]
fn oldest_requests_are_forgotten_first() {
    let mut block = filled(0..50);
    let mut admitted: Vec<Timestamp> = (0..50).map(|number| entry(number).facts.at).collect();
    admitted.sort_unstable();
    assert_eq!(block.forget(admitted[10], 4), 4);
    assert_eq!(block.bounds().unwrap().at, (admitted[4], admitted[49]));
    assert_eq!(block.forget(admitted[10], 99), 6);
    assert_eq!(block.forget(admitted[10], 99), 0);
    assert_eq!(block.forget(Timestamp::MAX, 99), 40);
    assert_eq!((block.len(), block.bounds()), (0, None));
}

/// A block of the first version with [`entry`] 1, written by hand from what the format says.
const FIRST_VERSION: &str = "0101000000000000000200000000000000000001066f70656e6169076d6f64656c2d3110636861745f636f6d706c6574\
    696f6e7300010000000000000000000000000000004dfafe91a7ebffaf0600002002c90188897a8ea8d6b907e8072501\
    0101ff6401010101010101";

#[test]
fn blocks_of_the_first_version_are_read_and_still_written_when_they_say_all() {
    let old: Vec<u8> = (0..FIRST_VERSION.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&FIRST_VERSION[place..place + 2], 16).unwrap())
        .collect();
    let block = Block::decode(&old).unwrap();
    let requests: Vec<_> = block.requests().map(|logged| logged.entry).collect();
    assert_eq!(requests, [entry(1)]);
    assert_eq!(block.encode(), old);
    // Going on with it, with a request that it has no words for.
    let mut filler = Filler::from(block);
    filler.add(&entry(2), None);
    let bytes = filler.into_block().encode();
    assert_eq!((old[0], bytes[0]), (1, 2));
    let both = Block::decode(&bytes).unwrap();
    let requests: Vec<_> = both.requests().map(|logged| logged.entry).collect();
    assert_eq!(requests, [entry(1), entry(2)]);
}
