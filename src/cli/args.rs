//! What can be typed.

use super::vault::VaultCommand;
use crate::engine::Direction;
use crate::lab::Balancer;
use crate::report;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// Runs Ansible playbooks over SSH with nothing installed on the hosts, and rolls out releases one node at a time.
#[derive(Debug, Parser)]
#[command(
    name = "roll",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "roll [OPTIONS] -i <INVENTORY> <PLAYBOOK>...\n       roll <COMMAND> …"
)]
pub(super) struct Invocation {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Rehearse a playbook on disposable machines, under load
    Rehearse(RehearseArgs),
    /// Keep disposable machines for trying things by hand
    Lab(LabArgs),
    /// Run one module on hosts, without a playbook
    Exec(ExecArgs),
    /// Show what runs where, and who is rolling it out
    Status(StatusArgs),
    /// Show what was rolled out, by whom and when
    History(RunArgs),
    /// Say what a rollout would do
    Plan(PlanArgs),
    /// Do what a plan says, if nothing has changed since
    Apply(ApplyArgs),
    /// Go on with a rollout that was left unfinished
    Resume(RunArgs),
    /// Go back from a rollout that was left unfinished, or to a release
    Rollback(RollbackArgs),
    /// Let the rollout that runs wait before its next host
    Pause(RunArgs),
    /// Let a rollout that waits go on
    Continue(RunArgs),
    /// Show the inventory as it is read
    Inventory(InventoryArgs),
    /// Say what a module does and takes
    Doc(DocArgs),
    /// Say what the load balancer's settings cost a rollout, and what `rollout:` would add to a play without it
    ///
    /// Reads the target group or the backend that the playbook's rollouts name, and how long the app keeps idle connections. Changes
    /// nothing. Exit code 2: something costs requests.
    Doctor(DoctorArgs),
    /// Check playbooks, and warn about what is seldom meant
    Lint(LintArgs),
    /// Show the settings of `ansible.cfg` and of the environment
    Config(ConfigArgs),
    /// Install roles and collections
    Galaxy(GalaxyArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print a JSON Schema of playbooks
    Schema,
    /// Print the manual page
    #[command(hide = true)]
    Man,
    /// Encrypt and decrypt files and values
    #[command(subcommand)]
    Vault(VaultCommand),
}

/// The flags of `ansible-playbook`, and some more.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunArgs {
    /// Playbooks, run one after the other
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub(super) playbooks: Vec<PathBuf>,
    /// Inventory: a file, a directory, a Terraform directory or output, or a list of hosts with a comma; may be repeated
    #[arg(short, long, visible_alias = "inventory-file", value_name = "INVENTORY")]
    pub(super) inventory: Vec<String>,
    /// Only hosts of this pattern
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Vec<String>,
    /// Variables: k=v, JSON or YAML, or @FILE; may be repeated
    #[arg(short, long, value_name = "VARIABLES")]
    pub(super) extra_vars: Vec<String>,
    /// Only tasks with these tags; may be repeated
    #[arg(short, long, value_name = "TAGS")]
    pub(super) tags: Vec<String>,
    /// No tasks with these tags; may be repeated
    #[arg(long, value_name = "TAGS")]
    pub(super) skip_tags: Vec<String>,
    /// Change nothing; say what would change
    #[arg(short = 'C', long)]
    pub(super) check: bool,
    /// Show what changes
    #[arg(short = 'D', long)]
    pub(super) diff: bool,
    /// Hosts at the same time [default: 5]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) forks: Option<u16>,
    /// Show results; more often: more
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Check everything, and run nothing
    #[arg(long)]
    pub(super) syntax_check: bool,
    /// List the hosts of each play, and run nothing
    #[arg(long)]
    pub(super) list_hosts: bool,
    /// List the tasks of each play, and run nothing
    #[arg(long)]
    pub(super) list_tasks: bool,
    /// List the tags of each play, and run nothing
    #[arg(long)]
    pub(super) list_tags: bool,
    /// Begin at the task of this name
    #[arg(long, value_name = "NAME")]
    pub(super) start_at_task: Option<String>,
    /// Ask before each task
    #[arg(long)]
    pub(super) step: bool,
    /// Run notified handlers even on hosts that failed
    #[arg(long)]
    pub(super) force_handlers: bool,
    /// Facts that were kept by earlier runs are gathered anew
    #[arg(long)]
    pub(super) flush_cache: bool,
    /// Where modules of your own are looked for, before `library` of the configuration
    #[arg(short = 'M', long, value_name = "PATH")]
    pub(super) module_path: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) escalation: BecomeArgs,
    #[command(flatten)]
    pub(super) vault: VaultArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Rollouts: leave out hosts that are dead already
    #[arg(long)]
    pub(super) skip_dead: bool,
    /// Rollouts: drop the waits that are not for safety, and take over from one that runs; the reason goes into the history
    #[arg(long, value_name = "WHY")]
    pub(super) hotfix: Option<String>,
    /// Rollouts: nothing may serve for a while
    #[arg(long)]
    pub(super) accept_downtime: bool,
    #[arg(skip)]
    pub(super) direction: Direction,
    /// What is to be typed for the same again, where that is not what was typed.
    #[arg(skip)]
    pub(super) words: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Look again and again, until Ctrl-C
    #[arg(short, long)]
    pub(super) watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Write the plan to a file for `roll apply`
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Exit with 3 where there is something to do
    #[arg(long)]
    pub(super) exit_code: bool,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// A file that `roll plan --out` wrote
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// No colours
    #[arg(long)]
    pub(super) no_color: bool,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// The release to put in place instead
    #[arg(long, value_name = "RELEASE")]
    pub(super) to: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// Log in as this user
    #[arg(short, long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// Log in with this key
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub(super) private_key: Option<PathBuf>,
    /// ssh or local
    #[arg(short, long, value_name = "KIND")]
    pub(super) connection: Option<String>,
    /// Seconds to wait for a host
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,
    /// Options as for `ssh`
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(super) ssh_common_args: Option<String>,
    /// More options as for `ssh`
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(super) ssh_extra_args: Option<String>,
    /// Accepted: files do not travel by sftp
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub(super) sftp_extra_args: Option<String>,
    /// Accepted: files do not travel by scp
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub(super) scp_extra_args: Option<String>,
    /// Ask for the login password
    #[arg(short = 'k', long)]
    pub(super) ask_pass: bool,
    /// Read the login password from a file
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE", conflicts_with = "ask_pass")]
    pub(super) connection_password_file: Option<PathBuf>,
    /// Write down the keys of hosts that are seen for the first time, and go on
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Become")]
pub(super) struct BecomeArgs {
    /// Run as another user
    #[arg(short = 'b', long = "become")]
    pub(super) become_it: bool,
    /// sudo or su [default: sudo]
    #[arg(long, value_name = "METHOD")]
    pub(super) become_method: Option<String>,
    /// Which user [default: root]
    #[arg(long, value_name = "USER")]
    pub(super) become_user: Option<String>,
    /// Ask for the password of sudo or su
    #[arg(short = 'K', long)]
    pub(super) ask_become_pass: bool,
    /// Read the password of sudo or su from a file
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE", conflicts_with = "ask_become_pass")]
    pub(super) become_password_file: Option<PathBuf>,
}

/// What vaults are opened with.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Vault")]
pub(super) struct VaultArgs {
    /// A vault id, LABEL@SOURCE or SOURCE: a file, a program, or the word prompt; may be repeated
    #[arg(long, value_name = "ID")]
    pub(super) vault_id: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long, visible_alias = "ask-vault-pass")]
    pub(super) ask_vault_password: bool,
    /// Read the vault password from a file, or from a program's output; may be repeated
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE")]
    pub(super) vault_password_file: Vec<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// What is written to standard output [default: plain]
    #[arg(long, value_name = "FORM", value_parser = outputs())]
    pub(super) output: Option<String>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// No colours
    #[arg(long)]
    pub(super) no_color: bool,
}

/// The table of reporters.
fn outputs() -> PossibleValuesParser {
    report::OUTPUTS.iter().map(|output| PossibleValue::new(output.name).help(output.help)).into()
}

/// Which points of the crash matrix are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoints {
    Count(usize),
    Part { part: usize, of: usize },
    Calls { first: u64, last: u64 },
}

impl FromStr for CrashPoints {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fn number<N: FromStr + PartialOrd + Default>(text: &str) -> Option<N> {
            text.parse().ok().filter(|number| *number > N::default())
        }
        fn pair<N: FromStr + PartialOrd + Default>((one, other): (&str, &str)) -> Option<(N, N)> {
            number(one).zip(number(other)).filter(|(one, other)| one <= other)
        }
        let points = match (text.split_once('/'), text.split_once('-')) {
            (Some(both), _) => pair(both).map(|(part, of)| CrashPoints::Part { part, of }),
            (None, Some(both)) => pair(both).map(|(first, last)| CrashPoints::Calls { first, last }),
            (None, None) => number(text).map(CrashPoints::Count),
        };
        points
            .ok_or_else(|| "a number of points, such as 20, a part of them, such as 2/4, or those at the calls 60-64".to_owned())
    }
}

#[derive(Debug, Args)]
pub(super) struct RehearseArgs {
    /// The playbook to rehearse
    #[arg(value_name = "PLAYBOOK")]
    pub(super) playbook: PathBuf,
    /// How many hosts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(super) hosts: u8,
    #[command(flatten)]
    pub(super) balancer: BalancerArgs,
    /// Leave the machines there afterwards
    #[arg(long)]
    pub(super) keep: bool,
    /// Requests per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(super) rate: Option<u32>,
    /// On a lab that is up already, and stays
    #[arg(long, value_name = "ID", conflicts_with_all = ["hosts", "kind", "lag", "second_port", "keep"])]
    pub(super) lab: Option<String>,
    /// Instead: kill the controller before, during and after each of its calls, go on and back from elsewhere; all points, so many of them,
    /// every fourth from the second (`2/4`), where several labs share them, or those at the calls 60 to 64 (`60-64`)
    #[arg(long, value_name = "N|K/N|A-B", num_args = 0..=1, require_equals = true)]
    pub(super) crashes: Option<Option<CrashPoints>>,
    /// Instead: make trouble in the middle of rollouts, and see what holds; all there is, or those that are named, with commas
    #[arg(long, value_name = "LIST", num_args = 0..=1, require_equals = true, conflicts_with = "crashes")]
    pub(super) faults: Option<Option<String>>,
    /// Instead: roll two releases out in turn, so many times
    #[arg(long, value_name = "N", conflicts_with_all = ["crashes", "faults"], value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) soak: Option<u16>,
    /// Variables that make a release broken: k=v; may be repeated [default: palindrome_break=health]
    #[arg(long = "break", value_name = "VARIABLES")]
    pub(super) breaks: Vec<String>,
    /// Which points are drawn
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// Variables of every run: k=v; may be repeated
    #[arg(short, long, value_name = "VARIABLES")]
    pub(super) extra_vars: Vec<String>,
    /// plain or json
    #[arg(long, value_name = "FORM", value_parser = ["plain", "json"])]
    pub(super) output: Option<String>,
    /// More arguments for every run
    #[arg(last = true, value_name = "ARGS")]
    pub(super) arguments: Vec<OsString>,
}

/// What the lab's load balancer stands for.
#[derive(Debug, Clone, Args)]
pub(super) struct BalancerArgs {
    /// haproxy, or alb: a double of its API that drives the same HAProxy
    #[arg(long = "balancer", value_name = "KIND", default_value = "haproxy", value_parser = ["haproxy", "alb"])]
    kind: String,
    /// alb: seconds until its nodes follow its API
    #[arg(long = "lag", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u8).range(..=70))]
    lag: u8,
    /// Give every host a second port behind the balancer, for `start: first` (variables balancer_second_port and balancer_second_server)
    #[arg(long)]
    second_port: bool,
}

impl BalancerArgs {
    pub(super) fn has_second_port(&self) -> bool {
        self.second_port
    }

    pub(super) fn balancer(&self) -> Balancer {
        if self.kind == "alb" { Balancer::Alb { lag_seconds: self.lag.into() } } else { Balancer::HaProxy }
    }
}

#[derive(Debug, Args)]
pub(super) struct LabArgs {
    #[command(subcommand)]
    pub(super) command: LabCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Make a lab and say how to use it
    Up {
        /// How many hosts
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
        hosts: u8,
        #[command(flatten)]
        balancer: BalancerArgs,
    },
    /// Stand for an Application Load Balancer, as this file says
    #[command(hide = true)]
    Double {
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
    /// List the labs that are there
    Status,
    /// Ask a lab's balancer for pages, until Ctrl-C or for so long, and say what was lost
    Load {
        /// Which one; not needed where there is only one
        id: Option<String>,
        /// Requests a second
        #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=2000))]
        rate: u32,
        /// How long at most
        #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=7200))]
        seconds: u64,
        #[arg(long, value_name = "FORM", value_parser = ["plain", "json"])]
        output: Option<String>,
    },
    /// Take a lab away with everything it made
    Down {
        /// Which one; not needed where there is only one
        id: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

/// The flags of `ansible-playbook` and nothing else.
#[derive(Debug, Parser)]
#[command(name = "ansible-playbook", version, disable_help_subcommand = true)]
pub(super) struct PlaybookInvocation {
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// The flags of `ansible`.
#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// Which hosts
    #[arg(value_name = "PATTERN")]
    pub(super) pattern: String,
    /// The module
    #[arg(short, long, value_name = "MODULE", default_value = "command")]
    pub(super) module_name: String,
    /// Its arguments: k=v, a command line, or JSON
    #[arg(short, long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    pub(super) args: String,
    /// Inventory: as for a run; may be repeated
    #[arg(short, long, visible_alias = "inventory-file", value_name = "INVENTORY")]
    pub(super) inventory: Vec<String>,
    /// Only hosts of this pattern
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Vec<String>,
    /// Variables: k=v, JSON or YAML, or @FILE; may be repeated
    #[arg(short, long, value_name = "VARIABLES")]
    pub(super) extra_vars: Vec<String>,
    /// Change nothing; say what would change
    #[arg(short = 'C', long)]
    pub(super) check: bool,
    /// Show what changes
    #[arg(short = 'D', long)]
    pub(super) diff: bool,
    /// Hosts at the same time [default: 5]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) forks: Option<u16>,
    /// Show results; more often: more
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// List the hosts, and run nothing
    #[arg(long)]
    pub(super) list_hosts: bool,
    /// A line for each host
    #[arg(short, long)]
    pub(super) one_line: bool,
    /// Run in the background for at most this many seconds
    #[arg(short = 'B', long, value_name = "SECONDS")]
    pub(super) background: Option<u64>,
    /// Seconds between looks at what runs in the background
    #[arg(short = 'P', long, value_name = "SECONDS")]
    pub(super) poll: Option<u64>,
    /// Seconds that the task may take
    #[arg(long, value_name = "SECONDS")]
    pub(super) task_timeout: Option<u64>,
    /// Where modules of your own are looked for, before `library` of the configuration
    #[arg(short = 'M', long, value_name = "PATH")]
    pub(super) module_path: Vec<PathBuf>,
    /// Facts that were kept by earlier runs are gathered anew
    #[arg(long)]
    pub(super) flush_cache: bool,
    /// Where `group_vars` and `roles` are looked for
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) playbook_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) escalation: BecomeArgs,
    #[command(flatten)]
    pub(super) vault: VaultArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct InventoryArgs {
    #[command(flatten)]
    pub(super) vault: VaultArgs,
    /// Inventory: as for a run; may be repeated
    #[arg(short, long, visible_alias = "inventory-file", value_name = "INVENTORY")]
    pub(super) inventory: Vec<String>,
    /// Only hosts of this pattern
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Vec<String>,
    /// All of it, as JSON
    #[arg(long, conflicts_with_all = ["graph", "host"])]
    pub(super) list: bool,
    /// Groups and hosts as a tree
    #[arg(long, conflicts_with = "host")]
    pub(super) graph: bool,
    /// With variables
    #[arg(long, requires = "graph")]
    pub(super) vars: bool,
    /// Variables of one host, as JSON
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<String>,
    /// YAML instead of JSON
    #[arg(short, long)]
    pub(super) yaml: bool,
    /// Variables of groups at the groups, not at their hosts
    #[arg(long)]
    pub(super) export: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Where `group_vars` and `host_vars` are looked for besides
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) playbook_dir: Option<PathBuf>,
    /// Variables: k=v, JSON or YAML, or @FILE; may be repeated
    #[arg(short, long, value_name = "VARIABLES")]
    pub(super) extra_vars: Vec<String>,
    /// Accepted, so that scripts need no change
    #[arg(short, long, action = ArgAction::Count, hide = true)]
    pub(super) verbose: u8,
    /// Accepted: nothing about the inventory is kept between runs
    #[arg(long, hide = true)]
    pub(super) flush_cache: bool,
    /// Where the tree begins
    #[arg(value_name = "GROUP", default_value = "all")]
    pub(super) group: String,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// What to show: all settings there are, what they are set to, or the file
    #[arg(value_name = "WHAT", value_parser = ["list", "dump", "view"], default_value = "dump")]
    pub(super) what: String,
    /// The file, where it is not looked for
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Only what is set
    #[arg(long, visible_alias = "changed-only")]
    pub(super) only_changed: bool,
    /// Accepted, so that scripts need no change
    #[arg(short, long, action = ArgAction::Count, hide = true)]
    pub(super) verbose: u8,
}

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// The playbooks
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub(super) playbooks: Vec<PathBuf>,
    /// Inventory: as for a run; may be repeated
    #[arg(short, long, value_name = "INVENTORY")]
    pub(super) inventory: Vec<String>,
    /// Variables: k=v, JSON or YAML, or @FILE; may be repeated
    #[arg(short, long, value_name = "VARIABLES")]
    pub(super) extra_vars: Vec<String>,
    /// Leave out a warning, such as lint-unnamed; may be repeated
    #[arg(short = 'x', long, value_name = "CODE")]
    pub(super) skip: Vec<String>,
    /// Exit with 1 if there are warnings
    #[arg(long)]
    pub(super) strict: bool,
    /// No colours
    #[arg(long)]
    pub(super) no_color: bool,
    #[command(flatten)]
    pub(super) vault: VaultArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Shell {
    Bash,
    Fish,
    Zsh,
}

#[derive(Debug, Args)]
pub(super) struct GalaxyArgs {
    /// role or collection, as for `ansible-galaxy`; left out: both
    #[arg(value_name = "WORDS", num_args = 0.., trailing_var_arg = false)]
    pub(super) words: Vec<String>,
    /// What to install
    #[arg(short = 'r', long = "requirements-file", visible_alias = "role-file", value_name = "FILE")]
    pub(super) requirements: Option<PathBuf>,
    /// Where roles go [default: the first of `roles_path`]
    #[arg(short = 'p', long, visible_alias = "collections-path", value_name = "DIRECTORY")]
    pub(super) roles_path: Option<PathBuf>,
    /// The Galaxy server
    #[arg(short, long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// Install what is there already, too
    #[arg(short, long)]
    pub(super) force: bool,
    /// No dependencies
    #[arg(short, long)]
    pub(super) no_deps: bool,
    /// Accepted, so that scripts need no change
    #[arg(short, long, action = ArgAction::Count, hide = true)]
    pub(super) verbose: u8,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Do not watch how long the app keeps an idle connection, which takes up to 65 s
    #[arg(long)]
    pub(super) no_app: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Args)]
pub(super) struct DocArgs {
    /// A module; none lists all
    pub(super) module: Option<String>,
    /// List the keywords of playbooks
    #[arg(long)]
    pub(super) keywords: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn typed(words: &str) -> Invocation {
        Invocation::try_parse_from(std::iter::once("roll").chain(words.split_whitespace())).unwrap()
    }

    #[test]
    fn the_table_of_arguments_is_sound() {
        Invocation::command().debug_assert();
    }

    #[test]
    fn a_run_needs_no_subcommand() {
        let run = typed("-i hosts -vv -e a=1 -e b=2 -CD -t x,y site.yaml doc").run;
        assert_eq!(run.playbooks, [PathBuf::from("site.yaml"), PathBuf::from("doc")]);
        assert_eq!((run.verbose, run.check, run.diff), (2, true, true));
        assert_eq!(run.extra_vars, ["a=1", "b=2"]);
        assert!(matches!(typed("doc apt").command, Some(Command::Doc(_))));
        assert!(typed("./doc").command.is_none());
        assert_eq!(typed("--ssh-common-args -oA=b x.yaml").run.connection.ssh_common_args.as_deref(), Some("-oA=b"));
    }
}
