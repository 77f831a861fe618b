//! Local time without libc: the zone file that `/etc/localtime` or `TZ` names.

use super::Look;
use std::fmt::Write;

/// A time zone: when its offsets change.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Seconds since 1970 and the offset that begins there, in order.
    changes: Vec<(i64, usize)>,
    offsets: Vec<Offset>,
    /// The rule for times after the last change.
    rule: Option<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
struct Offset {
    seconds: i64,
    name: String,
    is_summer: bool,
}

/// A rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    standard: Offset,
    /// The summer offset, when it begins, and when it ends.
    summer: Option<(Offset, Turn, Turn)>,
}

/// Seconds of local time into a year at which an offset changes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    day: Day,
    seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Day {
    /// Month, week (5 is the last), weekday.
    Weekday(i64, i64, i64),
    /// 1 to 365; 29 February is never counted.
    Julian(i64),
    /// 0 to 365.
    OfYear(i64),
}

/// A point in time as people write it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micro: i64,
    /// 0 is Sunday.
    pub weekday: i64,
    /// 1 is the first of January.
    pub yearday: i64,
    /// Seconds east of Greenwich.
    pub offset: i64,
    pub zone: String,
    pub is_summer: bool,
}

const DAY: i64 = 86_400;

impl Clock {
    /// The zone of the task: `TZ`, else `/etc/localtime`, else UTC.
    pub fn of(look: &dyn Look) -> Clock {
        Clock::found(look.env("TZ"), |file| look.read(file).ok())
    }

    /// The zone of this very process.
    pub fn here() -> Clock {
        Clock::found(std::env::var("TZ").ok(), |file| std::fs::read(file).ok())
    }

    fn found(zone: Option<String>, read: impl Fn(&str) -> Option<Vec<u8>>) -> Clock {
        let file = match zone.filter(|zone| !zone.is_empty()) {
            None => "/etc/localtime".to_owned(),
            Some(zone) => match zone.trim_start_matches(':') {
                path if path.starts_with('/') => path.to_owned(),
                name => format!("/usr/share/zoneinfo/{name}"),
            },
        };
        read(&file).and_then(|bytes| Clock::parse(&bytes)).unwrap_or_default()
    }

    /// A zone file, version 1 to 4.
    pub fn parse(bytes: &[u8]) -> Option<Clock> {
        let counts = Counts::parse(bytes)?;
        if counts.version == 0 {
            return counts.body(bytes.get(44..)?, 4);
        }
        let second = bytes.get(44 + counts.size(4)..)?;
        let counts = Counts::parse(second)?;
        let mut clock = counts.body(second.get(44..)?, 8)?;
        let footer = second.get(44 + counts.size(8)..)?;
        clock.rule = std::str::from_utf8(footer).ok().and_then(|text| Rule::parse(text.trim()));
        Some(clock)
    }

    pub fn local(&self, time: f64) -> Moment {
        let seconds = time.floor() as i64;
        let offset = self.offset(seconds);
        let mut moment = civil(seconds + offset.seconds);
        moment.micro = ((time - time.floor()) * 1e6) as i64;
        Moment { offset: offset.seconds, zone: offset.name, is_summer: offset.is_summer, ..moment }
    }

    /// Seconds since 1970 of a local time written by a pattern of `%Y %m %d %H %M %S` (`strptime`).
    pub fn read(&self, text: &str, pattern: &str) -> Option<f64> {
        let mut parts = [1970, 1, 1, 0, 0, 0];
        let mut rest = text;
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                rest = rest.strip_prefix(c)?;
                continue;
            }
            let at = "YmdHMS".find(chars.next()?)?;
            let width = if at == 0 { 4 } else { 2 };
            let end = rest.bytes().take(width).take_while(u8::is_ascii_digit).count();
            parts[at] = rest[..end].parse().ok()?;
            rest = &rest[end..];
        }
        let [year, month, day, hour, minute, second] = parts;
        if !rest.is_empty() || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 61 {
            return None;
        }
        let local = days_from(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Some((local - self.offset(local - self.offset(local).seconds).seconds) as f64)
    }

    pub fn utc(time: f64) -> Moment {
        Clock::default().local(time)
    }

    /// Names of standard and summer time as they are now; both the same where there is no summer time.
    pub fn names(&self, time: f64) -> (String, String) {
        match &self.rule {
            Some(Rule { standard, summer: Some((summer, ..)) }) => (standard.name.clone(), summer.name.clone()),
            Some(Rule { standard, summer: None }) => (standard.name.clone(), standard.name.clone()),
            None => {
                let name = self.offset(time.floor() as i64).name;
                (name.clone(), name)
            }
        }
    }

    fn offset(&self, time: i64) -> Offset {
        let after = self.changes.partition_point(|(change, _)| *change <= time);
        if after == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.offset(time).clone();
        }
        let at = after.checked_sub(1).and_then(|at| self.changes.get(at)).map_or(0, |(_, offset)| *offset);
        self.offsets.get(at).cloned().unwrap_or(Offset { seconds: 0, name: "UTC".to_owned(), is_summer: false })
    }
}

struct Counts {
    version: u8,
    utc: usize,
    standard: usize,
    leaps: usize,
    changes: usize,
    offsets: usize,
    names: usize,
}

impl Counts {
    fn parse(bytes: &[u8]) -> Option<Counts> {
        if bytes.get(..4)? != b"TZif" {
            return None;
        }
        let count =
            |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize).filter(|n| *n < 1 << 16);
        Some(Counts {
            version: *bytes.get(4)?,
            utc: count(20)?,
            standard: count(24)?,
            leaps: count(28)?,
            changes: count(32)?,
            offsets: count(36)?,
            names: count(40)?,
        })
    }

    fn size(&self, width: usize) -> usize {
        self.changes * (width + 1) + self.offsets * 6 + self.names + self.leaps * (width + 4) + self.standard + self.utc
    }

    fn body(&self, bytes: &[u8], width: usize) -> Option<Clock> {
        let times = bytes.get(..self.changes * width)?;
        let kinds = bytes.get(times.len()..times.len() + self.changes)?;
        let rest = &bytes[times.len() + kinds.len()..];
        let names = rest.get(self.offsets * 6..self.offsets * 6 + self.names)?;
        let time = |raw: &[u8]| match width {
            8 => raw.try_into().ok().map(i64::from_be_bytes),
            _ => raw.try_into().ok().map(i32::from_be_bytes).map(i64::from),
        };
        let offset = |raw: &[u8]| {
            let name = names.get(usize::from(raw[5])..)?;
            let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
            let seconds = i32::from_be_bytes(raw[..4].try_into().ok()?).into();
            Some(Offset { seconds, name: String::from_utf8_lossy(name).into_owned(), is_summer: raw[4] != 0 })
        };
        Some(Clock {
            changes: times
                .chunks_exact(width)
                .zip(kinds)
                .map(|(raw, kind)| Some((time(raw)?, usize::from(*kind))))
                .collect::<Option<_>>()?,
            offsets: rest.get(..self.offsets * 6)?.chunks_exact(6).map(offset).collect::<Option<_>>()?,
            rule: None,
        })
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (standard, rest) = Offset::parse(text, None, false)?;
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let (summer, rest) = Offset::parse(rest, Some(standard.seconds + 3600), true)?;
        let mut turns = rest.strip_prefix(',')?.split(',').map(Turn::parse);
        let summer = (summer, turns.next()??, turns.next()??);
        Some(Rule { standard, summer: Some(summer) })
    }

    fn offset(&self, time: i64) -> &Offset {
        let Some((summer, begin, end)) = &self.summer else { return &self.standard };
        let year = civil(time + self.standard.seconds).year;
        let begin = begin.at(year) - self.standard.seconds;
        let end = end.at(year) - summer.seconds;
        // South of the equator summer spans the new year.
        let is_summer = if begin < end { (begin..end).contains(&time) } else { !(end..begin).contains(&time) };
        if is_summer { summer } else { &self.standard }
    }
}

impl Offset {
    /// `CET-1` or `<+03>-3`; what follows. Without a number it is `default`.
    fn parse(text: &str, default: Option<i64>, is_summer: bool) -> Option<(Offset, &str)> {
        let (name, rest) = match text.strip_prefix('<') {
            Some(quoted) => quoted.split_once('>')?,
            None => text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())),
        };
        let (number, rest) = rest.split_at(rest.find(|c: char| !"+-0123456789:".contains(c)).unwrap_or(rest.len()));
        let seconds = if number.is_empty() { default? } else { -clock_time(number)? };
        (!name.is_empty()).then(|| (Offset { seconds, name: name.to_owned(), is_summer }, rest))
    }
}

impl Turn {
    fn parse(text: &str) -> Option<Turn> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let day = if let Some(weekday) = day.strip_prefix('M') {
            let mut parts = weekday.split('.').map(str::parse);
            Day::Weekday(parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?)
        } else if let Some(julian) = day.strip_prefix('J') {
            Day::Julian(julian.parse().ok()?)
        } else {
            Day::OfYear(day.parse().ok()?)
        };
        Some(Turn { day, seconds: clock_time(time)? })
    }

    /// Seconds since 1970 in local time.
    fn at(self, year: i64) -> i64 {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match self.day {
            Day::OfYear(day) => days_from(year, 1, 1) + day,
            Day::Julian(day) => days_from(year, 1, 1) + day - 1 + i64::from(is_leap && day > 59),
            Day::Weekday(month, week, weekday) => {
                let first = days_from(year, month, 1);
                let next = if month == 12 { days_from(year + 1, 1, 1) } else { days_from(year, month + 1, 1) };
                let day = first + (weekday - (first + 4)).rem_euclid(7) + (week - 1) * 7;
                if day >= next { day - 7 } else { day }
            }
        };
        days * DAY + self.seconds
    }
}

/// `-1`, `+5:30`, `2:00:00` as seconds.
fn clock_time(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text.trim_start_matches('+')), |text| (-1, text));
    let parts = text.split(':').map(str::parse).collect::<Result<Vec<i64>, _>>().ok()?;
    let [hours, minutes, seconds] = [0, 1, 2].map(|at| parts.get(at).copied().unwrap_or(0));
    Some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// Days since 1970 of a date. Years are counted from March, so that the leap day is the last one.
pub fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(seconds: i64) -> Moment {
    let days = seconds.div_euclid(DAY);
    let rest = seconds.rem_euclid(DAY);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Moment {
        year,
        month,
        day: of_year - (153 * march + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        weekday: (days + 4).rem_euclid(7),
        yearday: days - days_from(year, 1, 1) + 1,
        ..Moment::default()
    }
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Moment {
    /// As `strftime`: `%Y %m %d %H %M %S %f %A %w %W %j %z %Z`.
    pub fn format(&self, pattern: &str) -> String {
        let mut out = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            // Writing to a string cannot fail.
            let _ = match (c, if c == '%' { chars.next() } else { None }) {
                ('%', Some('Y')) => write!(out, "{:04}", self.year),
                ('%', Some('m')) => write!(out, "{:02}", self.month),
                ('%', Some('d')) => write!(out, "{:02}", self.day),
                ('%', Some('H')) => write!(out, "{:02}", self.hour),
                ('%', Some('M')) => write!(out, "{:02}", self.minute),
                ('%', Some('S')) => write!(out, "{:02}", self.second),
                ('%', Some('f')) => write!(out, "{:06}", self.micro),
                ('%', Some('w')) => write!(out, "{}", self.weekday),
                ('%', Some('W')) => write!(out, "{:02}", (self.yearday + 6 - (self.weekday + 6) % 7) / 7),
                ('%', Some('j')) => write!(out, "{:03}", self.yearday),
                ('%', Some('A')) => {
                    write!(out, "{}", usize::try_from(self.weekday).ok().and_then(|day| WEEKDAYS.get(day)).unwrap_or(&""))
                }
                ('%', Some('Z')) => write!(out, "{}", self.zone),
                ('%', Some('z')) => {
                    let minutes = self.offset.abs() / 60;
                    write!(out, "{}{:02}{:02}", if self.offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
                }
                (_, Some(other)) => write!(out, "{other}"),
                (other, None) => write!(out, "{other}"),
            };
        }
        out
    }
}

/// How long something took, as Python prints it: `0:00:00.003214`, `1 day, 2:03:04`.
pub fn duration_text(seconds: f64) -> String {
    let micros = (seconds.max(0.0) * 1e6).round() as i64;
    let whole = micros / 1_000_000;
    let days = match whole / DAY {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    let fraction = match micros % 1_000_000 {
        0 => String::new(),
        rest => format!(".{rest:06}"),
    };
    format!("{days}{}:{:02}:{:02}{fraction}", whole % DAY / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_in_utc_where_no_zone_is_known() {
        let moment = Clock::utc(1_795_257_181.25);
        assert_eq!(moment.format("%Y-%m-%d %H:%M:%S.%f %z %A %j %W"), "2026-11-21 10:33:01.250000 +0000 Saturday 325 46");
        assert_eq!(Clock::utc(951_782_400.0).format("%Y-%m-%d %Z"), "2000-02-29 UTC");
    }

    #[test]
    fn times_are_read_by_a_pattern() {
        let clock = Clock { rule: Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3"), ..Clock::default() };
        assert_eq!(clock.read("202607011200.30", "%Y%m%d%H%M.%S"), Some(1_782_900_030.0));
        assert_eq!(Clock::default().read("1970-01-02", "%Y-%m-%d"), Some(86_400.0));
        for bad in ["", "2026", "202613011200.30", "202601011200.30x"] {
            assert_eq!(clock.read(bad, "%Y%m%d%H%M.%S"), None, "{bad}");
        }
    }

    #[test]
    fn rules_say_when_summer_is() {
        let rule = Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let name = |time| rule.offset(time).name.as_str();
        // 2026-03-29 and 2026-10-25, 01:00 UTC.
        assert_eq!((name(1_774_745_999), name(1_774_746_000)), ("CET", "CEST"));
        assert_eq!((name(1_792_889_999), name(1_792_890_000)), ("CEST", "CET"));
        let south = Rule::parse("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
        assert_eq!(south.offset(1_767_225_600).name, "AEDT");
        assert_eq!(Rule::parse("<+0330>-3:30").unwrap().offset(0).seconds, 12_600);
        assert!(Rule::parse("nonsense!").is_none());
    }

    #[test]
    fn a_broken_zone_file_is_no_zone() {
        assert!(Clock::parse(b"").is_none());
        assert!(Clock::parse(b"TZif2").is_none());
        assert!(Clock::parse(&[b"TZif2".as_slice(), &[0xff; 100]].concat()).is_none());
    }

    #[test]
    fn durations_are_written_as_python_writes_them() {
        assert_eq!(duration_text(0.003_214), "0:00:00.003214");
        assert_eq!(duration_text(93_784.0), "1 day, 2:03:04");
    }
}
