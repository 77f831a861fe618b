//! Dates and times, enough for `now()`, `to_datetime` and `strftime`.

use std::fmt;

/// A moment as a calendar shows it, in the zone that `offset_seconds` gives (none: a naive one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DateTime {
    /// Seconds since 1970 of what the calendar shows.
    pub(crate) local_seconds: i64,
    pub(crate) microsecond: u32,
    pub(crate) offset_seconds: Option<i32>,
}

/// The difference of two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delta {
    pub(crate) microseconds: i64,
}

/// The fields of a calendar date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

const DAY_SECONDS: i64 = 86_400;

impl DateTime {
    /// `None` when there is no such date.
    pub(crate) fn from_fields(fields: Fields, microsecond: u32) -> Option<DateTime> {
        let is_date = (1..=9999).contains(&fields.year) && (1..=12).contains(&fields.month);
        let is_day = is_date && (1..=days_in_month(fields.year, fields.month)).contains(&fields.day);
        let is_time = (0..24).contains(&fields.hour) && (0..60).contains(&fields.minute) && (0..62).contains(&fields.second);
        if !is_day || !is_time {
            return None;
        }
        let days = days_from_civil(fields.year, fields.month, fields.day);
        let local_seconds = days * DAY_SECONDS + fields.hour * 3600 + fields.minute * 60 + fields.second;
        Some(DateTime { local_seconds, microsecond, offset_seconds: None })
    }

    pub(crate) fn fields(&self) -> Fields {
        let days = self.local_seconds.div_euclid(DAY_SECONDS);
        let rest = self.local_seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = civil_from_days(days);
        Fields { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// From 0, which is Monday.
    pub(crate) fn weekday(&self) -> i64 {
        (self.local_seconds.div_euclid(DAY_SECONDS) + 3).rem_euclid(7)
    }

    /// From 1.
    pub(crate) fn day_of_year(&self) -> i64 {
        let fields = self.fields();
        self.local_seconds.div_euclid(DAY_SECONDS) - days_from_civil(fields.year, 1, 1) + 1
    }

    /// Seconds since 1970; a naive moment counts as UTC.
    pub(crate) fn epoch(&self) -> i64 {
        self.local_seconds - i64::from(self.offset_seconds.unwrap_or(0))
    }

    pub(crate) fn since(&self, earlier: &DateTime) -> Delta {
        let seconds = self.epoch().saturating_sub(earlier.epoch());
        let microseconds = seconds.saturating_mul(1_000_000) + i64::from(self.microsecond) - i64::from(earlier.microsecond);
        Delta { microseconds }
    }

    pub(crate) fn plus(&self, delta: Delta) -> Option<DateTime> {
        let total = i64::from(self.microsecond).checked_add(delta.microseconds)?;
        let local_seconds = self.local_seconds.checked_add(total.div_euclid(1_000_000))?;
        let microsecond = u32::try_from(total.rem_euclid(1_000_000)).ok()?;
        Some(DateTime { local_seconds, microsecond, ..*self })
    }

    /// ISO 8601 with `separator` between date and time.
    pub(crate) fn iso(&self, separator: char) -> String {
        let at = self.fields();
        let mut out =
            format!("{:04}-{:02}-{:02}{separator}{:02}:{:02}:{:02}", at.year, at.month, at.day, at.hour, at.minute, at.second);
        if self.microsecond != 0 {
            out += &format!(".{:06}", self.microsecond);
        }
        if let Some(offset) = self.offset_seconds {
            out += &offset_text(offset, ":");
        }
        out
    }

    /// As C's `strftime` does.
    pub(crate) fn format(&self, format: &str) -> String {
        let mut out = String::with_capacity(format.len() * 2);
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match rest.next() {
                Some('-') => {
                    let field = self.directive(rest.next().unwrap_or('%'));
                    let trimmed = field.trim_start_matches(['0', ' ']);
                    out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
                }
                Some(directive) => out.push_str(&self.directive(directive)),
                None => out.push('%'),
            }
        }
        out
    }

    fn directive(&self, directive: char) -> String {
        let at = self.fields();
        let twelve = if at.hour % 12 == 0 { 12 } else { at.hour % 12 };
        match directive {
            'Y' => at.year.to_string(),
            'C' => format!("{:02}", at.year / 100),
            'y' => format!("{:02}", at.year % 100),
            'm' => format!("{:02}", at.month),
            'd' => format!("{:02}", at.day),
            'e' => format!("{:2}", at.day),
            'H' => format!("{:02}", at.hour),
            'k' => format!("{:2}", at.hour),
            'I' => format!("{twelve:02}"),
            'l' => format!("{twelve:2}"),
            'M' => format!("{:02}", at.minute),
            'S' => format!("{:02}", at.second),
            'f' => format!("{:06}", self.microsecond),
            'p' => if at.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'P' => if at.hour < 12 { "am" } else { "pm" }.to_owned(),
            'j' => format!("{:03}", self.day_of_year()),
            'u' => (self.weekday() + 1).to_string(),
            'w' => ((self.weekday() + 1) % 7).to_string(),
            'a' => name_of(&WEEKDAYS, self.weekday())[..3].to_owned(),
            'A' => name_of(&WEEKDAYS, self.weekday()).to_owned(),
            'b' | 'h' => name_of(&MONTHS, at.month - 1)[..3].to_owned(),
            'B' => name_of(&MONTHS, at.month - 1).to_owned(),
            'U' => format!("{:02}", (self.day_of_year() + 6 - (self.weekday() + 1) % 7) / 7),
            'W' => format!("{:02}", (self.day_of_year() + 6 - self.weekday()) / 7),
            'G' => self.iso_week().0.to_string(),
            'g' => format!("{:02}", self.iso_week().0 % 100),
            'V' => format!("{:02}", self.iso_week().1),
            's' => self.epoch().to_string(),
            'z' => self.offset_seconds.map_or(String::new(), |offset| offset_text(offset, "")),
            'Z' => self.offset_seconds.map_or("", |offset| if offset == 0 { "UTC" } else { "" }).to_owned(),
            'F' => self.format("%Y-%m-%d"),
            'T' | 'X' => self.format("%H:%M:%S"),
            'R' => self.format("%H:%M"),
            'D' | 'x' => self.format("%m/%d/%y"),
            'c' => self.format("%a %b %e %H:%M:%S %Y"),
            'r' => self.format("%I:%M:%S %p"),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            other => format!("%{other}"),
        }
    }

    /// Year and week of ISO 8601.
    fn iso_week(&self) -> (i64, i64) {
        let year = self.fields().year;
        let week = (self.day_of_year() - 1 - self.weekday() + 10) / 7;
        if week < 1 {
            return (year - 1, weeks_in_year(year - 1));
        }
        if week > weeks_in_year(year) { (year + 1, 1) } else { (year, week) }
    }

    /// Reads `text` by a `strptime` format. `None` when it does not fit.
    pub(crate) fn parse(text: &str, format: &str) -> Option<DateTime> {
        let mut reader = Reader { rest: text, ..Reader::default() };
        let mut directives = format.chars();
        while let Some(c) = directives.next() {
            match c {
                '%' => reader.directive(directives.next()?)?,
                c if c.is_whitespace() => reader.rest = reader.rest.trim_start(),
                c => reader.rest = reader.rest.strip_prefix(c)?,
            }
        }
        reader.finish()
    }
}

/// What `strptime` has read so far.
#[derive(Default)]
struct Reader<'t> {
    rest: &'t str,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    day_of_year: Option<i64>,
    microsecond: u32,
    is_afternoon: Option<bool>,
    offset: Option<i32>,
    epoch: Option<i64>,
}

impl Reader<'_> {
    fn number(&mut self, digits_max: usize) -> Option<i64> {
        let digits = self.rest.chars().take(digits_max).take_while(char::is_ascii_digit).count();
        let number = self.rest[..digits].parse().ok()?;
        self.rest = &self.rest[digits..];
        Some(number)
    }

    fn word(&mut self, words: &[&str], is_short: bool) -> Option<i64> {
        let found = words.iter().position(|word| {
            let word = if is_short { &word[..3] } else { word };
            self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
        })?;
        self.rest = &self.rest[if is_short { 3 } else { words[found].len() }..];
        i64::try_from(found).ok()
    }

    fn all(&mut self, format: &str) -> Option<()> {
        let mut directives = format.chars();
        while let Some(c) = directives.next() {
            match c {
                '%' => self.directive(directives.next()?)?,
                c => self.rest = self.rest.strip_prefix(c)?,
            }
        }
        Some(())
    }

    fn directive(&mut self, directive: char) -> Option<()> {
        match directive {
            'Y' => self.year = Some(self.number(4)?),
            'y' => self.year = Some(self.number(2).map(|year| year + if year < 69 { 2000 } else { 1900 })?),
            'm' => self.month = Some(self.number(2)?),
            'd' | 'e' => self.day = Some(self.number(2)?),
            'H' => self.hour = Some(self.number(2)?),
            'I' => self.hour = Some(self.number(2).filter(|hour| (1..=12).contains(hour))?),
            'M' => self.minute = Some(self.number(2)?),
            'S' => self.second = Some(self.number(2)?),
            'j' => self.day_of_year = Some(self.number(3)?),
            'f' => {
                let before = self.rest.len();
                let number = self.number(6)?;
                let digits = before - self.rest.len();
                self.microsecond = u32::try_from(number * 10_i64.pow(u32::try_from(6 - digits).ok()?)).ok()?;
            }
            'p' => {
                let is_afternoon = self.rest.get(..2)?.eq_ignore_ascii_case("pm");
                self.is_afternoon = Some(is_afternoon);
                self.rest = self.rest.get(2..)?;
            }
            'b' | 'h' => self.month = Some(self.word(&MONTHS, true)? + 1),
            'B' => self.month = Some(self.word(&MONTHS, false)? + 1),
            'a' => drop(self.word(&WEEKDAYS, true)?),
            'A' => drop(self.word(&WEEKDAYS, false)?),
            's' => self.epoch = Some(self.number(19)?),
            'z' => self.zone()?,
            'Z' => {
                let name = ["UTC", "GMT"].into_iter().find(|name| self.rest.starts_with(name))?;
                self.rest = &self.rest[name.len()..];
            }
            'F' => self.all("%Y-%m-%d")?,
            'T' => self.all("%H:%M:%S")?,
            'R' => self.all("%H:%M")?,
            '%' => self.rest = self.rest.strip_prefix('%')?,
            _ => return None,
        }
        Some(())
    }

    fn zone(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            self.offset = Some(0);
            return Some(());
        }
        let sign = match self.rest.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(2)?;
        self.offset = Some(i32::try_from(sign * (hours * 3600 + minutes * 60)).ok()?);
        Some(())
    }

    fn finish(self) -> Option<DateTime> {
        if !self.rest.is_empty() {
            return None;
        }
        if let Some(epoch) = self.epoch {
            return Some(DateTime { local_seconds: epoch, microsecond: self.microsecond, offset_seconds: self.offset });
        }
        let hour = match (self.hour.unwrap_or(0), self.is_afternoon) {
            (12, Some(false)) => 0,
            (hour, Some(true)) if hour < 12 => hour + 12,
            (hour, _) => hour,
        };
        let year = self.year.unwrap_or(1900);
        let fields = Fields {
            year,
            month: self.month.unwrap_or(1),
            day: self.day.unwrap_or(1),
            hour,
            minute: self.minute.unwrap_or(0),
            second: self.second.unwrap_or(0),
        };
        let mut time = DateTime::from_fields(fields, self.microsecond)?;
        if let (Some(day), None) = (self.day_of_year, self.month) {
            time.local_seconds += (day - 1) * DAY_SECONDS;
        }
        time.offset_seconds = self.offset;
        Some(time)
    }
}

impl Delta {
    pub(crate) fn negative(self) -> Delta {
        Delta { microseconds: self.microseconds.saturating_neg() }
    }

    pub(crate) fn days(self) -> i64 {
        self.microseconds.div_euclid(DAY_SECONDS * 1_000_000)
    }

    /// Of the day that has begun.
    pub(crate) fn seconds(self) -> i64 {
        self.microseconds.rem_euclid(DAY_SECONDS * 1_000_000) / 1_000_000
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.iso(' '))
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.days(), self.seconds());
        match days {
            0 => {}
            1 | -1 => write!(out, "{days} day, ")?,
            _ => write!(out, "{days} days, ")?,
        }
        write!(out, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        match self.microseconds.rem_euclid(1_000_000) {
            0 => Ok(()),
            fraction => write!(out, ".{fraction:06}"),
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

fn name_of(names: &[&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("???")
}

fn offset_text(offset: i32, separator: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn weeks_in_year(year: i64) -> i64 {
    let first = (days_from_civil(year, 1, 1) + 3).rem_euclid(7);
    52 + i64::from(first == 3 || (first == 2 && is_leap(year)))
}

/// Days since 1970-01-01 of the proleptic Gregorian calendar, counted from a year that starts in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_and_written_back() {
        let time = DateTime::parse("2024-02-29 13:05:09.25", "%Y-%m-%d %H:%M:%S.%f").unwrap();
        assert_eq!(time.to_string(), "2024-02-29 13:05:09.250000");
        assert_eq!(time.format("%a %j %V %G %U %I:%M %p %-d"), "Thu 060 09 2024 08 01:05 PM 29");
        assert_eq!(DateTime::parse("2023-02-29", "%Y-%m-%d"), None);
    }

    #[test]
    fn differences_count_days_and_seconds() {
        let parse = |text| DateTime::parse(text, "%Y-%m-%d %H:%M:%S").unwrap();
        let delta = parse("2024-03-01 00:00:10").since(&parse("2024-02-28 00:00:00"));
        assert_eq!((delta.days(), delta.seconds()), (2, 10));
        assert_eq!(delta.to_string(), "2 days, 0:00:10");
    }
}
