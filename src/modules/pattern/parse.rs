//! Pattern text → tree.

use super::Flags;

/// Deeper nesting is refused: it would only serve to exhaust the stack.
const DEPTH_MAX: usize = 100;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Char {
        c: char,
        ignore_case: bool,
    },
    /// `.`
    Any {
        newline: bool,
    },
    Set(Set),
    Seq(Vec<Node>),
    Alt(Vec<Node>),
    Group(usize, Box<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    Assert(Assert),
    Backref {
        group: usize,
        ignore_case: bool,
    },
    Look {
        node: Box<Node>,
        behind: bool,
        negated: bool,
    },
    Atomic(Box<Node>),
    /// `(?(1)yes|no)`
    Cond {
        group: usize,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    TextStart,
    /// Also before a last newline.
    End,
    TextEnd,
    LineStart,
    LineEnd,
    WordEdge,
    NotWordEdge,
}

/// A set of characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) negated: bool,
    pub(super) ignore_case: bool,
    pub(super) ranges: Vec<(char, char)>,
    pub(super) classes: Vec<Class>,
}

/// `\d \w \s` and, negated, `\D \W \S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) letter: char,
    pub(super) negated: bool,
}

/// A pattern that was understood.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    /// The whole is group 0.
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
}

impl Class {
    fn of(c: char) -> Option<Class> {
        matches!(c, 'd' | 'w' | 's' | 'D' | 'W' | 'S')
            .then(|| Class { letter: c.to_ascii_lowercase(), negated: c.is_ascii_uppercase() })
    }

    pub(super) fn has(self, c: char) -> bool {
        let is_in = match self.letter {
            'd' => c.is_ascii_digit() || !c.is_ascii() && c.is_numeric(),
            'w' => is_word(c),
            _ => c.is_whitespace() || ('\x1c'..='\x1f').contains(&c),
        };
        is_in != self.negated
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Set {
    pub(super) fn has(&self, c: char) -> bool {
        let is_in = |c: char| {
            self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) || self.classes.iter().any(|class| class.has(c))
        };
        let found = is_in(c) || self.ignore_case && (is_in(lower(c)) || is_in(upper(c)));
        found != self.negated
    }
}

pub(super) fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    if lower.len() == 1 { lower.next().unwrap_or(c) } else { c }
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(c) } else { c }
}

pub(super) fn parse(text: &str, flags: Flags) -> Result<Parsed, String> {
    let mut parser = Parser { rest: text, flags, groups: 1, names: Vec::new(), open: Vec::new(), depth: 0 };
    let node = parser.alternatives()?;
    if parser.rest.starts_with(')') {
        return Err("unbalanced parenthesis".to_owned());
    }
    Ok(Parsed { node, groups: parser.groups, names: parser.names })
}

struct Parser<'a> {
    rest: &'a str,
    flags: Flags,
    groups: usize,
    names: Vec<(String, usize)>,
    /// Groups that are not closed yet: nothing may refer to them.
    open: Vec<usize>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Text up to `end`, which is eaten as well.
    fn until(&mut self, end: char) -> Result<&'a str, String> {
        let (text, rest) = self.rest.split_once(end).ok_or_else(|| format!("missing {end}, unterminated name"))?;
        self.rest = rest;
        Ok(text)
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.swap_remove(0) } else { Node::Alt(branches) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some('|' | ')') => return Ok(Node::Seq(nodes)),
                Some(_) => {}
            }
            if let Some(node) = self.atom()? {
                let node = self.repeated(node)?;
                nodes.push(node);
            }
        }
    }

    fn skip_blanks(&mut self) {
        while self.flags.verbose {
            match self.peek() {
                Some('#') => self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest),
                Some(c) if c.is_whitespace() => drop(self.next()),
                _ => break,
            }
        }
    }

    /// `None` for what matches nothing by itself, such as a comment.
    fn atom(&mut self) -> Result<Option<Node>, String> {
        let Flags { ignore_case, multi_line, dot_all, .. } = self.flags;
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '.' => Node::Any { newline: dot_all },
            '^' => Node::Assert(if multi_line { Assert::LineStart } else { Assert::TextStart }),
            '$' => Node::Assert(if multi_line { Assert::LineEnd } else { Assert::End }),
            '(' => return self.group(),
            '[' => Node::Set(self.set()?),
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err("nothing to repeat".to_owned()),
            c => Node::Char { c, ignore_case },
        }))
    }

    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        self.skip_blanks();
        let Some((min, max)) = self.quantifier()? else { return Ok(node) };
        if matches!(node, Node::Assert(_)) && max.is_none_or(|max| max > 1) && min > 1 {
            return Err("nothing to repeat".to_owned());
        }
        let is_possessive = self.eat("+");
        let greedy = !self.eat("?");
        let repeat = Node::Repeat { node: Box::new(node), min, max, greedy };
        self.skip_blanks();
        if self.quantifier()?.is_some() {
            return Err("multiple repeat".to_owned());
        }
        Ok(if is_possessive { Node::Atomic(Box::new(repeat)) } else { repeat })
    }

    /// Least and most; nothing where none stands here. `{` that is no quantifier is a character.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let simple = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.counted(),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(simple))
    }

    fn counted(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let Some((inner, rest)) = self.rest[1..].split_once('}') else { return Ok(None) };
        let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if inner.is_empty() || !is_number(low) || !is_number(high) {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| "the repetition number is too large".to_owned());
        let min = if low.is_empty() { 0 } else { number(low)? };
        let max = if high.is_empty() { None } else { Some(number(high)?) };
        if max.is_some_and(|max| max < min) {
            return Err("min repeat greater than max repeat".to_owned());
        }
        self.rest = rest;
        Ok(Some((min, max)))
    }

    fn group(&mut self) -> Result<Option<Node>, String> {
        if !self.eat("?") {
            return self.capture(None).map(Some);
        }
        if self.eat("#") {
            self.until(')')?;
            return Ok(None);
        }
        if self.eat("P<") {
            let name = self.until('>')?;
            return self.capture(Some(name)).map(Some);
        }
        if self.eat("P=") {
            let name = self.until(')')?;
            let group = self.number_of(name)?;
            return Ok(Some(Node::Backref { group, ignore_case: self.flags.ignore_case }));
        }
        if self.eat("(") {
            return self.conditional().map(Some);
        }
        for (opening, behind, negated) in [("<=", true, false), ("<!", true, true), ("=", false, false), ("!", false, true)] {
            if self.eat(opening) {
                let node = Box::new(self.inside(self.flags)?);
                return Ok(Some(Node::Look { node, behind, negated }));
            }
        }
        if self.eat(":") {
            return self.inside(self.flags).map(Some);
        }
        if self.eat(">") {
            return Ok(Some(Node::Atomic(Box::new(self.inside(self.flags)?))));
        }
        self.flag_group()
    }

    /// Up to and with the closing parenthesis, read with `flags`.
    fn inside(&mut self, flags: Flags) -> Result<Node, String> {
        let before = std::mem::replace(&mut self.flags, flags);
        let node = self.alternatives()?;
        self.flags = before;
        if self.eat(")") { Ok(node) } else { Err("missing ), unterminated subpattern".to_owned()) }
    }

    fn capture(&mut self, name: Option<&str>) -> Result<Node, String> {
        let number = self.groups;
        self.groups += 1;
        if let Some(name) = name {
            let is_name = name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
            if !is_name {
                return Err(format!("bad character in group name '{name}'"));
            }
            if self.names.iter().any(|(known, _)| known == name) {
                return Err(format!("redefinition of group name '{name}'"));
            }
            self.names.push((name.to_owned(), number));
        }
        self.open.push(number);
        let node = self.inside(self.flags)?;
        self.open.pop();
        Ok(Node::Group(number, Box::new(node)))
    }

    fn number_of(&self, name: &str) -> Result<usize, String> {
        let named = self.names.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
        named
            .or_else(|| name.parse().ok())
            .filter(|number| self.is_closed(*number))
            .ok_or_else(|| format!("unknown group name '{name}'"))
    }

    fn is_closed(&self, number: usize) -> bool {
        number > 0 && number < self.groups && !self.open.contains(&number)
    }

    fn conditional(&mut self) -> Result<Node, String> {
        let name = self.until(')')?;
        let group = self.number_of(name)?;
        let node = self.inside(self.flags)?;
        let (yes, no) = match node {
            Node::Alt(mut branches) if branches.len() == 2 => {
                let no = branches.pop().unwrap_or(Node::Seq(Vec::new()));
                (branches.swap_remove(0), no)
            }
            Node::Alt(_) => return Err("conditional backref with more than two branches".to_owned()),
            node => (node, Node::Seq(Vec::new())),
        };
        Ok(Node::Cond { group, yes: Box::new(yes), no: Box::new(no) })
    }

    /// `(?i)` for all that follows, `(?i:…)` and `(?-i:…)` for what is inside.
    fn flag_group(&mut self) -> Result<Option<Node>, String> {
        let mut flags = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('i') => flags.ignore_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('x') => flags.verbose = on,
                Some('a' | 'u' | 'L') if on => {}
                Some('-') if on => on = false,
                Some(':') => return self.inside(flags).map(Some),
                Some(')') if on => {
                    self.flags = flags;
                    return Ok(None);
                }
                _ => return Err("unknown extension".to_owned()),
            }
        }
    }

    fn escape(&mut self) -> Result<Node, String> {
        let ignore_case = self.flags.ignore_case;
        let Some(c) = self.peek() else { return Err("bad escape (end of pattern)".to_owned()) };
        if let Some(class) = Class::of(c) {
            self.next();
            return Ok(Node::Set(Set { classes: vec![class], ..Set::default() }));
        }
        let assert = match c {
            'A' => Some(Assert::TextStart),
            'Z' | 'z' => Some(Assert::TextEnd),
            'b' => Some(Assert::WordEdge),
            'B' => Some(Assert::NotWordEdge),
            _ => None,
        };
        if let Some(assert) = assert {
            self.next();
            return Ok(Node::Assert(assert));
        }
        if matches!(c, '1'..='9') {
            let width = self.rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
            let number: usize = self.rest[..width].parse().unwrap_or_default();
            self.rest = &self.rest[width..];
            let group = Some(number)
                .filter(|number| self.is_closed(*number))
                .ok_or_else(|| format!("invalid group reference {number}"))?;
            return Ok(Node::Backref { group, ignore_case });
        }
        Ok(Node::Char { c: self.escaped_char()?, ignore_case })
    }

    /// The character that an escape stands for, inside a set or outside.
    fn escaped_char(&mut self) -> Result<char, String> {
        let c = self.next().ok_or("bad escape (end of pattern)")?;
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\x0c',
            'v' => '\x0b',
            'a' => '\x07',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0' => '\0',
            c if c.is_ascii_alphanumeric() => return Err(format!("bad escape \\{c}")),
            c => c,
        })
    }

    fn code(&mut self, width: usize) -> Result<char, String> {
        let digits = self.rest.get(..width).ok_or("incomplete escape")?;
        let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or("incomplete escape")?;
        self.rest = &self.rest[width..];
        Ok(c)
    }

    fn set(&mut self) -> Result<Set, String> {
        let mut set = Set { negated: self.eat("^"), ignore_case: self.flags.ignore_case, ..Set::default() };
        let mut is_first = true;
        loop {
            let c = self.peek().ok_or("unterminated character set")?;
            if c == ']' && !is_first {
                self.next();
                return Ok(set);
            }
            is_first = false;
            let Some(first) = self.set_item(&mut set)? else { continue };
            let mut last = first;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                last = self.set_item(&mut set)?.ok_or("bad character range")?;
            }
            if last < first {
                return Err(format!("bad character range {first}-{last}"));
            }
            set.ranges.push((first, last));
        }
    }

    /// A character, or `None` where it was a class, which is put into the set.
    fn set_item(&mut self, set: &mut Set) -> Result<Option<char>, String> {
        let c = self.next().ok_or("unterminated character set")?;
        if c != '\\' {
            return Ok(Some(c));
        }
        match self.peek() {
            Some('b') => {
                self.next();
                Ok(Some('\x08'))
            }
            Some(c) if Class::of(c).is_some() => {
                self.next();
                set.classes.extend(Class::of(c));
                Ok(None)
            }
            _ => self.escaped_char().map(Some),
        }
    }
}
