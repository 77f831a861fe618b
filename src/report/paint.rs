//! Colours, and how wide text is.

/// Whether to colour, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    pub color: bool,
}

/// Ansible's colours by what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Ok,
    Changed,
    Skipped,
    Failed,
    Unreachable,
    Warning,
    Verbose,
    Retry,
    Added,
    Removed,
    Hunk,
    None,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Ok | Ink::Added => "0;32",
            Ink::Changed => "0;33",
            Ink::Skipped | Ink::Hunk => "0;36",
            Ink::Failed | Ink::Removed => "0;31",
            Ink::Unreachable => "1;31",
            Ink::Warning => "1;35",
            Ink::Verbose => "0;34",
            Ink::Retry => "1;30",
            Ink::None => "",
        }
    }
}

impl Paint {
    /// Each line of a text by itself, so that a cut log stays right.
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        if !self.color || ink == Ink::None {
            return text.to_owned();
        }
        let lines: Vec<String> = text.split('\n').map(|line| format!("\x1b[{}m{line}\x1b[0m", ink.code())).collect();
        lines.join("\n")
    }
}

/// Columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The beginning of a text that fits, with `…` where something was cut.
pub(super) fn cut(text: &str, columns_max: usize) -> String {
    if width(text) <= columns_max {
        return text.to_owned();
    }
    let mut used = 1;
    let fitting = text.chars().take_while(|letter| {
        used += columns(*letter);
        used <= columns_max
    });
    fitting.collect::<String>() + "…"
}

/// Text of a host on one line of a terminal: nothing that moves the cursor.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

fn columns(letter: char) -> usize {
    match letter as u32 {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(width("日本 é"), 6);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(one_line("a\x1b[1mb\n"), "a [1mb");
    }

    #[test]
    fn every_line_is_coloured_by_itself() {
        assert_eq!(Paint { color: true }.ink(Ink::Ok, "a\nb"), "\x1b[0;32ma\x1b[0m\n\x1b[0;32mb\x1b[0m");
        assert_eq!(Paint::default().ink(Ink::Ok, "a"), "a");
    }
}
