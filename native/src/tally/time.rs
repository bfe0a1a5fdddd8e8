//! Durations and times as header fields tell them.

use super::numbers::decimal;

/// Seconds of a duration as Go writes it: `6m0s`, `1.5s`, `120ms`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        seconds += decimal(number)? * length(unit)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(seconds)
}

fn length(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// Unix time of `2026-08-01T00:00:00Z`, with fraction and offset where given (RFC 3339, section 5.6).
pub(super) fn rfc3339(text: &str) -> Option<f64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let marks: Vec<u8> = [4, 7, 10, 13, 16].iter().filter_map(|&place| text.as_bytes().get(place).copied()).collect();
    let shaped = matches!(marks.as_slice(), [b'-', b'-', b'T' | b't' | b' ', b':', b':']);
    if !shaped || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone);
    let fraction =
        if fraction.is_empty() { 0.0 } else { decimal(fraction).filter(|part| (0.0..1.0).contains(part))? };
    let seconds = days(year, month, day) * 86_400.0 + f64::from(hour * 3_600 + minute * 60 + second);
    Some(seconds + fraction - offset(zone)?)
}

/// Seconds that a zone is ahead.
fn offset(zone: &str) -> Option<f64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0.0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = f64::from(hours.parse::<u16>().ok()?) * 3_600.0 + f64::from(minutes.parse::<u16>().ok()?) * 60.0;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Days from 1970, by Howard Hinnant's `days_from_civil`; no year before 0.
fn days(year: u32, month: u32, day: u32) -> f64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    f64::from(era) * 146_097.0 + f64::from(of_era) - 719_468.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_what_go_writes() {
        for (text, seconds) in [("6m0s", 360.0), ("1.5s", 1.5), ("120ms", 0.12), ("1h2m3s", 3_723.0), ("2d", 172_800.0)]
        {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        for text in ["", "s", "1", "1y", "-1s", "1s2"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_unix_seconds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00.5Z", 951_825_600.5),
            ("2026-08-01T00:00:00-01:30", 1_785_547_800.0),
        ] {
            assert_eq!(rfc3339(text), Some(seconds), "{text}");
        }
        for text in
            ["", "2026-08-01", "2026-08-01T00:00:00", "2026-08-01T25:00:00Z", "2026-08-01T00:00:00.xZ", "\u{e9}"]
        {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
