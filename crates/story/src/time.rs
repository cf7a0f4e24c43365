//! Moments, as events have them and as people write them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use std::time::SystemTime;

/// A moment, in the form in which events have it, so that the two compare as texts.
#[derive(Clone, Debug)]
pub struct Moment(String, i64);

impl Moment {
    /// As events have it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The same without a fraction that is none, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.strip_suffix(".000000000Z").map_or_else(|| self.0.clone(), |whole| format!("{whole}Z"))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.1
    }
}

/// A time in nanoseconds since 1970, as events have it.
#[must_use]
pub fn text(nanoseconds: i64) -> Option<String> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().map(|at| format!("{at:.9}"))
}

/// A time of the system to a second, as events have it.
#[must_use]
pub fn to_a_second(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|at| format!("{at:.0}"))
}

/// Reads a date, a date and a time of day (in UTC, unless an offset says otherwise), or how long ago it was.
pub fn moment(text: &str) -> Result<Moment, String> {
    at(text, Timestamp::now())
}

fn at(text: &str, now: Timestamp) -> Result<Moment, String> {
    let found = match text {
        "now" => Some(now),
        "today" | "yesterday" => {
            let midnight = TimeZone::UTC.to_datetime(now).date().to_datetime(Time::midnight());
            let day = TimeZone::UTC.to_timestamp(midnight).map_err(|error| error.to_string())?;
            Some(if text == "today" { day } else { day - SignedDuration::from_hours(24) })
        }
        _ => None,
    };
    let civil = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    let ago = || {
        let span: Span = text.trim_start_matches('-').parse().ok()?;
        let length = span.to_duration(TimeZone::UTC.to_datetime(now).date()).ok()?;
        now.checked_sub(length.abs()).ok()
    };
    let found = found.or_else(|| text.parse::<Timestamp>().ok()).or_else(civil).or_else(ago).ok_or_else(|| {
        "not a time: write a date (2026-11-24), a date and a time (\"2026-11-24 16:25\"), or how long ago (90m, 2h, 7d)"
            .to_owned()
    })?;
    Ok(Moment(format!("{found:.9}"), found.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let now: Timestamp = "2026-11-24T16:25:14Z".parse().unwrap();
        for (text, wanted) in [
            ("2026-11-24", "2026-11-24T00:00:00.000000000Z"),
            ("2026-11-24 16:25", "2026-11-24T16:25:00.000000000Z"),
            ("2026-11-24T16:25:14+02:00", "2026-11-24T14:25:14.000000000Z"),
            ("90m", "2026-11-24T14:55:14.000000000Z"),
            ("-2h", "2026-11-24T14:25:14.000000000Z"),
            ("7d", "2026-11-17T16:25:14.000000000Z"),
            ("now", "2026-11-24T16:25:14.000000000Z"),
            ("yesterday", "2026-11-23T00:00:00.000000000Z"),
        ] {
            assert_eq!(at(text, now).map(|moment| moment.0), Ok(wanted.to_owned()), "{text}");
        }
        assert!(at("tea time", now).is_err());
    }
}
