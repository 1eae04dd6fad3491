//! When an account was made, in the forms in which databases and programs write moments.

use serde_json::Value;

use super::problem::LineProblem;
use crate::domain::clock::Timestamp;

/// How far the clock of the machine that wrote the file may be ahead, ms.
const AHEAD_MAX_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Numbers from here on count milliseconds: as seconds they would be of the year 5138 or later, and as
/// milliseconds smaller ones would be of before March 1973.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// A moment since 1970 that is not to come.
pub(super) fn parse(value: &Value, now: Timestamp) -> Result<Timestamp, LineProblem> {
    let millis = match value {
        Value::String(text) => millis_of_text(text)?,
        Value::Number(number) => number.as_i64().map(millis_of_number).ok_or(LineProblem::CreatedAt)?,
        _ => return Err(LineProblem::CreatedAt),
    };
    if millis < 0 {
        return Err(LineProblem::CreatedAt);
    }
    if millis > now.as_millis().saturating_add(AHEAD_MAX_MILLIS) {
        return Err(LineProblem::Future);
    }
    Ok(Timestamp::from_millis(millis))
}

fn millis_of_number(number: i64) -> i64 {
    if number < FIRST_MILLIS { number.saturating_mul(1000) } else { number }
}

/// RFC 3339 5.6 with any offset from UTC, or as Postgres prints it: a blank before the time, and an offset
/// of whole hours without its minutes.
fn millis_of_text(text: &str) -> Result<i64, LineProblem> {
    let Some((local, offset_minutes)) = split_offset(text) else {
        let has_no_offset = millis_of_local(text).is_some();
        return Err(if has_no_offset { LineProblem::NoOffset } else { LineProblem::CreatedAt });
    };
    let millis = millis_of_local(local).and_then(|millis| millis.checked_sub(offset_minutes * 60_000));
    millis.ok_or(LineProblem::CreatedAt)
}

/// A time in UTC that does not say so.
fn millis_of_local(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let time = humantime::parse_rfc3339(&format!("{date}T{time}Z")).ok()?;
    Some(Timestamp::from(time).as_millis())
}

/// What stands before the offset, and the offset in minutes.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    const DATE: usize = "2020-02-29".len();
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, 0));
    }
    let (_, time) = text.split_at_checked(DATE)?;
    let (local, offset) = text.split_at_checked(DATE + time.rfind(['+', '-'])?)?;
    Some((local, offset_minutes(offset)?))
}

/// `+hh`, `+hh:mm`, or either with a minus.
fn offset_minutes(offset: &str) -> Option<i64> {
    let (sign, rest) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "00"));
    let two_digits = |text: &str, max: i64| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| plain && *number <= max)
    };
    Some(sign * (two_digits(hours, 23)? * 60 + two_digits(minutes, 59)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_moment_is_a_time_with_an_offset_or_a_count() {
        for (value, millis) in [
            (json!(0), 0),
            (json!(1_582_970_400), 1_582_970_400_000),
            (json!(1_582_970_400_123_i64), 1_582_970_400_123),
            (json!(FIRST_MILLIS), FIRST_MILLIS),
            (json!(NOW.as_millis()), NOW.as_millis()),
            (json!("2020-02-29T10:00:00Z"), 1_582_970_400_000),
            (json!("2020-02-29T10:00:00+00:00"), 1_582_970_400_000),
            (json!("2020-02-29T04:30:00-05:30"), 1_582_970_400_000),
            (json!("2020-02-29T10:00:00.123456Z"), 1_582_970_400_123),
            (json!("2020-02-29 10:00:00+00"), 1_582_970_400_000),
            (json!("2020-02-29 10:00:00.5+00"), 1_582_970_400_500),
            (json!("2020-02-29 12:00:00.123456+02"), 1_582_970_400_123),
            (json!("2020-02-29 04:30:00.12-05:30"), 1_582_970_400_120),
            (json!("2020-02-29 10:00:00Z"), 1_582_970_400_000),
        ] {
            let moment = parse(&value, NOW).unwrap_or_else(|problem| panic!("{value}: {problem}"));
            assert_eq!(moment.as_millis(), millis, "{value}");
        }
    }

    #[test]
    fn what_is_none_or_is_to_come_is_refused() {
        use LineProblem::{CreatedAt, Future, NoOffset};
        for (value, problem) in [
            (json!("2020-02-29T10:00:00"), NoOffset),
            (json!("2020-02-29 10:00:00"), NoOffset),
            (json!("2020-02-29 10:00:00.123456"), NoOffset),
            (json!("2020-02-29"), CreatedAt),
            (json!("2021-02-29T10:00:00Z"), CreatedAt),
            (json!("2021-02-29 10:00:00"), CreatedAt),
            (json!("2020-02-29T10:00:00+24:00"), CreatedAt),
            (json!("2020-02-29 10:00:00+24"), CreatedAt),
            (json!("2020-02-29 10:00:00+2"), CreatedAt),
            (json!("2020-02-29 10:00:00+02:"), CreatedAt),
            (json!("2020-02-29 10:00:00 UTC"), CreatedAt),
            (json!("infinity"), CreatedAt),
            (json!("1969-12-31T23:59:59Z"), CreatedAt),
            (json!("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}+00"), CreatedAt),
            (json!(""), CreatedAt),
            (json!(-1), CreatedAt),
            (json!(1.5), CreatedAt),
            (json!(true), CreatedAt),
            (json!(u64::MAX), CreatedAt),
            (json!(i64::MAX), Future),
            (json!(FIRST_MILLIS - 1), Future),
            (json!(NOW.as_millis() / 1000 + 100_000), Future),
            (json!(NOW.as_millis() + 100_000_000), Future),
            (json!("2999-01-01T00:00:00Z"), Future),
        ] {
            assert_eq!(parse(&value, NOW).err(), Some(problem), "{value}");
        }
    }
}
