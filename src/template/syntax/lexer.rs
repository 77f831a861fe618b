//! Template text as tokens, with Jinja's whitespace control already applied.

use super::tree::Spot;
use super::{Style, SyntaxError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text between the blocks.
    Data(String),
    /// `{{`
    OutputStart,
    OutputEnd,
    /// `{%`
    BlockStart,
    BlockEnd,
    Name(String),
    Text(String),
    Int(i64),
    Float(f64),
    /// An operator or bracket as it is written.
    Mark(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) at: Spot,
}

/// Longest first.
const MARKS: [&str; 26] = [
    "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".", ":", "|",
    ",", ";",
];

#[derive(Clone, Copy, PartialEq)]
enum Opening {
    Output,
    Block,
    Comment,
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
    style: &'t Style,
    tokens: Vec<Lexed>,
    /// Where each kind of tag opens next, as far as it was looked for: looking again from every tag would take the square of the
    /// text's length.
    openings: [Next; 3],
}

#[derive(Clone, Copy)]
enum Next {
    Unknown,
    At(usize),
    Never,
}

/// Tokens of a whole template.
pub(super) fn template_tokens(text: &str, style: &Style) -> Result<Vec<Lexed>, SyntaxError> {
    let mut lexer = Lexer::new(text, style);
    lexer.template()?;
    Ok(lexer.finish())
}

/// Tokens of a bare expression.
pub(super) fn expression_tokens(text: &str, style: &Style) -> Result<Vec<Lexed>, SyntaxError> {
    let mut lexer = Lexer::new(text, style);
    let mut open = Vec::new();
    while lexer.skip_space() {
        lexer.token(&mut open)?;
    }
    match open.last() {
        Some((_, bracket_at)) => lexer.fail(*bracket_at, "this bracket is never closed"),
        None => Ok(lexer.finish()),
    }
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str, style: &'t Style) -> Lexer<'t> {
        // As many tokens as templates have; more are no trouble.
        let tokens = Vec::with_capacity(text.len() / 4 + 2);
        Lexer { text, position: 0, style, tokens, openings: [Next::Unknown; 3] }
    }

    fn finish(mut self) -> Vec<Lexed> {
        let end = self.text.len();
        self.push(Token::End, end);
        self.tokens
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn push(&mut self, token: Token, start: usize) {
        let at = spot(start, self.position.max(start));
        self.tokens.push(Lexed { token, at });
    }

    fn fail<T>(&self, start: usize, reason: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { reason: reason.into(), at: spot(start, self.text.len().min(start + 1)) })
    }

    fn template(&mut self) -> Result<(), SyntaxError> {
        while let Some((offset, opening, length)) = self.next_opening() {
            let data_start = self.position;
            let start = data_start + offset;
            let sign = self.text[start + length..].chars().next();
            let data = &self.text[data_start..start];
            let data = self.trim_before(data, data_start, opening, sign);
            self.data(data, data_start);
            self.position = start + length + usize::from(matches!(sign, Some('-' | '+')));
            match opening {
                Opening::Comment => self.comment(start)?,
                Opening::Output => self.output(start)?,
                Opening::Block => self.block(start)?,
            }
        }
        let (rest, start) = (self.rest(), self.position);
        self.position = self.text.len();
        self.data(rest, start);
        Ok(())
    }

    fn data(&mut self, data: &str, start: usize) {
        if !data.is_empty() {
            let at = spot(start, start + data.len());
            self.tokens.push(Lexed { token: Token::Data(data.to_owned()), at });
        }
    }

    /// The nearest opening delimiter; of several at one place the longest.
    fn next_opening(&mut self) -> Option<(usize, Opening, usize)> {
        let style = self.style;
        let marks = [(&style.output.0, Opening::Output), (&style.block.0, Opening::Block), (&style.comment.0, Opening::Comment)];
        let mut nearest: Option<(usize, Opening, usize)> = None;
        for (index, (mark, opening)) in marks.into_iter().enumerate() {
            let Some(at) = self.opening_of(index, mark) else { continue };
            let offset = at - self.position;
            let is_nearer = nearest.is_none_or(|(other, _, length)| offset < other || (offset == other && mark.len() > length));
            if is_nearer {
                nearest = Some((offset, opening, mark.len()));
            }
        }
        nearest
    }

    fn opening_of(&mut self, index: usize, mark: &str) -> Option<usize> {
        let next = match self.openings[index] {
            Next::At(at) if at >= self.position => return Some(at),
            Next::Never => return None,
            Next::At(_) | Next::Unknown => self.rest().find(mark).map(|offset| self.position + offset),
        };
        self.openings[index] = next.map_or(Next::Never, Next::At);
        next
    }

    fn trim_before<'d>(&self, data: &'d str, data_start: usize, opening: Opening, sign: Option<char>) -> &'d str {
        if sign == Some('-') {
            return data.trim_end();
        }
        if !self.style.lstrip_blocks || sign == Some('+') || opening == Opening::Output {
            return data;
        }
        let line_start = data.rfind('\n').map_or(0, |newline| newline + 1);
        let is_line_start = line_start > 0 || data_start == 0 || self.text[..data_start].ends_with('\n');
        let is_blank = data[line_start..].chars().all(char::is_whitespace);
        if is_line_start && is_blank { &data[..line_start] } else { data }
    }

    /// After a closing delimiter: `-` removes all space, blocks and comments remove one newline when asked to.
    fn trim_after(&mut self, sign: Option<char>, is_output: bool) {
        if sign == Some('-') {
            let rest = self.rest();
            self.position += rest.len() - rest.trim_start().len();
        } else if !is_output && self.style.trim_blocks && sign != Some('+') && self.rest().starts_with('\n') {
            self.position += 1;
        }
    }

    fn comment(&mut self, start: usize) -> Result<(), SyntaxError> {
        let close = &self.style.comment.1;
        let Some(offset) = self.rest().find(close.as_str()) else {
            return self.fail(start, "missing end of comment tag");
        };
        let sign = self.rest()[..offset].chars().next_back().filter(|sign| matches!(sign, '-' | '+'));
        self.position += offset + close.len();
        self.trim_after(sign, false);
        Ok(())
    }

    fn output(&mut self, start: usize) -> Result<(), SyntaxError> {
        self.push(Token::OutputStart, start);
        self.inside(start, Opening::Output)
    }

    fn block(&mut self, start: usize) -> Result<(), SyntaxError> {
        if let Some(length) = self.raw_opening() {
            return self.raw(start, length);
        }
        self.push(Token::BlockStart, start);
        self.inside(start, Opening::Block)
    }

    /// Tokens up to the closing delimiter.
    fn inside(&mut self, start: usize, opening: Opening) -> Result<(), SyntaxError> {
        let is_output = opening == Opening::Output;
        let close = if is_output { &self.style.output.1 } else { &self.style.block.1 };
        let mut open = Vec::new();
        while self.skip_space() {
            if let Some((length, sign)) = closing(self.rest(), close).filter(|_| open.is_empty()) {
                let end_start = self.position;
                self.position += length;
                self.push(if is_output { Token::OutputEnd } else { Token::BlockEnd }, end_start);
                self.trim_after(sign, is_output);
                return Ok(());
            }
            self.token(&mut open)?;
        }
        if let Some((_, bracket_at)) = open.last() {
            return self.fail(*bracket_at, "this bracket is never closed");
        }
        let what = if is_output { "end of print statement" } else { "end of statement block" };
        self.fail(start, format!("unexpected end of template, expected '{what}'"))
    }

    /// The length of ` raw %}` when this block is one.
    fn raw_opening(&self) -> Option<usize> {
        self.keyword_block(self.rest(), "raw")
    }

    fn keyword_block(&self, rest: &str, keyword: &str) -> Option<usize> {
        let after = rest.trim_start().strip_prefix(keyword)?;
        let tail = after.trim_start();
        let (length, _) = closing(tail, &self.style.block.1)?;
        Some(rest.len() - tail.len() + length)
    }

    fn raw(&mut self, start: usize, opening_length: usize) -> Result<(), SyntaxError> {
        let sign =
            self.rest()[..opening_length].strip_suffix(self.style.block.1.as_str()).and_then(|head| head.chars().next_back());
        self.position += opening_length;
        self.trim_after(sign, true);
        let body_start = self.position;
        let mut search = body_start;
        while let Some(offset) = self.text[search..].find(self.style.block.0.as_str()) {
            let mark = search + offset;
            let after = mark + self.style.block.0.len();
            let sign = self.text[after..].chars().next().filter(|sign| matches!(sign, '-' | '+'));
            let keyword_start = after + usize::from(sign.is_some());
            if let Some(length) = self.keyword_block(&self.text[keyword_start..], "endraw") {
                let data = self.trim_before(&self.text[body_start..mark], body_start, Opening::Block, sign);
                self.data(data, body_start);
                let end_sign = self.text[keyword_start..keyword_start + length]
                    .strip_suffix(self.style.block.1.as_str())
                    .and_then(|head| head.chars().next_back());
                self.position = keyword_start + length;
                self.trim_after(end_sign, false);
                return Ok(());
            }
            search = after;
        }
        self.fail(start, "missing end of raw directive")
    }

    /// Moves to the next token; `false` at the end of the text.
    fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
        self.position < self.text.len()
    }

    fn token(&mut self, open: &mut Vec<(char, usize)>) -> Result<(), SyntaxError> {
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '_' || first.is_alphabetic() {
            let length = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
            self.position += length;
            self.push(Token::Name(rest[..length].to_owned()), start);
            return Ok(());
        }
        if matches!(first, '\'' | '"') {
            return self.string(first);
        }
        let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) else {
            return self.fail(start, format!("unexpected char {first:?}"));
        };
        self.balance(mark, start, open)?;
        self.position += mark.len();
        self.push(Token::Mark(mark), start);
        Ok(())
    }

    fn balance(&self, mark: &str, start: usize, open: &mut Vec<(char, usize)>) -> Result<(), SyntaxError> {
        let opens = match mark {
            "(" => Some(')'),
            "[" => Some(']'),
            "{" => Some('}'),
            _ => None,
        };
        if let Some(expected) = opens {
            open.push((expected, start));
            return Ok(());
        }
        let closes = match mark {
            ")" => ')',
            "]" => ']',
            "}" => '}',
            _ => return Ok(()),
        };
        match open.pop() {
            Some((expected, _)) if expected == closes => Ok(()),
            Some((expected, _)) => self.fail(start, format!("unexpected '{closes}', expected '{expected}'")),
            None => self.fail(start, format!("unexpected '{closes}'")),
        }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.position;
        let rest = self.rest();
        let lower = rest.get(..2).unwrap_or("").to_ascii_lowercase();
        let radix = match lower.as_str() {
            "0x" => 16,
            "0o" => 8,
            "0b" => 2,
            _ => 10,
        };
        if radix != 10 {
            let length = 2 + rest[2..].find(|c: char| !(c == '_' || c.is_digit(radix))).unwrap_or(rest.len() - 2);
            self.position += length;
            return self.integer(&rest[2..length].replace('_', ""), radix, start);
        }
        let is_index = start > 0 && self.text[..start].ends_with('.');
        let digits = digits_length(rest);
        let length = if is_index { digits } else { float_length(rest).unwrap_or(digits) };
        self.position += length;
        let text = rest[..length].replace('_', "");
        if length == digits {
            return self.integer(&text, 10, start);
        }
        match text.parse() {
            Ok(number) => self.push(Token::Float(number), start),
            Err(_) => return self.fail(start, "not a number"),
        }
        Ok(())
    }

    fn integer(&mut self, digits: &str, radix: u32, start: usize) -> Result<(), SyntaxError> {
        match i64::from_str_radix(digits, radix) {
            Ok(number) => self.push(Token::Int(number), start),
            Err(_) => return self.fail(start, format!("the number {digits} does not fit into 64 bits")),
        }
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), SyntaxError> {
        let start = self.position;
        let body = &self.rest()[1..];
        let mut is_escaped = false;
        for (offset, c) in body.char_indices() {
            if is_escaped {
                is_escaped = false;
            } else if c == '\\' {
                is_escaped = true;
            } else if c == quote {
                self.position += offset + 2;
                let text = if self.style.raw_strings { body[..offset].to_owned() } else { unescape(&body[..offset]) };
                self.push(Token::Text(text), start);
                return Ok(());
            }
        }
        self.fail(start, "this string is never closed")
    }
}

fn spot(start: usize, end: usize) -> Spot {
    let short = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Spot { start: short(start), end: short(end) }
}

/// Length and sign of a closing delimiter.
fn closing(rest: &str, close: &str) -> Option<(usize, Option<char>)> {
    if rest.starts_with(close) {
        return Some((close.len(), None));
    }
    let sign = rest.chars().next().filter(|sign| matches!(sign, '-' | '+'))?;
    rest[1..].starts_with(close).then_some((close.len() + 1, Some(sign)))
}

fn digits_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let is_separator = *byte == b'_' && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_digit() && !is_separator {
            break;
        }
        length += 1;
    }
    length
}

/// The length of a float at the start of `text`, if there is one.
fn float_length(text: &str) -> Option<usize> {
    let mut length = digits_length(text);
    let mut is_float = false;
    if text[length..].starts_with('.') {
        let fraction = digits_length(&text[length + 1..]);
        if fraction > 0 {
            length += 1 + fraction;
            is_float = true;
        }
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits_length(&text[length + 1 + sign..]);
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_float = true;
        }
    }
    is_float.then_some(length)
}

/// Python's escapes.
fn unescape(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(position) = rest.find('\\') {
        out.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        let Some(escape) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        rest = &rest[escape.len_utf8()..];
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            'x' => rest = push_code(&mut out, rest, 'x', 2, 16),
            'u' => rest = push_code(&mut out, rest, 'u', 4, 16),
            'U' => rest = push_code(&mut out, rest, 'U', 8, 16),
            '0'..='7' => {
                let digits = 1 + rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                let code = u32::from_str_radix(&format!("{escape}{}", &rest[..digits - 1]), 8).unwrap_or(0);
                out.extend(char::from_u32(code));
                rest = &rest[digits - 1..];
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    out
}

/// Pushes the character with the code that follows, or the escape as it was written when there is none.
fn push_code<'r>(out: &mut String, rest: &'r str, letter: char, digits: usize, radix: u32) -> &'r str {
    let code = rest.get(..digits).and_then(|code| u32::from_str_radix(code, radix).ok()).and_then(char::from_u32);
    match code {
        Some(c) => {
            out.push(c);
            &rest[digits..]
        }
        None => {
            out.push('\\');
            out.push(letter);
            rest
        }
    }
}
