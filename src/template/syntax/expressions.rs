//! The grammar of expressions.

use super::SyntaxError;
use super::lexer::{Lexed, Token};
use super::tree::{
    Arguments, Bounds, Choice, Comparison, Const, Expr, ExprKind, FilterCall, Name, Operator, Spot, Target, TestCall,
};

/// Deeper nesting is refused: it would only exhaust the stack.
const DEPTH_MAX: usize = 60;
/// How many links chains may have in one expression, all in all. A list of many short items has links as well.
const LINKS_MAX: usize = 1500;

pub(super) struct Parser {
    tokens: Vec<Lexed>,
    next: usize,
    depth: usize,
    /// Links of chains (`a | b | c`, `1 + 1 + 1`) in this tag, and the token of the last one.
    links: usize,
    linked_at: usize,
    /// The blocks that are open, for messages: tag and what ends it.
    pub(super) open: Vec<(&'static str, &'static [&'static str])>,
    pub(super) blocks: Vec<std::sync::Arc<super::tree::Block>>,
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

impl Parser {
    pub(super) fn new(tokens: Vec<Lexed>) -> Parser {
        Parser { tokens, next: 0, depth: 0, links: 0, linked_at: 0, open: Vec::new(), blocks: Vec::new() }
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |lexed| &lexed.token)
    }

    fn peek_second(&self) -> &Token {
        self.tokens.get(self.next + 1).map_or(&Token::End, |lexed| &lexed.token)
    }

    pub(super) fn at(&self) -> Spot {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(Spot::default(), |lexed| lexed.at)
    }

    /// Where the token before ends.
    pub(super) fn last_at(&self) -> Spot {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(Spot::default(), |lexed| lexed.at)
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { reason: reason.into(), at: self.at() })
    }

    pub(super) fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Token::Mark(other) if *other == mark)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(other) if other == name)
    }

    pub(super) fn skip_mark(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.next += usize::from(found);
        found
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect_mark(&mut self, mark: &str) -> Parsed<()> {
        if self.skip_mark(mark) {
            return Ok(());
        }
        self.fail(format!("expected token '{mark}', got {}", describe(self.peek())))
    }

    pub(super) fn expect_name(&mut self) -> Parsed<Name> {
        if let Token::Name(name) = self.peek() {
            let name = name.as_str().into();
            self.next += 1;
            return Ok(name);
        }
        self.fail(format!("expected token 'name', got {}", describe(self.peek())))
    }

    fn expr(&self, start: Spot, kind: ExprKind) -> Expr {
        Expr { at: start.to(self.last_at()), kind }
    }

    /// One level deeper, or an error.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.fail(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// One link more of a chain: every link is a level of the tree, which is walked by recursion.
    fn link(&mut self) -> Parsed<()> {
        let passed = self.tokens.get(self.linked_at..self.next).unwrap_or_default();
        if passed.iter().any(|lexed| matches!(lexed.token, Token::OutputEnd | Token::BlockEnd)) {
            self.links = 0;
        }
        self.linked_at = self.next;
        self.links += 1;
        if self.links > LINKS_MAX {
            return self.fail(format!("chains of more than {LINKS_MAX} links in one expression"));
        }
        Ok(())
    }

    pub(super) fn whole_expression(&mut self) -> Parsed<Expr> {
        let expr = self.tuple(true, &[])?;
        if *self.peek() != Token::End {
            return self.fail(format!("expected token 'end of template', got {}", describe(self.peek())));
        }
        Ok(expr)
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(Parser::conditional)
    }

    fn conditional(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let mut expr = self.or()?;
        while self.skip_name("if") {
            self.link()?;
            let test = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.deeper(Parser::conditional)?) } else { None };
            expr = self.expr(start, ExprKind::If(Box::new(Choice { test, then: expr, otherwise })));
        }
        Ok(expr)
    }

    fn or(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let mut left = self.and()?;
        while self.skip_name("or") {
            self.link()?;
            let right = self.and()?;
            left = self.expr(start, ExprKind::Or(Box::new((left, right))));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let mut left = self.not()?;
        while self.skip_name("and") {
            self.link()?;
            let right = self.not()?;
            left = self.expr(start, ExprKind::And(Box::new((left, right))));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let start = self.at();
        if self.skip_name("not") {
            let inner = self.deeper(Parser::not)?;
            return Ok(self.expr(start, ExprKind::Not(Box::new(inner))));
        }
        self.compare()
    }

    fn compare(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(self.expr(start, ExprKind::Compare(Box::new(first), rest)))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Token::Mark("==") => Comparison::Equal,
            Token::Mark("!=") => Comparison::Unequal,
            Token::Mark("<") => Comparison::Less,
            Token::Mark("<=") => Comparison::LessOrEqual,
            Token::Mark(">") => Comparison::Greater,
            Token::Mark(">=") => Comparison::GreaterOrEqual,
            Token::Name(name) if name == "in" => Comparison::In,
            Token::Name(name) if name == "not" && *self.peek_second() == Token::Name("in".to_owned()) => {
                self.next += 1;
                Comparison::NotIn
            }
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Parsed<Expr> {
        self.binary(Parser::concat, |mark| match mark {
            "+" => Some(Operator::Add),
            "-" => Some(Operator::Sub),
            _ => None,
        })
    }

    fn concat(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let first = self.product()?;
        if !self.is_mark("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_mark("~") {
            parts.push(self.product()?);
        }
        Ok(self.expr(start, ExprKind::Concat(parts)))
    }

    fn product(&mut self) -> Parsed<Expr> {
        self.binary(Parser::power, |mark| match mark {
            "*" => Some(Operator::Mul),
            "/" => Some(Operator::Div),
            "//" => Some(Operator::FloorDiv),
            "%" => Some(Operator::Mod),
            _ => None,
        })
    }

    fn power(&mut self) -> Parsed<Expr> {
        self.binary(Parser::filtered_unary, |mark| (mark == "**").then_some(Operator::Pow))
    }

    fn binary(&mut self, inner: fn(&mut Parser) -> Parsed<Expr>, operator: fn(&str) -> Option<Operator>) -> Parsed<Expr> {
        let start = self.at();
        let mut left = inner(self)?;
        loop {
            let found = match self.peek() {
                Token::Mark(mark) => operator(mark),
                _ => None,
            };
            let Some(operator) = found else { return Ok(left) };
            self.link()?;
            self.next += 1;
            let right = inner(self)?;
            left = self.expr(start, ExprKind::Binary(operator, Box::new((left, right))));
        }
    }

    fn filtered_unary(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let operand = self.unary()?;
        self.filters_and_tests(operand, start)
    }

    /// `-x.y` negates `x.y`; filters come after the sign.
    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let operand = if self.skip_mark("-") {
            let inner = self.deeper(Parser::unary)?;
            self.expr(start, ExprKind::Negative(Box::new(inner)))
        } else if self.skip_mark("+") {
            let inner = self.deeper(Parser::unary)?;
            self.expr(start, ExprKind::Positive(Box::new(inner)))
        } else {
            self.primary()?
        };
        self.postfix(operand, start)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let token = self.peek().clone();
        let kind = match token {
            Token::Name(name) => {
                self.next += 1;
                name_or_const(&name)
            }
            Token::Text(text) => {
                self.next += 1;
                ExprKind::Const(Const::Text(self.adjacent_strings(text).into()))
            }
            Token::Int(number) => {
                self.next += 1;
                ExprKind::Const(Const::Int(number))
            }
            Token::Float(number) => {
                self.next += 1;
                ExprKind::Const(Const::Float(number))
            }
            Token::Mark("(") => {
                self.next += 1;
                let inner = self.deeper(|parser| parser.parenthesised(start))?;
                return Ok(inner);
            }
            Token::Mark("[") => {
                self.next += 1;
                ExprKind::List(self.deeper(|parser| parser.separated("]"))?)
            }
            Token::Mark("{") => {
                self.next += 1;
                self.deeper(Parser::dict)?
            }
            other => return self.fail(format!("unexpected {}", describe(&other))),
        };
        Ok(self.expr(start, kind))
    }

    fn adjacent_strings(&mut self, first: String) -> String {
        let mut text = first;
        while let Token::Text(more) = self.peek() {
            text.push_str(more);
            self.next += 1;
        }
        text
    }

    fn parenthesised(&mut self, start: Spot) -> Parsed<Expr> {
        if self.skip_mark(")") {
            return Ok(self.expr(start, ExprKind::Tuple(Vec::new())));
        }
        let inner = self.tuple(true, &[])?;
        self.expect_mark(")")?;
        Ok(Expr { at: start.to(self.last_at()), kind: inner.kind })
    }

    /// One expression, or several with commas between. `ends` are names that end it.
    pub(super) fn tuple(&mut self, with_condition: bool, ends: &[&str]) -> Parsed<Expr> {
        let start = self.at();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if self.is_tuple_end(ends) {
                break;
            }
            items.push(if with_condition { self.expression()? } else { self.deeper(Parser::or)? });
            if !self.skip_mark(",") {
                break;
            }
            is_tuple = true;
        }
        if is_tuple {
            return Ok(self.expr(start, ExprKind::Tuple(items)));
        }
        match items.pop() {
            Some(only) => Ok(only),
            None => self.fail(format!("expected an expression, got {}", describe(self.peek()))),
        }
    }

    fn is_tuple_end(&self, ends: &[&str]) -> bool {
        match self.peek() {
            Token::OutputEnd | Token::BlockEnd | Token::End | Token::Mark(")") => true,
            Token::Name(name) => ends.contains(&name.as_str()),
            _ => false,
        }
    }

    fn separated(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.skip_mark(close) {
            if !items.is_empty() {
                self.expect_mark(",")?;
                if self.skip_mark(close) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn dict(&mut self) -> Parsed<ExprKind> {
        let mut entries = Vec::new();
        while !self.skip_mark("}") {
            if !entries.is_empty() {
                self.expect_mark(",")?;
                if self.skip_mark("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_mark(":")?;
            entries.push((key, self.expression()?));
        }
        Ok(ExprKind::Dict(entries))
    }

    fn postfix(&mut self, operand: Expr, start: Spot) -> Parsed<Expr> {
        let mut expr = operand;
        loop {
            self.link()?;
            let kind = if self.skip_mark(".") {
                self.attribute(expr)?
            } else if self.skip_mark("[") {
                self.deeper(|parser| parser.subscript(expr))?
            } else if self.is_mark("(") {
                let args = self.deeper(Parser::arguments)?;
                ExprKind::Call(Box::new(expr), args)
            } else {
                self.links -= 1;
                return Ok(expr);
            };
            expr = self.expr(start, kind);
        }
    }

    fn attribute(&mut self, of: Expr) -> Parsed<ExprKind> {
        let at = self.at();
        match self.take() {
            Token::Name(name) => Ok(ExprKind::Attr(Box::new(of), name.into())),
            Token::Int(index) => {
                let index = Expr { at, kind: ExprKind::Const(Const::Int(index)) };
                Ok(ExprKind::Item(Box::new(of), Box::new(index)))
            }
            _ => Err(SyntaxError { reason: "expected name or number".to_owned(), at }),
        }
    }

    fn subscript(&mut self, of: Expr) -> Parsed<ExprKind> {
        let start = if self.is_mark(":") { None } else { Some(self.expression()?) };
        if !self.is_mark(":") {
            self.expect_mark("]")?;
            let Some(index) = start else { return self.fail("expected subscript expression") };
            return Ok(ExprKind::Item(Box::new(of), Box::new(index)));
        }
        self.next += 1;
        let stop = if self.is_mark(":") || self.is_mark("]") { None } else { Some(self.expression()?) };
        let has_step = self.skip_mark(":") && !self.is_mark("]");
        let step = if has_step { Some(self.expression()?) } else { None };
        self.expect_mark("]")?;
        Ok(ExprKind::Slice(Box::new(of), Box::new(Bounds { start, stop, step })))
    }

    pub(super) fn arguments(&mut self) -> Parsed<Arguments> {
        self.expect_mark("(")?;
        let mut args = Arguments::default();
        let mut is_first = true;
        while !self.skip_mark(")") {
            if !is_first {
                self.expect_mark(",")?;
                if self.skip_mark(")") {
                    break;
                }
            }
            is_first = false;
            self.argument(&mut args)?;
        }
        Ok(args)
    }

    fn argument(&mut self, args: &mut Arguments) -> Parsed<()> {
        if self.skip_mark("**") {
            args.named_splat = Some(Box::new(self.expression()?));
        } else if self.skip_mark("*") {
            args.splat = Some(Box::new(self.expression()?));
        } else if matches!(self.peek(), Token::Name(_)) && *self.peek_second() == Token::Mark("=") {
            if let Token::Name(name) = self.peek()
                && args.named.iter().any(|(other, _)| **other == **name)
            {
                return self.fail(format!("keyword argument repeated: {name}"));
            }
            let name = self.expect_name()?;
            self.next += 1;
            args.named.push((name, self.expression()?));
        } else if !args.named.is_empty() || args.splat.is_some() || args.named_splat.is_some() {
            return self.fail("invalid syntax for function call expression");
        } else {
            args.positional.push(self.expression()?);
        }
        Ok(())
    }

    fn filters_and_tests(&mut self, operand: Expr, start: Spot) -> Parsed<Expr> {
        let mut expr = operand;
        loop {
            self.link()?;
            let kind = if self.is_mark("|") {
                self.filter(Some(expr))?
            } else if self.skip_name("is") {
                self.test(expr)?
            } else if self.is_mark("(") {
                let args = self.deeper(Parser::arguments)?;
                ExprKind::Call(Box::new(expr), args)
            } else {
                self.links -= 1;
                return Ok(expr);
            };
            expr = self.expr(start, kind);
        }
    }

    /// A chain `upper | trim` without the value it filters.
    pub(super) fn filter_chain(&mut self, input: Option<Expr>) -> Parsed<Expr> {
        let start = self.at();
        let kind = self.filter_named(input)?;
        let mut expr = self.expr(start, kind);
        while self.is_mark("|") {
            self.link()?;
            let kind = self.filter(Some(expr))?;
            expr = self.expr(start, kind);
        }
        Ok(expr)
    }

    fn filter(&mut self, input: Option<Expr>) -> Parsed<ExprKind> {
        self.expect_mark("|")?;
        self.filter_named(input)
    }

    fn filter_named(&mut self, input: Option<Expr>) -> Parsed<ExprKind> {
        let (name, name_at) = self.dotted_name()?;
        let args = if self.is_mark("(") { self.deeper(Parser::arguments)? } else { Arguments::default() };
        Ok(ExprKind::Filter(Box::new(FilterCall { input, name, name_at, args })))
    }

    fn test(&mut self, input: Expr) -> Parsed<ExprKind> {
        let start = self.at();
        let is_negated = self.skip_name("not");
        let (name, name_at) = self.dotted_name()?;
        let args = self.test_arguments()?;
        let kind = ExprKind::Test(Box::new(TestCall { input, name, name_at, args }));
        if is_negated {
            let inner = self.expr(start, kind);
            return Ok(ExprKind::Not(Box::new(inner)));
        }
        Ok(kind)
    }

    fn test_arguments(&mut self) -> Parsed<Arguments> {
        if self.is_mark("(") {
            return self.deeper(Parser::arguments);
        }
        let takes_one = match self.peek() {
            Token::Name(name) => !matches!(name.as_str(), "else" | "or" | "and" | "is" | "if" | "in" | "not"),
            Token::Text(_) | Token::Int(_) | Token::Float(_) => true,
            Token::Mark(mark) => matches!(*mark, "[" | "{"),
            _ => false,
        };
        if self.is_name("is") {
            return self.fail("you cannot chain multiple tests with is");
        }
        let mut args = Arguments::default();
        if takes_one {
            let start = self.at();
            let operand = self.primary()?;
            args.positional.push(self.postfix(operand, start)?);
        }
        Ok(args)
    }

    /// `name` or `collection.of.name`.
    fn dotted_name(&mut self) -> Parsed<(Name, Spot)> {
        let start = self.at();
        let mut name = self.expect_name()?.to_string();
        while self.is_mark(".") {
            self.next += 1;
            name.push('.');
            name.push_str(&self.expect_name()?);
        }
        Ok((name.into(), start.to(self.last_at())))
    }

    /// What is assigned to. `with_attributes` allows `namespace.attribute`.
    pub(super) fn target(&mut self, with_attributes: bool, is_nested: bool) -> Parsed<Target> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if self.is_mark("(") {
                self.next += 1;
                items.push(self.deeper(|parser| parser.target(with_attributes, true))?);
                self.expect_mark(")")?;
            } else {
                items.push(self.single_target(with_attributes)?);
            }
            if !self.skip_mark(",") {
                break;
            }
            is_tuple = true;
            let is_end = self.is_name("in") || self.is_mark("=") || (is_nested && self.is_mark(")"));
            if is_end {
                break;
            }
        }
        match items.pop() {
            Some(only) if !is_tuple => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Target::Tuple(items))
            }
            None => self.fail("expected a name to assign to"),
        }
    }

    pub(super) fn single_target(&mut self, with_attributes: bool) -> Parsed<Target> {
        if let Token::Name(name) = self.peek()
            && matches!(name.as_str(), "true" | "True" | "false" | "False" | "none" | "None")
        {
            return self.fail("can't assign to 'const'");
        }
        let name = self.expect_name()?;
        if with_attributes && self.skip_mark(".") {
            return Ok(Target::Attr(name, self.expect_name()?));
        }
        Ok(Target::Name(name))
    }
}

fn name_or_const(name: &str) -> ExprKind {
    match name {
        "true" | "True" => ExprKind::Const(Const::Bool(true)),
        "false" | "False" => ExprKind::Const(Const::Bool(false)),
        "none" | "None" => ExprKind::Const(Const::None),
        other => ExprKind::Name(other.into()),
    }
}

/// A token as messages name it.
pub(super) fn describe(token: &Token) -> String {
    match token {
        Token::Data(_) => "'template data'".to_owned(),
        Token::OutputStart => "'begin of print statement'".to_owned(),
        Token::OutputEnd => "'end of print statement'".to_owned(),
        Token::BlockStart => "'begin of statement block'".to_owned(),
        Token::BlockEnd => "'end of statement block'".to_owned(),
        Token::Name(name) => format!("'{name}'"),
        Token::Text(text) => format!("string '{text}'"),
        Token::Int(number) => format!("'{number}'"),
        Token::Float(number) => format!("'{number}'"),
        Token::Mark(mark) => format!("'{mark}'"),
        Token::End => "'end of template'".to_owned(),
    }
}
