//! The grammar of statements.

use super::SyntaxError;
use super::expressions::{Parsed, Parser, describe};
use super::lexer::Token;
use super::tree::{Block, Body, Expr, ExprKind, ForLoop, MacroDef, Name, Stmt, StmtKind, Target};
use super::used_names;
use std::sync::Arc;

impl Parser {
    pub(super) fn whole_template(&mut self) -> Parsed<Body> {
        self.body(&[])
    }

    /// Statements up to a block that starts with one of `ends`; that name is next when this returns.
    fn body(&mut self, ends: &[&str]) -> Parsed<Body> {
        let mut body = Vec::new();
        loop {
            let start = self.at();
            let kind = match self.take() {
                Token::Data(text) => StmtKind::Text(text.into()),
                Token::OutputStart => {
                    let expr = self.tuple(true, &[])?;
                    self.end_of_output()?;
                    StmtKind::Output(expr)
                }
                Token::BlockStart => {
                    if let Token::Name(name) = self.peek()
                        && ends.contains(&name.as_str())
                    {
                        return Ok(body);
                    }
                    self.deeper(Parser::statement)?
                }
                _ if ends.is_empty() => return Ok(body),
                _ => return Err(SyntaxError { reason: self.unclosed(), at: start }),
            };
            body.push(Stmt { at: start.to(self.last_at()), kind });
        }
    }

    fn end_of_output(&mut self) -> Parsed<()> {
        match self.peek() {
            Token::OutputEnd => {
                self.take();
                Ok(())
            }
            other => self.fail(format!("expected token 'end of print statement', got {}", describe(other))),
        }
    }

    fn end_of_block(&mut self) -> Parsed<()> {
        match self.peek() {
            Token::BlockEnd => {
                self.take();
                Ok(())
            }
            other => self.fail(format!("expected token 'end of statement block', got {}", describe(other))),
        }
    }

    fn unclosed(&self) -> String {
        let Some((tag, ends)) = self.open.last() else { return "unexpected end of template".to_owned() };
        format!("unexpected end of template: `{tag}` is never closed, looking for {}", quoted(ends))
    }

    fn unknown_tag(&self, tag: &str) -> String {
        let mut reason = format!("encountered unknown tag '{tag}'");
        if let Some((open, ends)) = self.open.last() {
            reason += &format!("; looking for {} to close `{open}`", quoted(ends));
        }
        reason
    }

    /// The statement after `{%`, including its end.
    fn statement(&mut self) -> Parsed<StmtKind> {
        let tag = match self.peek() {
            Token::Name(name) => name.clone(),
            other => return self.fail(format!("tag name expected, got {}", describe(other))),
        };
        if !is_tag(&tag) {
            return self.fail(self.unknown_tag(&tag));
        }
        self.take();
        match tag.as_str() {
            "for" => self.for_loop(),
            "if" => self.condition(),
            "with" => self.with(),
            "set" => self.set(),
            "filter" => self.filter_block(),
            "block" => self.block(),
            "extends" => self.line(|parser| Ok(StmtKind::Extends(parser.expression()?))),
            "include" => self.line(Parser::include),
            "import" => self.line(Parser::import),
            "from" => self.line(Parser::import_names),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "print" => self.line(|parser| Ok(StmtKind::Output(parser.tuple(true, &[])?))),
            _ => self.autoescape(),
        }
    }

    fn line(&mut self, parse: fn(&mut Parser) -> Parsed<StmtKind>) -> Parsed<StmtKind> {
        let kind = parse(self)?;
        self.end_of_block()?;
        Ok(kind)
    }

    /// The body of `tag` up to its one end, including it.
    fn closed_body(&mut self, tag: &'static str, ends: &'static [&'static str]) -> Parsed<Body> {
        self.end_of_block()?;
        self.open.push((tag, ends));
        let body = self.body(ends)?;
        self.open.pop();
        Ok(body)
    }

    fn finish(&mut self) -> Parsed<()> {
        self.take();
        self.end_of_block()
    }

    fn for_loop(&mut self) -> Parsed<StmtKind> {
        let target = self.target(false, false)?;
        if !self.skip_name("in") {
            return self.fail(format!("expected token 'in', got {}", describe(self.peek())));
        }
        let source = self.tuple(false, &["recursive", "if"])?;
        let filter = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let body = self.closed_body("for", &["endfor", "else"])?;
        let otherwise = if self.skip_name("else") { self.closed_body("for", &["endfor"])? } else { Vec::new() };
        self.finish()?;
        Ok(StmtKind::For(Arc::new(ForLoop { target, source, filter, recursive, body, otherwise })))
    }

    fn condition(&mut self) -> Parsed<StmtKind> {
        let mut arms = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            let body = self.closed_body("if", &["elif", "else", "endif"])?;
            arms.push((test, body));
            if !self.skip_name("elif") {
                break;
            }
        }
        let otherwise = if self.skip_name("else") { self.closed_body("if", &["endif"])? } else { Vec::new() };
        self.finish()?;
        Ok(StmtKind::If(arms, otherwise))
    }

    fn with(&mut self) -> Parsed<StmtKind> {
        let mut values = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_mark(",")?;
            }
            let target = self.single_target(false)?;
            self.expect_mark("=")?;
            values.push((target, self.expression()?));
        }
        let body = self.closed_body("with", &["endwith"])?;
        self.finish()?;
        Ok(StmtKind::With(values, body))
    }

    fn set(&mut self) -> Parsed<StmtKind> {
        let target = self.target(true, false)?;
        if self.skip_mark("=") {
            let value = self.tuple(true, &[])?;
            self.end_of_block()?;
            return Ok(StmtKind::Set(target, value));
        }
        let filter = if self.skip_mark("|") { Some(self.filter_chain(None)?) } else { None };
        let body = self.closed_body("set", &["endset"])?;
        self.finish()?;
        Ok(StmtKind::SetBlock(target, filter, body))
    }

    fn filter_block(&mut self) -> Parsed<StmtKind> {
        let filter = self.filter_chain(None)?;
        let body = self.closed_body("filter", &["endfilter"])?;
        self.finish()?;
        Ok(StmtKind::FilterBlock(filter, body))
    }

    fn block(&mut self) -> Parsed<StmtKind> {
        let name = self.expect_name()?;
        if self.blocks.iter().any(|block| block.name == name) {
            return self.fail(format!("block '{name}' defined twice"));
        }
        // Blocks here always see the variables around them.
        self.skip_name("scoped");
        let required = self.skip_name("required");
        let body = self.closed_body("block", &["endblock"])?;
        self.take();
        self.skip_name(&name);
        self.end_of_block()?;
        let block = Arc::new(Block { name, required, body });
        self.blocks.push(block.clone());
        Ok(StmtKind::Block(block))
    }

    fn autoescape(&mut self) -> Parsed<StmtKind> {
        self.expression()?;
        let body = self.closed_body("autoescape", &["endautoescape"])?;
        self.finish()?;
        Ok(StmtKind::Scope(body))
    }

    fn include(&mut self) -> Parsed<StmtKind> {
        let source = self.expression()?;
        let ignore_missing = self.skip_name("ignore");
        if ignore_missing && !self.skip_name("missing") {
            return self.fail(format!("expected 'missing', got {}", describe(self.peek())));
        }
        let with_context = self.context(true);
        Ok(StmtKind::Include { source, ignore_missing, with_context })
    }

    fn context(&mut self, default: bool) -> bool {
        let asked = match self.peek() {
            Token::Name(name) if name == "with" => true,
            Token::Name(name) if name == "without" => false,
            _ => return default,
        };
        self.take();
        self.skip_name("context");
        asked
    }

    fn import(&mut self) -> Parsed<StmtKind> {
        let source = self.expression()?;
        if !self.skip_name("as") {
            return self.fail(format!("expected token 'as', got {}", describe(self.peek())));
        }
        let name = self.expect_name()?;
        let with_context = self.context(false);
        Ok(StmtKind::Import { source, name, with_context })
    }

    fn import_names(&mut self) -> Parsed<StmtKind> {
        let source = self.expression()?;
        if !self.skip_name("import") {
            return self.fail(format!("expected token 'import', got {}", describe(self.peek())));
        }
        let mut names = Vec::new();
        while matches!(self.peek(), Token::Name(name) if !matches!(name.as_str(), "with" | "without") || names.is_empty()) {
            let name = self.expect_name()?;
            if name.starts_with('_') {
                return self.fail("names starting with an underline can not be imported");
            }
            let alias = if self.skip_name("as") { self.expect_name()? } else { name.clone() };
            names.push((name, alias));
            if !self.skip_mark(",") {
                break;
            }
        }
        let with_context = self.context(false);
        Ok(StmtKind::FromImport { source, names, with_context })
    }

    fn signature(&mut self) -> Parsed<Vec<(Name, Option<Expr>)>> {
        let mut params: Vec<(Name, Option<Expr>)> = Vec::new();
        self.expect_mark("(")?;
        while !self.skip_mark(")") {
            if !params.is_empty() {
                self.expect_mark(",")?;
            }
            let Target::Name(name) = self.single_target(false)? else { return self.fail("expected a name") };
            let default = if self.skip_mark("=") { Some(self.expression()?) } else { None };
            if default.is_none() && params.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fail("non-default argument follows default argument");
            }
            params.push((name, default));
        }
        Ok(params)
    }

    fn macro_definition(&mut self) -> Parsed<StmtKind> {
        let name = self.expect_name()?;
        let params = self.signature()?;
        let body = self.closed_body("macro", &["endmacro"])?;
        self.finish()?;
        Ok(StmtKind::Macro(Arc::new(definition(name, params, body))))
    }

    fn call_block(&mut self) -> Parsed<StmtKind> {
        let params = if self.is_mark("(") { self.signature()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(SyntaxError { reason: "expected call".to_owned(), at: call.at });
        }
        let body = self.closed_body("call", &["endcall"])?;
        self.finish()?;
        Ok(StmtKind::CallBlock(call, Arc::new(definition("caller".into(), params, body))))
    }
}

fn definition(name: Name, params: Vec<(Name, Option<Expr>)>, body: Body) -> MacroDef {
    let used = used_names(&body);
    let has = |name: &str| used.free.iter().any(|used| &**used == name);
    MacroDef {
        name,
        uses_varargs: has("varargs"),
        uses_kwargs: has("kwargs"),
        uses_caller: has("caller") && !params.iter().any(|(param, _)| &**param == "caller"),
        params,
        body,
    }
}

fn is_tag(name: &str) -> bool {
    matches!(
        name,
        "for"
            | "if"
            | "with"
            | "set"
            | "filter"
            | "block"
            | "extends"
            | "include"
            | "import"
            | "from"
            | "macro"
            | "call"
            | "print"
            | "autoescape"
    )
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" or ")
}
