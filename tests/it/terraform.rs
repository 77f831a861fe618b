//! The Terraform code parses, and everything it refers to is there: checked without Terraform, its providers or an account.

#![expect(clippy::expect_used, reason = "a test that cannot read the project's own files has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hcl::expr::{Expression, ObjectKey, Operation, TemplateExpr, Traversal, TraversalOperator};
use hcl::structure::{Block, Body, Structure};
use hcl::template::{Directive, Element, Template};

#[test]
fn everything_that_terraform_refers_to_is_there() {
    assert_eq!(Module::read(&folder()).problems(), Vec::<String>::new());
}

#[test]
fn the_module_is_all_that_the_system_needs() {
    let module = Module::read(&folder());
    for (kind, number) in [
        ("aws_vpc", 1),
        ("aws_subnet", 2),
        ("aws_lb", 1),
        ("aws_lb_listener_rule", 1),
        ("aws_lb_target_group", 1),
        ("aws_instance", 1),
        ("aws_elasticache_replication_group", 1),
        ("aws_db_instance", 1),
        ("aws_ecr_repository", 1),
    ] {
        let found = module.blocks().filter(|block| block.identifier() == "resource" && label(block, 0) == kind).count();
        assert_eq!(found, number, "{kind}");
    }
}

/// A check that cannot fail is none: every line here breaks the module in one way and says what must be found.
#[test]
fn a_broken_module_is_found_out() {
    for (file, sound, broken, problem) in [
        ("versions.tf", "= var.region", "= var.regoin", "versions.tf: var.regoin is not declared"),
        ("network.tf", "aws_vpc.main.id", "aws_vpc.mian.id", "network.tf: aws_vpc.mian is not declared"),
        ("network.tf", "local.zones[count.index]", "local.zone[count.index]", "network.tf: local.zone is not declared"),
        (
            "network.tf",
            "slice(data.aws_availability_zones.available",
            "slice(data.aws_availability_zones.usable",
            "network.tf: data.aws_availability_zones.usable is not declared",
        ),
        (
            "network.tf",
            "slice(data.aws_availability_zones.available.names",
            "slice(module.zones.names",
            "network.tf: module.zones is not declared",
        ),
        ("network.tf", "${var.name}-public-", "${var.nmae}-public-", "network.tf: var.nmae is not declared"),
        ("network.tf", "count = length(aws_subnet.public)", "", "network.tf: count is used in a block that has none"),
        ("firewall.tf", "for_each = toset(var.ssh_cidrs)", "", "firewall.tf: each is used in a block without for_each"),
        ("outputs.tf", "for name, instance in", "for name, machine in", "outputs.tf: instance is not bound"),
        (
            "compute.tf",
            "user_data.yaml.tftpl",
            "user_data.tftpl",
            "compute.tf: the template templates/user_data.tftpl is missing",
        ),
        ("compute.tf", "key  = var.login_public_key", "", "compute.tf: the template templates/user_data.yaml.tftpl needs `key`"),
        ("compute.tf", "aws_route.internet]", "aws_route.intranet]", "compute.tf: aws_route.intranet is not declared"),
        (
            "outputs.tf",
            "value       = var.redis_password\n  sensitive   = true",
            "value       = var.redis_password",
            "output redis_password holds a secret and is not sensitive",
        ),
        (
            "outputs.tf",
            "value       = aws_lb.main.dns_name",
            "value       = local.hidden",
            "output load_balancer_name holds a secret and is not sensitive",
        ),
        ("outputs.tf", "description = \"The region that everything is in.\"", "", "output region has no description"),
        ("variables.tf", "description = \"The region to build in.\"", "", "variable region has no description"),
        (
            "variables.tf",
            "type        = string\n  sensitive   = true",
            "type = string",
            "variable redis_password is a secret and is not sensitive",
        ),
        (
            "variables.tf",
            "type        = string\n  sensitive   = true",
            "type = string\n sensitive = true\n default = \"x\"",
            "variable redis_password is a secret and has a default",
        ),
        (
            "variables.tf",
            "variable \"disk_gib\" {",
            "variable \"unused\" {\n description = \"x\"\n type = string\n}\nvariable \"disk_gib\" {",
            "variable unused is not used",
        ),
    ] {
        let mut module = Module::read(&folder());
        module.files.insert("hidden.tf".into(), "locals { hidden = \"x${var.redis_password}\" }\n".into());
        let text = module.files.get_mut(file).expect(file);
        assert!(text.contains(sound), "{file} no longer holds {sound}");
        *text = text.replacen(sound, broken, 1);
        assert!(module.problems().iter().any(|found| found == problem), "expected: {problem}\nfound: {:#?}", module.problems());
    }
}

#[test]
fn the_examples_fit_the_module() {
    let module = Module::read(&folder());
    let required: BTreeSet<_> = module
        .named("variable")
        .filter(|(_, block)| attribute(block, "default").is_none() && !is_sensitive(block))
        .map(|(name, _)| name)
        .collect();
    let given: BTreeSet<_> = parse(&read("terraform.tfvars.example")).attributes().map(|given| given.key().to_owned()).collect();
    assert_eq!(given, required);

    let backend = read("backend.tf.example");
    assert!(parse(&backend).blocks().any(|block| block.identifier() == "terraform"));
    assert!(backend.contains("use_lockfile = true") && backend.contains("encrypt      = true"));
}

#[test]
fn the_example_of_the_outputs_is_the_modules_own() {
    let example: BTreeMap<String, serde_json::Value> = serde_json::from_str(&read("outputs.example.json")).expect("JSON");
    let example: BTreeMap<_, _> = example.into_iter().map(|(name, output)| (name, output["sensitive"] == true)).collect();
    let module = Module::read(&folder());
    let outputs: BTreeMap<_, _> = module.named("output").map(|(name, block)| (name, is_sensitive(&block))).collect();
    assert_eq!(example, outputs);
}

/// What the playbook and the inventory read of Terraform is an output, unless they say what holds without it.
#[test]
fn the_playbook_reads_outputs_that_are_there() {
    let module = Module::read(&folder());
    let outputs: BTreeSet<_> = module.named("output").map(|(name, _)| name).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for path in [
        "playbooks/palindrome.yaml",
        "playbooks/group_vars/all.yaml",
        "inventory/group_vars/app.yaml",
        "templates/palindrome.env.j2",
    ] {
        let text = std::fs::read_to_string(root.join(path)).expect(path);
        for after in
            text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| line.split("terraform.").skip(1))
        {
            let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let has_default = after[name.len()..].trim_start_matches(')').trim_start().starts_with("| default(");
            assert!(has_default || outputs.contains(&name), "{path}: terraform.{name} is no output");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} outputs are read");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).expect(file)
}

fn parse(text: &str) -> Body {
    hcl::parse(text).expect("HCL")
}

/// The files of one Terraform module, by name.
struct Module {
    folder: PathBuf,
    files: BTreeMap<String, String>,
}

impl Module {
    fn read(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("the folder terraform/") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "tf") {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                files.insert(name, std::fs::read_to_string(&path).expect("UTF-8"));
            }
        }
        assert!(!files.is_empty());
        Self { folder: folder.to_owned(), files }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        self.files.values().flat_map(|text| parse(text).into_blocks())
    }

    /// The blocks of a kind that has one label: variables and outputs.
    fn named(&self, kind: &str) -> impl Iterator<Item = (String, Block)> {
        self.blocks().filter(move |block| block.identifier() == kind).map(|block| (label(&block, 0), block))
    }

    fn problems(&self) -> Vec<String> {
        let declared = self.declared();
        let mut references = BTreeSet::new();
        let mut problems = Vec::new();
        for (name, text) in &self.files {
            let mut walk = Walk { folder: &self.folder, declared: &declared, references: BTreeSet::new(), problems: Vec::new() };
            walk.body(&parse(text), &Scope::default());
            problems.extend(walk.problems.into_iter().map(|problem| format!("{name}: {problem}")));
            references.extend(walk.references);
        }
        problems.extend(self.variables(&references));
        problems.extend(self.outputs());
        problems
    }

    fn declared(&self) -> BTreeSet<String> {
        let mut declared: BTreeSet<String> =
            ["path.module", "path.root", "terraform.workspace"].into_iter().map(str::to_owned).collect();
        for block in self.blocks() {
            match block.identifier() {
                "variable" => declared.extend([format!("var.{}", label(&block, 0))]),
                "locals" => declared.extend(block.body().attributes().map(|local| format!("local.{}", local.key()))),
                "resource" => declared.extend([format!("{}.{}", label(&block, 0), label(&block, 1))]),
                "data" => declared.extend([format!("data.{}.{}", label(&block, 0), label(&block, 1))]),
                "module" => declared.extend([format!("module.{}", label(&block, 0))]),
                _ => {}
            }
        }
        declared
    }

    fn variables(&self, references: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, block) in self.named("variable") {
            if attribute(&block, "description").is_none() {
                problems.push(format!("variable {name} has no description"));
            }
            if attribute(&block, "type").is_none() {
                problems.push(format!("variable {name} has no type"));
            }
            if sounds_secret(&name) && !is_sensitive(&block) {
                problems.push(format!("variable {name} is a secret and is not sensitive"));
            }
            if (sounds_secret(&name) || is_sensitive(&block)) && attribute(&block, "default").is_some() {
                problems.push(format!("variable {name} is a secret and has a default"));
            }
            if !references.contains(&format!("var.{name}")) {
                problems.push(format!("variable {name} is not used"));
            }
        }
        problems
    }

    fn outputs(&self) -> Vec<String> {
        let secrets = self.secrets();
        let mut problems = Vec::new();
        for (name, block) in self.named("output") {
            if attribute(&block, "description").is_none() {
                problems.push(format!("output {name} has no description"));
            }
            let holds_secret = attribute(&block, "value").is_some_and(|value| !self.read_by(value).is_disjoint(&secrets));
            if (holds_secret || sounds_secret(&name)) && !is_sensitive(&block) {
                problems.push(format!("output {name} holds a secret and is not sensitive"));
            }
        }
        problems
    }

    /// The sensitive variables, and the locals that are made of them.
    fn secrets(&self) -> BTreeSet<String> {
        let mut secrets: BTreeSet<String> =
            self.named("variable").filter(|(_, block)| is_sensitive(block)).map(|(name, _)| format!("var.{name}")).collect();
        loop {
            let before = secrets.len();
            for block in self.blocks().filter(|block| block.identifier() == "locals") {
                for local in block.body().attributes() {
                    if !self.read_by(local.expr()).is_disjoint(&secrets) {
                        secrets.insert(format!("local.{}", local.key()));
                    }
                }
            }
            if secrets.len() == before {
                return secrets;
            }
        }
    }

    fn read_by(&self, expression: &Expression) -> BTreeSet<String> {
        let mut walk =
            Walk { folder: &self.folder, declared: &BTreeSet::new(), references: BTreeSet::new(), problems: Vec::new() };
        walk.expression(expression, &Scope::default());
        walk.references
    }
}

fn label(block: &Block, index: usize) -> String {
    block.labels().get(index).map(|label| label.as_str().to_owned()).unwrap_or_default()
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    block.body().attributes().find(|attribute| attribute.key() == name).map(hcl::Attribute::expr)
}

fn is_sensitive(block: &Block) -> bool {
    attribute(block, "sensitive") == Some(&Expression::Bool(true))
}

fn sounds_secret(name: &str) -> bool {
    ["password", "secret", "token", "private_key"].iter().any(|word| name.contains(word))
}

/// What is known at one place besides the module's own names.
#[derive(Clone, Default)]
struct Scope {
    bound: BTreeSet<String>,
    has_count: bool,
    has_each: bool,
}

impl Scope {
    fn with<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = self.clone();
        scope.bound.extend(names.into_iter().map(str::to_owned));
        scope
    }
}

/// One walk over a file: collects what is referred to, and what of it is not there.
struct Walk<'a> {
    folder: &'a Path,
    declared: &'a BTreeSet<String>,
    references: BTreeSet<String>,
    problems: Vec<String>,
}

impl Walk<'_> {
    fn body(&mut self, body: &Body, scope: &Scope) {
        for structure in body {
            match structure {
                // Names of the resource's own arguments.
                Structure::Attribute(attribute) if attribute.key() == "ignore_changes" => {}
                Structure::Attribute(attribute) => self.expression(attribute.expr(), scope),
                Structure::Block(block) => self.block(block, scope),
            }
        }
    }

    fn block(&mut self, block: &Block, scope: &Scope) {
        match block.identifier() {
            "variable" => self.variable(block, scope),
            "resource" | "data" | "module" => {
                let scope = Scope {
                    bound: scope.bound.clone(),
                    has_count: attribute(block, "count").is_some(),
                    has_each: attribute(block, "for_each").is_some(),
                };
                self.body(block.body(), &scope);
            }
            "dynamic" => self.body(block.body(), &scope.with([label(block, 0).as_str()])),
            _ => self.body(block.body(), scope),
        }
    }

    /// A type is written like an expression and is none; a validation looks at its own variable, which is no use of it.
    fn variable(&mut self, block: &Block, scope: &Scope) {
        let own = format!("var.{}", label(block, 0));
        let was_used = self.references.contains(&own);
        for part in block.body().blocks() {
            self.body(part.body(), scope);
        }
        if !was_used {
            self.references.remove(&own);
        }
    }

    fn expression(&mut self, expression: &Expression, scope: &Scope) {
        match expression {
            Expression::Array(items) => items.iter().for_each(|item| self.expression(item, scope)),
            Expression::Object(object) => {
                for (key, value) in object {
                    if let ObjectKey::Expression(key) = key {
                        self.expression(key, scope);
                    }
                    self.expression(value, scope);
                }
            }
            Expression::TemplateExpr(template) => self.quoted(template, scope),
            Expression::Variable(variable) => self.name(variable.as_str(), &[], scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::FuncCall(call) => {
                call.args.iter().for_each(|argument| self.expression(argument, scope));
                if call.name.name.as_str() == "templatefile" {
                    self.template_file(&call.args);
                }
            }
            Expression::Parenthesis(inner) => self.expression(inner, scope),
            Expression::Conditional(conditional) => {
                self.expression(&conditional.cond_expr, scope);
                self.expression(&conditional.true_expr, scope);
                self.expression(&conditional.false_expr, scope);
            }
            Expression::Operation(operation) => match operation.as_ref() {
                Operation::Unary(unary) => self.expression(&unary.expr, scope),
                Operation::Binary(binary) => {
                    self.expression(&binary.lhs_expr, scope);
                    self.expression(&binary.rhs_expr, scope);
                }
            },
            Expression::ForExpr(each) => {
                self.expression(&each.collection_expr, scope);
                let inner = scope.with(each.key_var.iter().chain([&each.value_var]).map(hcl::Identifier::as_str));
                for part in each.key_expr.iter().chain([&each.value_expr]).chain(&each.cond_expr) {
                    self.expression(part, &inner);
                }
            }
            _ => {}
        }
    }

    fn traversal(&mut self, traversal: &Traversal, scope: &Scope) {
        for operator in &traversal.operators {
            if let TraversalOperator::Index(index) = operator {
                self.expression(index, scope);
            }
        }
        let attributes: Vec<_> = traversal
            .operators
            .iter()
            .map_while(|operator| match operator {
                TraversalOperator::GetAttr(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        match &traversal.expr {
            Expression::Variable(root) => self.name(root.as_str(), &attributes, scope),
            other => self.expression(other, scope),
        }
    }

    fn name(&mut self, root: &str, attributes: &[&str], scope: &Scope) {
        if scope.bound.contains(root) {
            return;
        }
        let reference = match (root, attributes) {
            ("each", _) if scope.has_each => return,
            ("each", _) => return self.problems.push("each is used in a block without for_each".into()),
            ("count", _) if scope.has_count => return,
            ("count", _) => return self.problems.push("count is used in a block that has none".into()),
            ("data", [kind, name, ..]) => format!("data.{kind}.{name}"),
            (root, [name, ..]) => format!("{root}.{name}"),
            (root, []) => return self.problems.push(format!("{root} is not bound")),
        };
        if !self.declared.contains(&reference) {
            let is_unbound = !root.contains('_') && !["var", "local", "data", "module", "path", "terraform"].contains(&root);
            self.problems.push(if is_unbound { format!("{root} is not bound") } else { format!("{reference} is not declared") });
        }
        self.references.insert(reference);
    }

    fn quoted(&mut self, template: &TemplateExpr, scope: &Scope) {
        let template = Template::from_expr(template).expect("a template");
        self.template(&template, scope);
    }

    fn template(&mut self, template: &Template, scope: &Scope) {
        for element in template.elements() {
            match element {
                Element::Literal(_) => {}
                Element::Interpolation(interpolation) => self.expression(&interpolation.expr, scope),
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(condition) => {
                        self.expression(&condition.cond_expr, scope);
                        self.template(&condition.true_template, scope);
                        condition.false_template.iter().for_each(|template| self.template(template, scope));
                    }
                    Directive::For(each) => {
                        self.expression(&each.collection_expr, scope);
                        let names = each.key_var.iter().chain([&each.value_var]).map(hcl::Identifier::as_str);
                        self.template(&each.template, &scope.with(names));
                    }
                },
            }
        }
    }

    /// `templatefile("${path.module}/templates/x", {...})`: the file is there and gets all the names that it uses.
    fn template_file(&mut self, arguments: &[Expression]) {
        let [Expression::TemplateExpr(path), Expression::Object(given)] = arguments else {
            return self.problems.push("templatefile takes a path and an object".into());
        };
        let path = path.to_string().replace("${path.module}/", "");
        let Ok(text) = std::fs::read_to_string(self.folder.join(&path)) else {
            return self.problems.push(format!("the template {path} is missing"));
        };
        let given: BTreeSet<_> = given.keys().map(ToString::to_string).collect();
        let mut inner = Walk { folder: self.folder, declared: self.declared, references: BTreeSet::new(), problems: Vec::new() };
        inner.template(&text.parse().expect("a template"), &Scope::default().with(given.iter().map(String::as_str)));
        for problem in inner.problems {
            let name = problem.trim_end_matches(" is not bound");
            self.problems.push(format!("the template {path} needs `{name}`"));
        }
    }
}
