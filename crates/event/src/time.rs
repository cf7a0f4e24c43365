//! A time as JSON.

use crate::Json;

impl Json<'_> {
    /// A time as ISO 8601 in UTC with nanoseconds, as a string. `time` is in nanoseconds since 1970.
    pub fn time(&mut self, time: u64) {
        let seconds = time / 1_000_000_000;
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        self.separate();
        self.byte(b'"');
        for (number, width, after) in [
            (year, 4, b"-"),
            (month, 2, b"-"),
            (day, 2, b"T"),
            (of_day / 3600, 2, b":"),
            (of_day / 60 % 60, 2, b":"),
            (of_day % 60, 2, b"."),
        ] {
            self.digits(number, width);
            self.raw(after);
        }
        self.digits(time % 1_000_000_000, 9);
        self.raw(b"Z\"");
    }
}

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar: years are counted from 1 March of
/// year 0, so that a leap day is the last day of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Json;
    use crate::Line;
    use std::string::String;

    fn written(time: u64) -> String {
        let mut line = Line::new();
        let mut json = Json::new(&mut line);
        json.time(time);
        String::from_utf8(json.finish().to_vec()).unwrap()
    }

    #[test]
    fn dates() {
        assert_eq!(written(951_782_400_000_000_005), "\"2000-02-29T00:00:00.000000005Z\"");
        assert_eq!(written(0), "\"1970-01-01T00:00:00.000000000Z\"");
        assert_eq!(written(1_795_537_514 * 1_000_000_000), "\"2026-11-24T16:25:14.000000000Z\"");
    }
}
