//! Rows of what runs, wholly or at first, on the control side: arguments only. What they do is in `actions`.

use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule, control_aws, finish_plainly};

const RAW: &str = "_raw_params";

const fn row(name: &'static str, summary: &'static str, args: &'static [&'static [Arg]]) -> Module {
    row_of("ansible.builtin", name, summary, args, &[])
}

pub(super) const fn row_of(
    collection: &'static str,
    name: &'static str,
    summary: &'static str,
    args: &'static [&'static [Arg]],
    rules: &'static [Rule],
) -> Module {
    Module { name, collection, summary, args, rules, free_form: None, plan: never, finish: finish_plainly }
}

const fn free(name: &'static str, summary: &'static str, args: &'static [&'static [Arg]]) -> Module {
    Module { free_form: Some(RAW), ..row(name, summary, args) }
}

fn never(_: &Args, _: &dyn Look) -> Result<Plan, Failure> {
    Err(Failure::new("this module runs on the control side"))
}

const ANY: Arg = Arg::new(Arg::ANY, Kind::Raw, "any name");
const RAW_ARG: Arg = Arg::new(RAW, Kind::Raw, "the bare text of the task");

const DEBUG: Module = row(
    "debug",
    "prints a message or a variable",
    &[&[
        Arg::new("msg", Kind::Raw, "what to print (default: Hello world!)").keeps_null(),
        Arg::new("var", Kind::Raw, "name of the variable to print, or an expression"),
        Arg::new("verbosity", Kind::Int, "only with at least this many -v").default("0"),
    ]],
);

const SET_FACT: Module = row(
    "set_fact",
    "sets variables of the host",
    &[&[Arg::new("cacheable", Kind::Bool, "keep it in the fact cache").default("no"), ANY]],
);

const ASSERT: Module = row(
    "assert",
    "fails unless conditions hold",
    &[&[
        Arg::new("that", Kind::Raw, "a condition or a list of them").required(),
        Arg::new("fail_msg", Kind::Raw, "shown when one does not hold").aliases(&["msg"]),
        Arg::new("success_msg", Kind::Raw, "shown when all hold"),
        Arg::new("quiet", Kind::Bool, "say less").default("no"),
    ]],
);

const FAIL: Module =
    row("fail", "fails with a message", &[&[Arg::new("msg", Kind::Raw, "why").default("Failed as requested from task")]]);

const META: Module = free("meta", "tells the run what to do: flush_handlers, end_play, end_host …", &[&[RAW_ARG]]);

const INCLUDE_VARS: Module = free(
    "include_vars",
    "loads variables from a file or a directory",
    &[&[
        RAW_ARG,
        Arg::new("file", Kind::Path, "file to load"),
        Arg::new("dir", Kind::Path, "directory to load"),
        Arg::new("name", Kind::Str, "put them under this variable"),
        Arg::new("depth", Kind::Int, "how deep into the directory").default("0"),
        Arg::new("files_matching", Kind::Str, "pattern of file names"),
        Arg::new("ignore_files", Kind::List, "names to pass over"),
        Arg::new("extensions", Kind::List, "file extensions").default("json,yaml,yml"),
        Arg::new("ignore_unknown_extensions", Kind::Bool, "pass over other files").default("no"),
        Arg::new("hash_behaviour", Kind::Str, "replace or merge").choices(&["replace", "merge"]),
    ]],
);

const ADD_HOST: Module = row(
    "add_host",
    "adds a host to the inventory of this run",
    &[&[
        Arg::new("name", Kind::Str, "its name").aliases(&["hostname", "host"]).required(),
        Arg::new("groups", Kind::List, "its groups").aliases(&["group", "groupname"]),
        ANY,
    ]],
);

const GATHER_FACTS: Module = row(
    "gather_facts",
    "asks the host about itself, as a play does at its beginning",
    &[&[
        Arg::new("parallel", Kind::Bool, "accepted; the strategy decides"),
        Arg::new("gather_subset", Kind::List, "which facts").default("all"),
        Arg::new("gather_timeout", Kind::Int, "seconds for each source").default("10"),
        Arg::new("filter", Kind::List, "patterns of the facts that are wanted"),
        Arg::new("fact_path", Kind::Path, "directory of local facts").default("/etc/ansible/facts.d"),
    ]],
);

const GROUP_BY: Module = row(
    "group_by",
    "puts hosts into groups by a value",
    &[&[
        Arg::new("key", Kind::Str, "name of the group").required(),
        Arg::new("parents", Kind::List, "its parent groups").default("all"),
    ]],
);

const PAUSE: Module = row(
    "pause",
    "waits, or asks",
    &[&[
        Arg::new("minutes", Kind::Float, "how long"),
        Arg::new("seconds", Kind::Float, "how long"),
        Arg::new("prompt", Kind::Str, "what to say"),
        Arg::new("echo", Kind::Bool, "show what is typed").default("yes"),
    ]],
);

const INCLUDE_ARGS: &[Arg] =
    &[RAW_ARG, Arg::new("file", Kind::Str, "path of the file"), Arg::new("apply", Kind::Dict, "keywords for the tasks in it")];

const INCLUDE_TASKS: Module = free("include_tasks", "adds the tasks of a file while the play runs", &[INCLUDE_ARGS]);
const IMPORT_TASKS: Module = free("import_tasks", "adds the tasks of a file before the play runs", &[INCLUDE_ARGS]);

const ROLE_ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "name of the role").aliases(&["role"]).required(),
    Arg::new("tasks_from", Kind::Str, "file in tasks/").default("main"),
    Arg::new("vars_from", Kind::Str, "file in vars/").default("main"),
    Arg::new("defaults_from", Kind::Str, "file in defaults/").default("main"),
    Arg::new("handlers_from", Kind::Str, "file in handlers/").default("main"),
    Arg::new("allow_duplicates", Kind::Bool, "run it again").default("yes"),
    Arg::new("apply", Kind::Dict, "keywords for its tasks"),
    Arg::new("public", Kind::Bool, "its variables stay for the rest of the play"),
    Arg::new("rolespec_validate", Kind::Bool, "check its argument_specs").default("yes"),
];

const INCLUDE_ROLE: Module = row("include_role", "runs a role while the play runs", &[ROLE_ARGS]);
const IMPORT_ROLE: Module = row("import_role", "adds the tasks of a role before the play runs", &[ROLE_ARGS]);

const RAW_MODULE: Module = free(
    "raw",
    "runs a command line through the login shell, with nothing else",
    &[&[RAW_ARG, Arg::new("executable", Kind::Path, "shell to use instead")]],
);

const REBOOT: Module = row(
    "reboot",
    "reboots the host and waits until it is back",
    &[&[
        Arg::new("pre_reboot_delay", Kind::Int, "seconds before it goes down, in whole minutes")
            .aliases(&["pre_reboot_delay_sec"])
            .default("0"),
        Arg::new("post_reboot_delay", Kind::Int, "seconds before the first look")
            .aliases(&["post_reboot_delay_sec"])
            .default("0"),
        Arg::new("reboot_timeout", Kind::Int, "seconds in all").aliases(&["reboot_timeout_sec"]).default("600"),
        Arg::new("connect_timeout", Kind::Int, "seconds for one try").aliases(&["connect_timeout_sec"]),
        Arg::new("test_command", Kind::Str, "must end well once it is back").default("whoami"),
        Arg::new("msg", Kind::Str, "what users on the host are told").default("Reboot initiated by Ansible"),
        Arg::new("search_paths", Kind::List, "where `shutdown` is looked for")
            .default("/sbin,/bin,/usr/sbin,/usr/bin,/usr/local/sbin"),
        Arg::new("boot_time_command", Kind::Str, "answers otherwise after every boot"),
        Arg::new("reboot_command", Kind::Str, "instead of `shutdown`"),
    ]],
);

const SYNCHRONIZE: Module = Module {
    collection: "ansible.posix",
    ..row(
        "synchronize",
        "brings directories into line with rsync",
        &[&[
            Arg::new("src", Kind::Str, "what to bring over; with a trailing `/`, what is in it").required(),
            Arg::new("dest", Kind::Str, "where to").required(),
            Arg::new("mode", Kind::Str, "`push` to the host, or `pull` from it").choices(&["push", "pull"]).default("push"),
            Arg::new("archive", Kind::Bool, "recursive, links, perms, times, owner, group").default("yes"),
            Arg::new("checksum", Kind::Bool, "compare contents rather than sizes and times").default("no"),
            Arg::new("compress", Kind::Bool, "compress on the way").default("yes"),
            Arg::new("copy_links", Kind::Bool, "copy what links point to").default("no"),
            Arg::new("delay_updates", Kind::Bool, "put files in place at the end").default("yes"),
            Arg::new("delete", Kind::Bool, "remove what `src` does not have").default("no"),
            Arg::new("dirs", Kind::Bool, "directories without what is in them").default("no"),
            Arg::new("existing_only", Kind::Bool, "nothing that is not there already").default("no"),
            Arg::new("recursive", Kind::Bool, "directories with what is in them (default: as `archive`)"),
            Arg::new("links", Kind::Bool, "copy links as links (default: as `archive`)"),
            Arg::new("perms", Kind::Bool, "keep permissions (default: as `archive`)"),
            Arg::new("times", Kind::Bool, "keep modification times (default: as `archive`)"),
            Arg::new("owner", Kind::Bool, "keep the owner (default: as `archive`)"),
            Arg::new("group", Kind::Bool, "keep the group (default: as `archive`)"),
            Arg::new("partial", Kind::Bool, "keep what came of files that were cut off").default("no"),
            Arg::new("link_dest", Kind::List, "make hard links to the same files in these"),
            Arg::new("rsync_opts", Kind::List, "more options for rsync"),
            Arg::new("rsync_path", Kind::Str, "rsync on the other end"),
            Arg::new("rsync_timeout", Kind::Int, "seconds of silence after which it fails").default("0"),
            Arg::new("dest_port", Kind::Int, "port of the host (default: that of the connection)"),
            Arg::new("private_key", Kind::Path, "key to log in with (default: that of the connection)"),
            Arg::new("set_remote_user", Kind::Bool, "log in as the connection does").default("yes"),
            Arg::new("use_ssh_args", Kind::Bool, "the connection's arguments are used in any case").inert().default("no"),
            Arg::new("ssh_connection_multiplexing", Kind::Bool, "let ssh share connections").inert().default("no"),
            Arg::new("verify_host", Kind::Bool, "check the host's key (default: as the connection does)"),
        ]],
    )
};

const SCRIPT: Module = free(
    "script",
    "runs a script of the control side on the host",
    &[&[
        RAW_ARG,
        Arg::new("cmd", Kind::Str, "path of the script and its arguments"),
        Arg::new("creates", Kind::Path, "do nothing if this exists"),
        Arg::new("removes", Kind::Path, "do nothing unless this exists"),
        Arg::new("chdir", Kind::Path, "directory to run it in"),
        Arg::new("executable", Kind::Str, "interpreter"),
        Arg::new("decrypt", Kind::Bool, "open it if it is a vault").default("yes"),
    ]],
);

const TEMPLATE: Module = row(
    "template",
    "renders a file of the control side onto the host",
    &[
        &[
            Arg::new("src", Kind::Str, "the template").required(),
            Arg::new("dest", Kind::Path, "where to put it").required(),
            Arg::new("backup", Kind::Bool, "keep the old file").default("no"),
            Arg::new("force", Kind::Bool, "replace a different file").default("yes"),
            Arg::new("validate", Kind::Str, "command that must accept it; %s is the new file"),
            Arg::new("follow", Kind::Bool, "write through a link").default("no"),
            Arg::new("newline_sequence", Kind::Str, "line ends").choices(&["\\n", "\\r", "\\r\\n", "\n", "\r", "\r\n"]),
            Arg::new("block_start_string", Kind::Str, "instead of {%"),
            Arg::new("block_end_string", Kind::Str, "instead of %}"),
            Arg::new("variable_start_string", Kind::Str, "instead of {{"),
            Arg::new("variable_end_string", Kind::Str, "instead of }}"),
            Arg::new("comment_start_string", Kind::Str, "instead of {#"),
            Arg::new("comment_end_string", Kind::Str, "instead of #}"),
            Arg::new("trim_blocks", Kind::Bool, "drop the line end after a block").default("yes"),
            Arg::new("lstrip_blocks", Kind::Bool, "drop blanks before a block").default("no"),
            Arg::new("output_encoding", Kind::Str, "encoding of the result").default("utf-8"),
        ],
        super::attrs::FILE_ARGS,
    ],
);

const FETCH: Module = row(
    "fetch",
    "copies a file of the host to the control side",
    &[&[
        Arg::new("src", Kind::Path, "the file on the host").required(),
        Arg::new("dest", Kind::Str, "where to put it").required(),
        Arg::new("flat", Kind::Bool, "put it right at dest").default("no"),
        Arg::new("fail_on_missing", Kind::Bool, "a missing file is a failure").default("yes"),
        Arg::new("validate_checksum", Kind::Bool, "compare checksums after").default("yes"),
    ]],
);

const SET_STATS: Module = row(
    "set_stats",
    "values for the end of the run",
    &[&[
        Arg::new("data", Kind::Raw, "names and values").required(),
        Arg::new("per_host", Kind::Raw, "for each host (default: no)"),
        Arg::new("aggregate", Kind::Raw, "add up (default: yes)"),
    ]],
);

const WAIT_FOR_CONNECTION: Module = row(
    "wait_for_connection",
    "waits until the host answers",
    &[&[
        Arg::new("connect_timeout", Kind::Int, "seconds for one try").default("5"),
        Arg::new("delay", Kind::Int, "seconds before the first try").default("0"),
        Arg::new("sleep", Kind::Int, "seconds between tries").default("1"),
        Arg::new("timeout", Kind::Int, "seconds in all").default("600"),
    ]],
);

const VALIDATE_ARGUMENT_SPEC: Module = row(
    "validate_argument_spec",
    "checks variables against what a role declares",
    &[&[
        Arg::new("argument_spec", Kind::Dict, "options with their types").required(),
        Arg::new("provided_arguments", Kind::Dict, "values that count more than variables"),
        Arg::new("validate_args_context", Kind::Dict, "what it is for; returned as it is"),
    ]],
);

/// `import_playbook` stands where a play does and is no task; `include` went in ansible-core 2.16.
pub static CONTROL: &[&Module] = &[
    &ADD_HOST,
    &ASSERT,
    &DEBUG,
    &control_aws::EC2_INSTANCE_INFO,
    &control_aws::ELB_TARGET,
    &control_aws::ELB_TARGET_GROUP_INFO,
    &control_aws::ELB_TARGET_INFO,
    &FAIL,
    &FETCH,
    &GATHER_FACTS,
    &GROUP_BY,
    &IMPORT_ROLE,
    &IMPORT_TASKS,
    &INCLUDE_ROLE,
    &INCLUDE_TASKS,
    &INCLUDE_VARS,
    &META,
    &PAUSE,
    &RAW_MODULE,
    &REBOOT,
    &control_aws::S3_OBJECT,
    &SCRIPT,
    &control_aws::SECRETSMANAGER_SECRET,
    &SET_FACT,
    &SET_STATS,
    &control_aws::SSM_PARAMETER,
    &SYNCHRONIZE,
    &TEMPLATE,
    &VALIDATE_ARGUMENT_SPEC,
    &WAIT_FOR_CONNECTION,
];
