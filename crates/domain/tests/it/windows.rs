//! Every duration, aligned or not, in zones with odd clocks, across ten years, against another calendar library.

use std::collections::HashMap;

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset as _, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::{ResetDuration, WindowSpec};

const ZONES: [Tz; 16] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    // Half an hour of daylight saving.
    Tz::Australia__Lord_Howe,
    // Offsets that are no whole hours.
    Tz::Asia__Kathmandu,
    Tz::America__St_Johns,
    Tz::Pacific__Chatham,
    // Without the 30th of December 2011.
    Tz::Pacific__Apia,
    Tz::Pacific__Kiritimati,
    // Midnights that do not exist, or exist twice.
    Tz::America__Havana,
    Tz::America__Sao_Paulo,
    Tz::Asia__Beirut,
    Tz::Asia__Gaza,
    // Changes that no rule foresees.
    Tz::Africa__Casablanca,
    Tz::Asia__Pyongyang,
    Tz::America__Caracas,
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

const ALIGNED: [ResetDuration; 5] = [
    ResetDuration::Day,
    ResetDuration::Week,
    ResetDuration::Month,
    ResetDuration::Quarter,
    ResetDuration::Year,
];

fn aligned_spec(duration: ResetDuration, zone: Tz, quarter_start_month: u8) -> WindowSpec {
    WindowSpec {
        duration,
        anchor: Timestamp::from_micros(0),
        zone: Some(zone.name().parse().unwrap()),
        quarter_start_month,
    }
}

/// Each window of ten years, not a sample of them. A name stands for one window, whatever the zone.
#[test]
fn every_aligned_window_of_ten_years_agrees_with_another_calendar() {
    let last: DateTime<Utc> = "2021-07-01T00:00:00Z".parse().unwrap();
    let mut named = HashMap::new();
    for zone in ZONES {
        for duration in ALIGNED {
            let fiscal = if duration == ResetDuration::Quarter {
                12
            } else {
                1
            };
            for quarter_start in 1..=fiscal {
                let spec = aligned_spec(duration, zone, quarter_start);
                let mut now: DateTime<Utc> = "2011-06-01T00:00:00Z".parse().unwrap();
                while now < last {
                    let expected = aligned(duration, zone, u32::from(quarter_start), now);
                    check(&spec, now, expected);
                    let window = spec.window(timestamp(now));
                    let same_name = named.entry((duration, window.key)).or_insert(window);
                    assert_eq!(*same_name, window, "{spec:?}");
                    now = expected.1;
                }
            }
        }
    }
}

/// Every half an hour in the days on both sides of each change of a clock.
#[test]
fn aligned_windows_agree_around_every_change_of_a_clock() {
    let first: DateTime<Utc> = "2011-06-01T00:00:00Z".parse().unwrap();
    let offset = |zone: Tz, at: DateTime<Utc>| at.with_timezone(&zone).offset().fix();
    let mut changes = 0;
    for zone in ZONES {
        for day in 0..3_650 {
            let day = first + TimeDelta::days(day);
            if offset(zone, day) == offset(zone, day + TimeDelta::days(1)) {
                continue;
            }
            changes += 1;
            for half in 0..2 * 24 * 5 {
                let now = day - TimeDelta::days(2) + TimeDelta::minutes(30 * half);
                // Longer windows have been looked at one by one.
                for duration in [ResetDuration::Day, ResetDuration::Month] {
                    let spec = aligned_spec(duration, zone, 1);
                    check(&spec, now, aligned(duration, zone, 1, now));
                }
            }
        }
    }
    assert!(changes > 150, "{changes}");
}

/// Zone, duration, first month of a quarter, an instant, and the start and end of its window.
const MEMORABLE: &str = "
# Samoa went to bed on Thursday and woke up on Saturday.
Pacific/Apia 1d 1 2011-12-30T09:59:59Z 2011-12-29T10:00:00Z 2011-12-30T10:00:00Z
Pacific/Apia 1d 1 2011-12-30T10:00:00Z 2011-12-30T10:00:00Z 2011-12-31T10:00:00Z
Pacific/Apia 1M 1 2011-12-30T09:59:59Z 2011-12-01T10:00:00Z 2011-12-31T10:00:00Z
# Lord Howe Island moves its clocks by half an hour.
Australia/Lord_Howe 1d 1 2015-10-03T20:00:00Z 2015-10-03T13:30:00Z 2015-10-04T13:00:00Z
Asia/Kathmandu 1d 1 2020-02-29T00:00:00Z 2020-02-28T18:15:00Z 2020-02-29T18:15:00Z
# A day of 23 hours, and one of 25.
America/New_York 1d 1 2020-03-08T12:00:00Z 2020-03-08T05:00:00Z 2020-03-09T04:00:00Z
America/New_York 1d 1 2020-11-01T12:00:00Z 2020-11-01T04:00:00Z 2020-11-02T05:00:00Z
# In São Paulo the 4th of November 2018 began at one o'clock.
America/Sao_Paulo 1d 1 2018-11-04T12:00:00Z 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z
# February of a leap year, and of the year 2100, which is none.
UTC 1M 1 2024-02-29T23:59:59Z 2024-02-01T00:00:00Z 2024-03-01T00:00:00Z
UTC 1M 1 2100-02-28T23:59:59Z 2100-02-01T00:00:00Z 2100-03-01T00:00:00Z
# A fiscal year that begins in April, and one in February.
UTC 1Q 4 2026-03-31T23:59:59Z 2026-01-01T00:00:00Z 2026-04-01T00:00:00Z
UTC 1Q 2 2026-01-31T23:59:59Z 2025-11-01T00:00:00Z 2026-02-01T00:00:00Z
# The week of the turn of the year.
UTC 1w 1 2026-12-31T00:00:00Z 2026-12-28T00:00:00Z 2027-01-04T00:00:00Z
";

/// What a person would say, so that not both libraries can be wrong.
#[test]
fn windows_of_memorable_days_are_as_people_know_them() {
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with('#');
    for row in MEMORABLE.lines().filter(is_row) {
        let fields: Vec<&str> = row.split(' ').collect();
        let is_named = |duration: &ResetDuration| duration.as_str() == fields[1];
        let duration = ResetDuration::ALL.into_iter().find(is_named).unwrap();
        let spec = aligned_spec(
            duration,
            fields[0].parse().unwrap(),
            fields[2].parse().unwrap(),
        );
        let at = |field: usize| fields[field].parse::<DateTime<Utc>>().unwrap();
        check(&spec, at(3), (at(4), at(5)));
    }
}

#[test]
fn lattice_windows_agree_with_another_calendar_for_ten_years() {
    for anchor in [
        "2011-01-31T13:07:11Z",
        "2008-02-29T23:59:59Z",
        "2010-12-30T00:00:00Z",
        "2011-03-31T12:00:00.000001Z",
        "2010-11-30T06:30:00Z",
        "2010-08-29T18:45:00Z",
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
