//! What kinds of objects there are, which privileges each has, and where PostgreSQL keeps who has them.

use super::server::{dotted, ident, literal};

/// One value of `type`, as far as it has objects with an access list.
#[derive(Clone, Copy)]
pub(super) struct Sort {
    pub(super) name: &'static str,
    /// As GRANT names it.
    pub(super) word: &'static str,
    pub(super) all: &'static [&'static str],
    /// Where its objects are: table, column of the name, of the list and of the owner; the letter of `acldefault`.
    table: &'static str,
    column: &'static str,
    list: &'static str,
    owner: &'static str,
    letter: char,
    /// The column of its schema; empty where it is in none.
    schema: &'static str,
    only: &'static str,
}

impl Sort {
    pub(super) fn has_schema(self) -> bool {
        !self.schema.is_empty()
    }
}

const TABLE: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
const SEQUENCE: &[&str] = &["USAGE", "SELECT", "UPDATE"];
const USAGE: &[&str] = &["USAGE"];
const EXECUTE: &[&str] = &["EXECUTE"];

#[rustfmt::skip]
pub(super) const SORTS: &[Sort] = &[
    Sort { name: "table", word: "TABLE", all: TABLE, table: "pg_class", column: "relname", list: "relacl", owner: "relowner", letter: 'r', schema: "relnamespace", only: "relkind IN ('r','v','m','f','p')" },
    Sort { name: "sequence", word: "SEQUENCE", all: SEQUENCE, table: "pg_class", column: "relname", list: "relacl", owner: "relowner", letter: 's', schema: "relnamespace", only: "relkind = 'S'" },
    Sort { name: "database", word: "DATABASE", all: &["CREATE", "CONNECT", "TEMPORARY"], table: "pg_database", column: "datname", list: "datacl", owner: "datdba", letter: 'd', schema: "", only: "true" },
    Sort { name: "schema", word: "SCHEMA", all: &["CREATE", "USAGE"], table: "pg_namespace", column: "nspname", list: "nspacl", owner: "nspowner", letter: 'n', schema: "", only: "true" },
    Sort { name: "function", word: "FUNCTION", all: EXECUTE, table: "pg_proc", column: "proname", list: "proacl", owner: "proowner", letter: 'f', schema: "pronamespace", only: "prokind <> 'p'" },
    Sort { name: "procedure", word: "PROCEDURE", all: EXECUTE, table: "pg_proc", column: "proname", list: "proacl", owner: "proowner", letter: 'f', schema: "pronamespace", only: "prokind = 'p'" },
    Sort { name: "language", word: "LANGUAGE", all: USAGE, table: "pg_language", column: "lanname", list: "lanacl", owner: "lanowner", letter: 'l', schema: "", only: "true" },
    Sort { name: "tablespace", word: "TABLESPACE", all: &["CREATE"], table: "pg_tablespace", column: "spcname", list: "spcacl", owner: "spcowner", letter: 't', schema: "", only: "true" },
    Sort { name: "type", word: "TYPE", all: USAGE, table: "pg_type", column: "typname", list: "typacl", owner: "typowner", letter: 'T', schema: "typnamespace", only: "true" },
    Sort { name: "foreign_data_wrapper", word: "FOREIGN DATA WRAPPER", all: USAGE, table: "pg_foreign_data_wrapper", column: "fdwname", list: "fdwacl", owner: "fdwowner", letter: 'F', schema: "", only: "true" },
    Sort { name: "foreign_server", word: "FOREIGN SERVER", all: USAGE, table: "pg_foreign_server", column: "srvname", list: "srvacl", owner: "srvowner", letter: 'S', schema: "", only: "true" },
];

/// What default privileges can be for: word, letter of the catalogue, letter of `acldefault`, privileges.
pub(super) const DEFAULTS: &[(&str, char, char, &[&str])] = &[
    ("TABLES", 'r', 'r', TABLE),
    ("SEQUENCES", 'S', 's', SEQUENCE),
    ("FUNCTIONS", 'f', 'f', EXECUTE),
    ("TYPES", 'T', 'T', USAGE),
    ("SCHEMAS", 'n', 'n', &["CREATE", "USAGE"]),
];

/// Who has what on each object of a list: `name`, `role`, `privilege`, `grantable`. An object nobody has anything on is one row of nulls.
fn exploded(targets: &str) -> String {
    format!(
        "SELECT t.name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE r.rolname END AS role, a.privilege_type AS privilege, \
         a.is_grantable AS grantable FROM ({targets}) t LEFT JOIN LATERAL aclexplode(CASE WHEN cardinality(t.list) > 0 THEN t.list END) a ON true \
         LEFT JOIN pg_roles r ON r.oid = a.grantee"
    )
}

impl Sort {
    /// The query for some objects by name, or for all of a schema.
    pub(super) fn query(self, schema: &str, objects: Option<&[String]>) -> String {
        let Sort { table, column, list, owner, letter, only, .. } = self;
        let name = if self.letter == 'f' {
            format!("{column} || '(' || pg_get_function_identity_arguments(o.oid) || ')'")
        } else {
            column.to_owned()
        };
        let mut filter = only.to_owned();
        if self.has_schema() {
            filter.push_str(&format!(
                " AND {} = (SELECT oid FROM pg_namespace WHERE nspname = {})",
                self.schema,
                literal(schema)
            ));
        }
        if let Some(objects) = objects {
            let each = |object: &String| match object.contains('(') {
                true => format!("o.oid = to_regprocedure({})", literal(&qualified(schema, object))),
                false => format!("{column} = {}", literal(object.trim_matches('"'))),
            };
            filter.push_str(&format!(" AND ({})", objects.iter().map(each).collect::<Vec<_>>().join(" OR ")));
        }
        exploded(&format!(
            "SELECT {name} AS name, coalesce({list}, acldefault('{letter}', {owner})) AS list FROM {table} o WHERE {filter}"
        ))
    }

    /// As GRANT takes an object.
    pub(super) fn object(self, schema: &str, name: &str) -> String {
        if self.has_schema() { qualified(schema, name) } else { ident(name) }
    }
}

/// A function keeps its arguments as they are.
fn qualified(schema: &str, name: &str) -> String {
    let (bare, rest) = name.find('(').map_or((name, ""), |at| name.split_at(at));
    format!("{}.{}{rest}", ident(schema), ident(bare))
}

/// Parameters have a list only where somebody was given something.
pub(super) fn parameters(names: &[String]) -> String {
    let values: Vec<String> = names.iter().map(|name| format!("({})", literal(&name.to_lowercase()))).collect();
    exploded(&format!(
        "SELECT v.name, p.paracl AS list FROM (VALUES {}) v(name) LEFT JOIN pg_parameter_acl p ON p.parname = v.name",
        values.join(", ")
    ))
}

/// Default privileges of one role (or of who is logged in) for objects of one kind.
pub(super) fn defaults(role: Option<&str>, schema: Option<&str>, kind: &(&str, char, char, &[&str])) -> String {
    let role = role.map_or("current_user::regrole".to_owned(), |role| format!("{}::regrole", literal(&dotted(role))));
    let space =
        schema.map_or("0".to_owned(), |schema| format!("(SELECT oid FROM pg_namespace WHERE nspname = {})", literal(schema)));
    // What a schema adds starts from nothing; what holds everywhere starts from what is built in.
    let start = if schema.is_some() { "'{}'::aclitem[]".to_owned() } else { format!("acldefault('{}', {role})", kind.2) };
    exploded(&format!(
        "SELECT '{}' AS name, coalesce((SELECT defaclacl FROM pg_default_acl WHERE defaclrole = {role} AND defaclnamespace = {space} \
         AND defaclobjtype = '{}'), {start}) AS list",
        kind.0, kind.1
    ))
}

/// Which groups the roles are in.
pub(super) fn memberships(groups: &[String]) -> String {
    let list: Vec<String> = groups.iter().map(|group| literal(group)).collect();
    format!(
        "SELECT g.rolname AS name, m.rolname AS role, 'MEMBER' AS privilege, a.admin_option AS grantable FROM pg_roles g \
         LEFT JOIN pg_auth_members a ON a.roleid = g.oid LEFT JOIN pg_roles m ON m.oid = a.member WHERE g.rolname IN ({})",
        list.join(", ")
    )
}
