//! Every duration, aligned or not, in zones with odd clocks, across ten years, against another calendar library.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::{ResetDuration, WindowSpec};

const ZONES: [Tz; 7] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kathmandu,
    Tz::Pacific__Apia,
    Tz::America__Havana,
];

/// The first instant of a date; where the clock skips midnight, the first one after the gap.
fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let mut local = date.and_time(NaiveTime::MIN);
    loop {
        if let Some(at) = zone.from_local_datetime(&local).earliest() {
            return at.to_utc();
        }
        local += TimeDelta::minutes(15);
    }
}

fn aligned(
    duration: ResetDuration,
    zone: Tz,
    quarter_start: u32,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let today = now.with_timezone(&zone).date_naive();
    let first = today.with_day(1).unwrap();
    let (start, end) = match duration {
        ResetDuration::Day => (today, today + Days::new(1)),
        ResetDuration::Week => {
            let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()));
            (monday, monday + Days::new(7))
        }
        ResetDuration::Month => (first, first + Months::new(1)),
        ResetDuration::Quarter => {
            let start = first - Months::new((today.month() + 12 - quarter_start) % 3);
            (start, start + Months::new(3))
        }
        ResetDuration::Year => (
            first.with_month(1).unwrap(),
            first.with_month(1).unwrap() + Months::new(12),
        ),
        ResetDuration::Minute | ResetDuration::Hour => unreachable!("never aligned"),
    };
    (midnight(start, zone), midnight(end, zone))
}

fn lattice(
    duration: ResetDuration,
    anchor: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let edge = |step: u32| match duration {
        ResetDuration::Minute => anchor + TimeDelta::minutes(i64::from(step)),
        ResetDuration::Hour => anchor + TimeDelta::hours(i64::from(step)),
        ResetDuration::Day => anchor + TimeDelta::days(i64::from(step)),
        ResetDuration::Week => anchor + TimeDelta::weeks(i64::from(step)),
        ResetDuration::Month => anchor + Months::new(step),
        ResetDuration::Quarter => anchor + Months::new(3 * step),
        ResetDuration::Year => anchor + Months::new(12 * step),
    };
    // The last edge that is not after `now`, by bisection: edges ascend.
    let most = match duration {
        ResetDuration::Month | ResetDuration::Quarter | ResetDuration::Year => 1_000,
        _ => 12_000_000,
    };
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if edge(middle) <= now {
            low = middle;
        } else {
            high = middle;
        }
    }
    (edge(low), edge(low + 1))
}

fn instants() -> impl Iterator<Item = DateTime<Utc>> {
    let first: DateTime<Utc> = "2011-06-01T00:00:00Z".parse().unwrap();
    (0..1_900).map(move |step| first + TimeDelta::seconds(step * (46 * 3_600 + 1_867)))
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_micros(at.timestamp_micros())
}

/// The window of `now` is the expected one, at its first and last instant too, and the neighbours meet it.
fn check(spec: &WindowSpec, now: DateTime<Utc>, (start, end): (DateTime<Utc>, DateTime<Utc>)) {
    let window = spec.window(timestamp(now));
    assert_eq!(
        (window.start, window.end),
        (timestamp(start), timestamp(end)),
        "{spec:?} at {now}"
    );
    assert_eq!(spec.window(window.start), window);
    assert_eq!(spec.window(window.end.saturating_add_micros(-1)), window);
    let next = spec.window(window.end);
    assert_eq!(next.start, window.end, "{spec:?} at {now}");
    assert_ne!(next.key, window.key);
}

#[test]
fn aligned_windows_agree_with_another_calendar_for_ten_years() {
    for zone in ZONES {
        for duration in [
            ResetDuration::Day,
            ResetDuration::Week,
            ResetDuration::Month,
            ResetDuration::Quarter,
            ResetDuration::Year,
        ] {
            for quarter_start_month in if duration == ResetDuration::Quarter {
                1..=12
            } else {
                1..=1
            } {
                let spec = WindowSpec {
                    duration,
                    anchor: Timestamp::from_micros(0),
                    zone: Some(zone.name().parse().unwrap()),
                    quarter_start_month,
                };
                for now in instants() {
                    check(
                        &spec,
                        now,
                        aligned(duration, zone, u32::from(quarter_start_month), now),
                    );
                }
            }
        }
    }
}

#[test]
fn lattice_windows_agree_with_another_calendar_for_ten_years() {
    for anchor in [
        "2011-01-31T13:07:11Z",
        "2008-02-29T23:59:59Z",
        "2010-12-30T00:00:00Z",
    ] {
        let anchor: DateTime<Utc> = anchor.parse().unwrap();
        for duration in ResetDuration::ALL {
            let spec = WindowSpec {
                duration,
                anchor: timestamp(anchor),
                zone: None,
                quarter_start_month: 1,
            };
            for now in instants() {
                check(&spec, now, lattice(duration, anchor, now));
            }
        }
    }
}

#[test]
fn minutes_and_hours_are_never_aligned() {
    for duration in [ResetDuration::Minute, ResetDuration::Hour] {
        let spec = |zone| WindowSpec {
            duration,
            anchor: Timestamp::from_micros(1_234_567),
            zone,
            quarter_start_month: 1,
        };
        for now in instants().map(timestamp) {
            assert_eq!(
                spec(None).window(now),
                spec(Some("Asia/Kathmandu".parse().unwrap())).window(now)
            );
        }
    }
}
