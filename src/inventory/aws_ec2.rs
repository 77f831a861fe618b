//! `plugin: amazon.aws.aws_ec2`: EC2's instances as hosts, named, grouped and given variables as the file says.

use super::constructed::{self, safe};
use super::problem::Problem;
use super::{Given, Loading};
use crate::aws::instances::{self, Filter, Instance};
use crate::aws::{Access, AwsError, Session};
use crate::diag::{Explain, closest};
use crate::value::{Map, Value};
use crate::yaml::Node;

const PLUGINS: [&str; 2] = ["amazon.aws.aws_ec2", "aws_ec2"];
const NAME: &str = "aws_ec2";

/// Options of its own; those about the way in are `aws`'s, those about groups `constructed`'s.
const OPTIONS: [&str; 16] = [
    "plugin",
    "regions",
    "hostnames",
    "allow_duplicated_hosts",
    "filters",
    "include_filters",
    "exclude_filters",
    "strict_permissions",
    "hostvars_prefix",
    "hostvars_suffix",
    "use_contrib_script_compatible_ec2_tag_keys",
    "assume_role_arn",
    "iam_role_arn",
    "cache_connection",
    "cache_plugin",
    "cache_timeout",
];

/// Options that would need another service or another kind of group name; each only matters where it is on.
const LEFT_OUT: [&str; 3] = ["route53_enabled", "use_ssm_inventory", "use_contrib_script_compatible_sanitization"];
const WITHOUT_EFFECT: [&str; 3] = ["route53_excluded_zones", "route53_hostnames", "cache_prefix"];

/// Where to ask for the names of all regions.
const ANY_REGION: &str = "us-east-1";
/// Those that can become hosts again.
const STATES: [&str; 4] = ["running", "pending", "stopping", "stopped"];

/// What the file says, rendered.
struct Wish {
    access: Access,
    regions: Vec<String>,
    /// Each is a search of its own; an instance counts that any of them finds.
    searches: Vec<Vec<Filter>>,
    exclusions: Vec<Vec<Filter>>,
    skips_denied: bool,
    hostnames: Vec<Name>,
    all_names: bool,
    prefix: String,
    suffix: String,
    has_tag_keys: bool,
}

/// One way to call a host.
struct Name {
    name: String,
    prefix: Option<String>,
    separator: String,
}

pub(super) fn is_for(given: &Given) -> bool {
    given.plugin().is_some_and(|name| PLUGINS.contains(&name))
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    let Some(document) = loading.document(given) else { return };
    if !knows_all(loading, &document) {
        return;
    }
    let found = Wish::of(&document).and_then(|wish| wish.ask().map(|found| (wish, found)));
    match found {
        Ok((wish, found)) => add(loading, given, &document, &wish, found),
        Err(error) => loading.diagnostics.push(error.explain().note(format!("asked for the inventory `{}`", given.name))),
    }
}

/// Whether every option means something here.
fn knows_all(loading: &mut Loading<'_>, document: &Node) -> bool {
    let known = || OPTIONS.into_iter().chain(WITHOUT_EFFECT).chain(constructed::OPTIONS).chain(crate::aws::option_names());
    let mut is_fine = true;
    for (key, value) in document.as_map().unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        if LEFT_OUT.contains(&name) {
            if value.to_value().to_bool() == Some(true) {
                is_fine = false;
                loading.report(&Problem::OptionLeftOut { span: key.span, plugin: NAME, name: name.to_owned() });
            }
        } else if !known().any(|option| option == name) {
            let near = closest(name, known()).map(str::to_owned);
            loading.report(&Problem::UnknownOption { span: key.span, plugin: NAME, name: name.to_owned(), near });
        }
    }
    is_fine
}

impl Wish {
    fn of(document: &Node) -> Result<Wish, AwsError> {
        let value =
            |name: &str| document.get(name).map(|node| constructed::plain(&node.to_value())).filter(|value| !value.is_null());
        let text = |name: &str| value(name).map(|value| value.to_text().as_str().to_owned());
        let says = |name: &str, default: bool| value(name).and_then(|value| value.to_bool()).unwrap_or(default);
        let list = |name: &str| match value(name) {
            Some(Value::List(items)) => items.to_vec(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let maps = |name: &str| list(name).iter().filter_map(Value::as_map).map(search).collect::<Vec<_>>();
        let mut access = Access::of(text, |_| None)?;
        access.role = text("assume_role_arn").or_else(|| text("iam_role_arn"));
        let mut searches = maps("include_filters");
        if searches.is_empty() || value("filters").is_some() {
            searches
                .insert(0, value("filters").as_ref().and_then(Value::as_map).map(search).unwrap_or_else(|| search(&Map::new())));
        }
        let exclusions = list("exclude_filters").iter().filter_map(Value::as_map).map(instances::filters).collect();
        Ok(Wish {
            access,
            regions: list("regions").iter().map(|region| region.to_text().as_str().to_owned()).collect(),
            searches,
            exclusions,
            skips_denied: !says("strict_permissions", true),
            hostnames: list("hostnames").iter().map(Name::of).collect(),
            all_names: says("allow_duplicated_hosts", false),
            prefix: text("hostvars_prefix").unwrap_or_default(),
            suffix: text("hostvars_suffix").unwrap_or_default(),
            has_tag_keys: says("use_contrib_script_compatible_ec2_tag_keys", false),
        })
    }

    /// Every instance of every region with the region's name, by its id.
    fn ask(&self) -> Result<Vec<(String, Instance)>, AwsError> {
        let regions = if self.regions.is_empty() { self.all_regions()? } else { self.regions.clone() };
        let mut found: Vec<(String, Instance)> = Vec::new();
        let mut excluded: Vec<String> = Vec::new();
        for region in regions {
            for (searches, is_exclusion) in [(&self.exclusions, true), (&self.searches, false)] {
                for filters in searches {
                    for instance in self.search(&region, filters)? {
                        let id = id_of(&instance);
                        if is_exclusion {
                            excluded.push(id);
                        } else if !excluded.contains(&id) && !found.iter().any(|(_, other)| id_of(other) == id) {
                            found.push((region.clone(), instance));
                        }
                    }
                }
            }
        }
        found.sort_by_key(|(_, instance)| id_of(instance));
        Ok(found)
    }

    fn search(&self, region: &str, filters: &[Filter]) -> Result<Vec<Instance>, AwsError> {
        let (access, filters) = (Access { region: Some(region.to_owned()), ..self.access.clone() }, filters.to_vec());
        let found = Session::wait(access, move |session| async move { instances::describe(&session, &filters, &[]).await });
        match found {
            Err(AwsError::Denied { .. }) if self.skips_denied => Ok(Vec::new()),
            found => found,
        }
    }

    fn all_regions(&self) -> Result<Vec<String>, AwsError> {
        let ask = |access: Access| Session::wait(access, |session| async move { instances::regions(&session).await });
        match ask(self.access.clone()) {
            Err(AwsError::NoRegion) => ask(Access { region: Some(ANY_REGION.to_owned()), ..self.access.clone() }),
            answer => answer,
        }
    }

    /// The variables of a host.
    fn variables(&self, region: &str, instance: &Instance) -> Map {
        let mut vars = instance.values.clone();
        vars.extend(instance.reservation.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut placement = vars.get("placement").and_then(Value::as_map).cloned().unwrap_or_default();
        placement.insert("region".into(), region.into());
        vars.insert("placement".into(), Value::map(placement));
        if self.has_tag_keys {
            let tags = instance.values.get("tags").and_then(Value::as_map);
            let keys = tags.into_iter().flatten().map(|(name, value)| (format!("ec2_tag_{name}").as_str().into(), value.clone()));
            vars.extend(keys.collect::<Vec<_>>());
        }
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return vars;
        }
        vars.into_iter().map(|(name, value)| (format!("{}{name}{}", self.prefix, self.suffix).as_str().into(), value)).collect()
    }

    /// What a host is called: by the first way that gives a name, or by all.
    fn names(&self, instance: &Instance) -> Vec<String> {
        let usual = ["dns-name", "private-dns-name"].map(Name::plain);
        let ways = if self.hostnames.is_empty() { usual.iter().collect() } else { self.hostnames.iter().collect::<Vec<_>>() };
        let mut names: Vec<String> = Vec::new();
        for way in ways {
            for name in way.names(instance, self.all_names) {
                let name = if name.contains(':') { safe(&name) } else { name };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if !self.all_names && !names.is_empty() {
                names.truncate(1);
                return names;
            }
        }
        names
    }
}

fn id_of(instance: &Instance) -> String {
    instance.values.get("instance_id").map(|id| id.to_text().as_str().to_owned()).unwrap_or_default()
}

/// Those that are gone for good count only where the filters ask for states.
fn search(filters: &Map) -> Vec<Filter> {
    let mut filters = instances::filters(filters);
    if !filters.iter().any(|(name, _)| name == "instance-state-name") {
        filters.push(("instance-state-name".to_owned(), STATES.map(str::to_owned).to_vec()));
    }
    filters
}

impl Name {
    fn plain(name: &str) -> Name {
        Name { name: name.to_owned(), prefix: None, separator: "_".to_owned() }
    }

    fn of(value: &Value) -> Name {
        let text = |key: &str| value.get(key).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned());
        match value.as_map() {
            Some(_) => Name {
                name: text("name").unwrap_or_default(),
                prefix: text("prefix").filter(|prefix| !prefix.is_empty()),
                separator: text("separator").unwrap_or_else(|| "_".to_owned()),
            },
            None => Name::plain(&value.to_text()),
        }
    }

    fn names(&self, instance: &Instance, all: bool) -> Vec<String> {
        let names = self.values(&self.name, instance, all);
        let Some(prefix) = &self.prefix else { return names };
        let prefixes = self.values(prefix, instance, false);
        let prefix = prefixes.first().unwrap_or(prefix);
        names.iter().map(|name| format!("{prefix}{}{name}", self.separator)).collect()
    }

    /// What one word stands for: a tag, an attribute by the name of its filter, or itself; filters of Jinja may follow.
    fn values(&self, word: &str, instance: &Instance, all: bool) -> Vec<String> {
        let (word, filters) = word.split_once('|').map_or((word, None), |(word, filters)| (word.trim(), Some(filters)));
        let values = match word.strip_prefix("tag:") {
            Some(tags) => tag_values(tags, instance, all),
            None => match attribute(word, instance) {
                Some(value) => vec![value],
                None if is_filter(word) => Vec::new(),
                None => vec![word.to_owned()],
            },
        };
        let filtered = |value: String| match filters {
            Some(filters) => constructed::filtered(&value, filters).unwrap_or(value),
            None => value,
        };
        values.into_iter().map(filtered).filter(|value| !value.is_empty()).collect()
    }
}

/// `Name` is its value; `Name=web1,Name=web2` is `Name_web1` where the value is that.
fn tag_values(tags: &str, instance: &Instance, all: bool) -> Vec<String> {
    let value =
        |name: &str| instance.values.get("tags").and_then(|tags| tags.get(name)).map(|value| value.to_text().as_str().to_owned());
    let found = tags.split(',').filter_map(|tag| match tag.trim().split_once('=') {
        Some((name, wanted)) => (value(name)? == wanted).then(|| format!("{name}_{wanted}")),
        None => value(tag.trim()),
    });
    let found: Vec<String> = found.collect();
    if all { found } else { found.into_iter().take(1).collect() }
}

/// Filters whose names say something else than the attribute's.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("affinity", &["placement", "affinity"]),
    ("availability-zone", &["placement", "availability_zone"]),
    ("dns-name", &["public_dns_name"]),
    ("host-id", &["placement", "host_id"]),
    ("instance-state-code", &["state", "code"]),
    ("instance-state-name", &["state", "name"]),
    ("ip-address", &["public_ip_address"]),
    ("launch-index", &["ami_launch_index"]),
    ("monitoring-state", &["monitoring", "state"]),
    ("placement-group-name", &["placement", "group_name"]),
    ("reason", &["state_transition_reason"]),
    ("state-reason-code", &["state_reason", "code"]),
    ("state-reason-message", &["state_reason", "message"]),
    ("tenancy", &["placement", "tenancy"]),
];

/// Filters that are called like the attribute.
const SAME: [&str; 20] = [
    "architecture",
    "client-token",
    "hypervisor",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-type",
    "kernel-id",
    "key-name",
    "owner-id",
    "platform",
    "private-dns-name",
    "private-ip-address",
    "ramdisk-id",
    "requester-id",
    "reservation-id",
    "root-device-name",
    "subnet-id",
    "virtualization-type",
    "vpc-id",
];

fn is_filter(word: &str) -> bool {
    SAME.contains(&word) || ATTRIBUTES.iter().any(|(name, _)| *name == word)
}

/// The attribute that a filter of this name is about; none where it is empty.
fn attribute(word: &str, instance: &Instance) -> Option<String> {
    let text = |value: &Value| Some(value.to_text().as_str().to_owned()).filter(|text| !text.is_empty());
    if let Some((_, path)) = ATTRIBUTES.iter().find(|(name, _)| *name == word) {
        let (first, rest) = path.split_first()?;
        return text(rest.iter().try_fold(instance.values.get(*first)?, |value, key| value.get(key))?);
    }
    let name = word.replace('-', "_");
    let found = || instance.values.get(name.as_str()).or_else(|| instance.reservation.get(name.as_str()));
    SAME.contains(&word).then(found).flatten().and_then(text)
}

fn add(loading: &mut Loading<'_>, given: &Given, document: &Node, wish: &Wish, found: Vec<(String, Instance)>) {
    loading.inventory.add_group(NAME);
    for (region, instance) in found {
        let vars = wish.variables(&region, &instance);
        for host in wish.names(&instance) {
            loading.add_host(&host, Some(NAME), document.span);
            for (name, value) in &vars {
                loading.inventory.set_host_var(&host, &name.to_string(), value.clone());
            }
            if let Err(why) = constructed::construct_with(loading, document, &host, vars.clone()) {
                return loading.report(&Problem::NotConstructed { file: given.name.clone(), host, why });
            }
        }
    }
    loading.inventory.finish();
}
