//! Windows are computed from time, never opened or closed by a job.
//!
//! Not aligned: a fixed lattice from the anchor. Aligned: the civil calendar of a zone. Calendar arithmetic is jiff's;
//! what stands here is only which date a window starts on.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use super::line::ResetDuration;
use crate::time::{MICROS_PER_SECOND, Timestamp, Zone};

/// How a meter's windows lie in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    /// How long each lasts.
    pub duration: ResetDuration,
    /// Where the lattice of windows that are not aligned starts.
    pub anchor: Timestamp,
    /// The zone whose calendar aligned windows follow; `None` when not aligned.
    pub zone: Option<Zone>,
    /// The month (1 to 12) in which the fiscal year starts; only quarters look at it.
    pub quarter_start_month: u8,
}

/// Names a window of one duration, so that windows that lie differently have different names: the start in microseconds,
/// or, when aligned, start and length.
///
/// Aligned windows of two zones can start together and end apart, where only one of them changes its clock. Counters of
/// earlier versions are named by civil dates (`yyyymmdd`), which zones share. Neither range meets another before the
/// year 5000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey(pub i64);

/// A half-open span of time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its name in the ledger.
    pub key: WindowKey,
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl Window {
    /// Whether `at` lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl WindowSpec {
    /// The window that `now` lies in. Total: instants beyond the calendar (year 9999) get a window that ends with time.
    pub fn window(&self, now: Timestamp) -> Window {
        match (&self.zone, self.duration) {
            (_, ResetDuration::Minute) => self.lattice(60, now),
            (_, ResetDuration::Hour) => self.lattice(3_600, now),
            (Some(zone), _) => self.aligned(zone, now),
            (None, ResetDuration::Day) => self.lattice(86_400, now),
            (None, ResetDuration::Week) => self.lattice(7 * 86_400, now),
            (None, ResetDuration::Month) => self.calendar_lattice(1, now),
            (None, ResetDuration::Quarter) => self.calendar_lattice(3, now),
            (None, ResetDuration::Year) => self.calendar_lattice(12, now),
        }
    }

    /// The end of the window that lies `further` windows after the one that `now` is in (0 = that window's own end).
    pub fn end_after(&self, now: Timestamp, further: u32) -> Timestamp {
        let mut window = self.window(now);
        for _ in 0..further {
            if window.end == Timestamp::MAX {
                break;
            }
            window = self.window(window.end);
        }
        window.end
    }

    /// Fixed lengths, counted from the anchor in both directions.
    fn lattice(&self, seconds: i64, now: Timestamp) -> Window {
        let length = seconds * MICROS_PER_SECOND;
        let offset = now.micros_since(self.anchor).rem_euclid(length);
        let start = now.saturating_add_micros(-offset);
        Window {
            key: WindowKey(start.as_micros()),
            start,
            end: start.saturating_add_micros(length),
        }
    }

    /// Calendar months in UTC from the anchor; every step starts from the anchor again, so that 31 January + 1 month is
    /// the end of February and + 2 months is 31 March.
    fn calendar_lattice(&self, months: i64, now: Timestamp) -> Window {
        let anchor = self
            .anchor
            .to_jiff()
            .to_zoned_datetime(TimeZone::UTC)
            .datetime();
        let at = now.to_jiff().to_zoned_datetime(TimeZone::UTC).datetime();
        let apart = i64::from(at.year()) * 12 + i64::from(at.month())
            - i64::from(anchor.year()) * 12
            - i64::from(anchor.month());
        let step = apart.div_euclid(months);
        let edge = |step: i64| lattice_edge(anchor, step * months);
        // The day and time inside the month may put `now` one step earlier than its month says.
        let step = if edge(step) > now { step - 1 } else { step };
        let start = edge(step);
        Window {
            key: WindowKey(start.as_micros()),
            start,
            end: edge(step + 1),
        }
    }

    /// Windows of the civil calendar in `zone`.
    fn aligned(&self, zone: &Zone, now: Timestamp) -> Window {
        let today = now
            .to_jiff()
            .to_zoned_datetime(zone.as_jiff().clone())
            .date();
        let first_of_month = today.first_of_month();
        let (start, length) = match self.duration {
            ResetDuration::Week => {
                let since_monday = i64::from(today.weekday().to_monday_zero_offset());
                (today.checked_sub(since_monday.days()), 7.days())
            }
            ResetDuration::Month => (Ok(first_of_month), 1.month()),
            ResetDuration::Quarter => {
                let since_start =
                    (i64::from(today.month()) - i64::from(self.quarter_start_month)).rem_euclid(3);
                (first_of_month.checked_sub(since_start.months()), 3.months())
            }
            ResetDuration::Year => (Ok(today.first_of_year()), 1.year()),
            // Minutes and hours never get here; a day is what is left.
            ResetDuration::Day | ResetDuration::Minute | ResetDuration::Hour => {
                (Ok(today), 1.day())
            }
        };
        let start_date = start.unwrap_or(Date::MIN);
        let start = midnight(start_date, zone).unwrap_or(Timestamp::MIN);
        let end = start_date
            .checked_add(length)
            .ok()
            .and_then(|date| midnight(date, zone))
            .unwrap_or(Timestamp::MAX);
        Window {
            key: aligned_key(start, end),
            start,
            end,
        }
    }
}

/// The anchor moved by calendar months, or the end of time.
fn lattice_edge(anchor: DateTime, months: i64) -> Timestamp {
    Span::new()
        .try_months(months)
        .and_then(|span| anchor.checked_add(span))
        .and_then(|edge| edge.to_zoned_datetime(TimeZone::UTC))
        .map_or(
            if months < 0 {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            },
            |edge| Timestamp::from_jiff(edge.timestamp()),
        )
}

/// The first instant of a civil date; where a clock change skips midnight (or the whole date), the first one after.
fn midnight(date: Date, zone: &Zone) -> Option<Timestamp> {
    date.to_zoned_datetime(zone.as_jiff().clone())
        .ok()
        .map(|zoned| Timestamp::from_jiff(zoned.timestamp()))
}

/// Seconds above, length below: civil days start and end with a second, and no window lasts longer than two years.
fn aligned_key(start: Timestamp, end: Timestamp) -> WindowKey {
    const LENGTH_BITS: u32 = 26;
    let seconds = start.as_micros().div_euclid(MICROS_PER_SECOND);
    let length = end.micros_since(start).div_euclid(MICROS_PER_SECOND);
    // What does not fit is beyond the calendar.
    WindowKey(seconds.wrapping_shl(LENGTH_BITS) | (length & ((1 << LENGTH_BITS) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn spec(
        duration: ResetDuration,
        anchor: &str,
        zone: Option<&str>,
        quarter_start_month: u8,
    ) -> WindowSpec {
        let zone = zone.map(|name| name.parse().unwrap());
        WindowSpec {
            duration,
            anchor: at(anchor),
            zone,
            quarter_start_month,
        }
    }

    fn check(spec: &WindowSpec, now: &str, start: &str, end: &str) {
        let window = spec.window(at(now));
        assert_eq!(
            (window.start, window.end),
            (at(start), at(end)),
            "{spec:?} at {now}"
        );
        assert!(window.contains(at(now)) && window.contains(window.start));
        assert!(!window.contains(window.end), "one instant is in one window");
    }

    #[test]
    fn lattice_windows_start_at_the_anchor() {
        let hourly = spec(ResetDuration::Hour, "2026-01-01T00:20:00Z", None, 1);
        check(
            &hourly,
            "2026-01-01T00:20:00Z",
            "2026-01-01T00:20:00Z",
            "2026-01-01T01:20:00Z",
        );
        check(
            &hourly,
            "2026-01-01T01:19:59Z",
            "2026-01-01T00:20:00Z",
            "2026-01-01T01:20:00Z",
        );
        check(
            &hourly,
            "2025-12-31T23:30:00Z",
            "2025-12-31T23:20:00Z",
            "2026-01-01T00:20:00Z",
        );
    }

    #[test]
    fn months_from_the_thirty_first_do_not_drift() {
        let monthly = spec(ResetDuration::Month, "2026-01-31T10:00:00Z", None, 1);
        check(
            &monthly,
            "2026-02-28T09:59:59Z",
            "2026-01-31T10:00:00Z",
            "2026-02-28T10:00:00Z",
        );
        check(
            &monthly,
            "2026-03-01T00:00:00Z",
            "2026-02-28T10:00:00Z",
            "2026-03-31T10:00:00Z",
        );
        check(
            &monthly,
            "2026-03-31T10:00:00Z",
            "2026-03-31T10:00:00Z",
            "2026-04-30T10:00:00Z",
        );
        check(
            &monthly,
            "2025-12-31T10:00:00Z",
            "2025-12-31T10:00:00Z",
            "2026-01-31T10:00:00Z",
        );
    }

    #[test]
    fn quarters_and_years_step_from_the_anchor() {
        let quarterly = spec(ResetDuration::Quarter, "2025-11-30T00:00:00Z", None, 1);
        check(
            &quarterly,
            "2026-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-05-30T00:00:00Z",
        );
        let yearly = spec(ResetDuration::Year, "2024-02-29T12:00:00Z", None, 1);
        check(
            &yearly,
            "2025-03-01T00:00:00Z",
            "2025-02-28T12:00:00Z",
            "2026-02-28T12:00:00Z",
        );
        check(
            &yearly,
            "2028-02-29T12:00:00Z",
            "2028-02-29T12:00:00Z",
            "2029-02-28T12:00:00Z",
        );
    }

    #[test]
    fn aligned_days_follow_the_zone_through_clock_changes() {
        let daily = spec(
            ResetDuration::Day,
            "2026-01-01T00:00:00Z",
            Some("Europe/Berlin"),
            1,
        );
        check(
            &daily,
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        let lord_howe = spec(
            ResetDuration::Day,
            "2026-01-01T00:00:00Z",
            Some("Australia/Lord_Howe"),
            1,
        );
        check(
            &lord_howe,
            "2026-04-05T00:00:00Z",
            "2026-04-04T13:00:00Z",
            "2026-04-05T13:30:00Z",
        );
    }

    #[test]
    fn a_date_that_a_zone_skipped_has_no_window() {
        let apia = spec(
            ResetDuration::Day,
            "2011-01-01T00:00:00Z",
            Some("Pacific/Apia"),
            1,
        );
        check(
            &apia,
            "2011-12-30T09:00:00Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        );
        check(
            &apia,
            "2011-12-30T10:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-31T10:00:00Z",
        );
    }

    #[test]
    fn aligned_weeks_quarters_and_years() {
        let weekly = spec(ResetDuration::Week, "2026-01-01T00:00:00Z", Some("UTC"), 1);
        check(
            &weekly,
            "2026-11-24T02:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-30T00:00:00Z",
        );
        let fiscal = spec(
            ResetDuration::Quarter,
            "2026-01-01T00:00:00Z",
            Some("UTC"),
            2,
        );
        check(
            &fiscal,
            "2026-01-15T00:00:00Z",
            "2025-11-01T00:00:00Z",
            "2026-02-01T00:00:00Z",
        );
        let yearly = spec(
            ResetDuration::Year,
            "2026-01-01T00:00:00Z",
            Some("Asia/Kathmandu"),
            1,
        );
        check(
            &yearly,
            "2026-12-31T18:14:59Z",
            "2025-12-31T18:15:00Z",
            "2026-12-31T18:15:00Z",
        );
    }

    #[test]
    fn windows_that_lie_differently_have_different_names() {
        let key = |duration, zone, now| {
            spec(duration, "2026-01-01T00:00:00Z", zone, 1)
                .window(at(now))
                .key
        };
        let (day, month) = (ResetDuration::Day, ResetDuration::Month);
        // The name is stored: it must never change.
        let kathmandu = key(day, Some("Asia/Kathmandu"), "2026-11-23T20:00:00Z");
        assert_eq!(kathmandu, WindowKey((1_795_457_700 << 26) + 86_400));
        // The same civil date, a quarter of an hour apart.
        assert_ne!(
            kathmandu,
            key(day, Some("Asia/Kolkata"), "2026-11-23T20:00:00Z")
        );
        // The same start: London's March is an hour shorter.
        let march = |zone| key(month, Some(zone), "2026-03-15T12:00:00Z");
        assert_ne!(march("Europe/London"), march("Atlantic/Reykjavik"));
        assert_eq!(march("Africa/Abidjan"), march("Atlantic/Reykjavik"));
        // What is not aligned is named by its start.
        assert_eq!(
            key(day, None, "2026-11-23T20:00:00Z"),
            WindowKey(at("2026-11-23T00:00:00Z").as_micros())
        );
    }

    #[test]
    fn the_ends_of_time_have_windows() {
        for duration in ResetDuration::ALL {
            for zone in [None, Some("Asia/Kathmandu")] {
                let spec = spec(duration, "2026-01-31T00:00:00Z", zone, 4);
                let _ = spec.window(Timestamp::MAX);
                let _ = spec.window(Timestamp::MIN);
                let _ = spec.end_after(Timestamp::MAX, 3);
            }
        }
    }
}
