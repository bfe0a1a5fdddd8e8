//! RFC 3339 with nanoseconds. The text up to the second is kept, as rows of one second follow each other.

const NANOS: i64 = 1_000_000_000;

pub(crate) struct Clock {
    second: i64,
    text: [u8; 30],
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { second: i64::MIN, text: *b"0000-00-00T00:00:00.000000000Z" }
    }

    /// `2026-11-22T18:54:00.000000000Z`. Nanoseconds in 64 bits end in 2262, so four digits hold every year.
    pub(crate) fn format(&mut self, nanos: i64) -> &[u8] {
        let second = nanos.div_euclid(NANOS);
        if second != self.second {
            self.second = second;
            self.date(second);
        }
        digits(&mut self.text[20..29], nanos.rem_euclid(NANOS));
        &self.text
    }

    /// Howard Hinnant's `civil_from_days`.
    fn date(&mut self, second: i64) {
        let (days, rest) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        digits(&mut self.text[0..4], year + era * 400 + i64::from(month <= 2));
        digits(&mut self.text[5..7], month);
        digits(&mut self.text[8..10], of_year - (153 * shifted_month + 2) / 5 + 1);
        digits(&mut self.text[11..13], rest / 3_600);
        digits(&mut self.text[14..16], rest / 60 % 60);
        digits(&mut self.text[17..19], rest % 60);
    }
}

fn digits(place: &mut [u8], number: i64) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written() {
        let mut clock = Clock::new();
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_123_456_789, "2000-02-29T00:00:00.123456789Z"),
            (1_795_373_640_000_000_000, "2026-11-22T18:54:00.000000000Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(clock.format(nanos), text.as_bytes());
        }
    }
}
