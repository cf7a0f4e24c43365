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

/// A time as events have it in nanoseconds since 1970; `None` for one that cannot be read or is too far away.
#[must_use]
pub fn nanoseconds(text: &str) -> Option<i64> {
    in_full(text.as_bytes()).or_else(|| i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok())
}

/// The same in seconds, as far as a date goes.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let in_full = in_full(text.as_bytes()).map(|nanoseconds| nanoseconds.div_euclid(1_000_000_000));
    in_full.or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
}

/// The same of the form that Portcullis writes, without a parser of all forms: `2026-11-24T16:25:14.000000000Z`.
fn in_full(text: &[u8]) -> Option<i64> {
    const FORM: &[u8; 30] = b"0000-00-00T00:00:00.000000000Z";
    let is_of_form = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if text.len() != FORM.len() || !text.iter().zip(FORM).all(is_of_form) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let [year, month, day] = [number(&text[..4]), number(&text[5..7]), number(&text[8..10])];
    let [hour, minute, second] = [number(&text[11..13]), number(&text[14..16]), number(&text[17..19])];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    };
    if !(1970..2200).contains(&year) || !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years begin with March, so that a leap day is their last one; years from 0000-03-01, which is 719,468 days before 1970.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + number(&text[20..29]))
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

    /// As the parser of all forms reads it, or not at all: each day of each month, and what is no time.
    #[test]
    fn the_usual_form_is_read_as_any_other() {
        let days = (1968..2201).flat_map(|year| (0..=13).map(move |month| (year, month)));
        let mut read = 0;
        for ((year, month), day) in days.flat_map(|month| (0..=32).map(move |day| (month, day))) {
            for time in [
                "00:00:00.000000000",
                "23:59:59.999999999",
                "24:00:00.000000000",
                "07:60:08.123456789",
                "23:59:60.000000000",
            ] {
                let text = format!("{year}-{month:02}-{day:02}T{time}Z");
                let all = text.parse::<Timestamp>().ok();
                assert_eq!(nanoseconds(&text), all.and_then(|at| i64::try_from(at.as_nanosecond()).ok()), "{text}");
                assert_eq!(seconds(&text), all.map(Timestamp::as_second), "{text}");
                read += usize::from(in_full(text.as_bytes()).is_some());
            }
        }
        assert_eq!(read, 2 * 84_006, "days from 1970 to 2199");
        for wrong in [
            "",
            "2026-11-24T16:25:14.00000000+Z",
            "2026-11-24 16:25:14.000000000Z",
            "\u{661}026-11-24T16:25:14.0000000Z",
        ] {
            assert_eq!(in_full(wrong.as_bytes()), None, "{wrong}");
        }
    }

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
