//! Rows of the modules about AWS, which run on the control side. What they do is in `actions::aws`.

use super::control::row_of;
use super::{Arg, Kind, Module, Rule};

/// Who asks, and where.
const ACCESS: &[Arg] = &[
    Arg::new("region", Kind::Str, "region (else AWS_REGION or the profile's)").aliases(&["aws_region", "ec2_region"]),
    Arg::new("profile", Kind::Str, "profile of ~/.aws").aliases(&["aws_profile"]),
    Arg::new("access_key", Kind::Str, "id of an access key")
        .aliases(&["aws_access_key_id", "aws_access_key", "ec2_access_key"])
        .secret(),
    Arg::new("secret_key", Kind::Str, "its secret")
        .aliases(&["aws_secret_access_key", "aws_secret_key", "ec2_secret_key"])
        .secret(),
    Arg::new("session_token", Kind::Str, "token of temporary credentials")
        .aliases(&["aws_session_token", "aws_security_token", "security_token"])
        .secret(),
    Arg::new("endpoint_url", Kind::Str, "address of the API instead of AWS's own").aliases(&[
        "aws_endpoint_url",
        "ec2_url",
        "s3_url",
    ]),
    Arg::new("validate_certs", Kind::Bool, "only yes: certificates are always checked").default("yes"),
    Arg::new("aws_ca_bundle", Kind::Str, "of no effect here: what the system trusts counts").inert(),
    Arg::new("aws_config", Kind::Raw, "of no effect here: settings of botocore").inert(),
    Arg::new("debug_botocore_endpoint_logs", Kind::Bool, "of no effect here").inert().default("no"),
];

const TAGS: &[Arg] = &[
    Arg::new("tags", Kind::Dict, "tags that it is to have").aliases(&["resource_tags"]),
    Arg::new("purge_tags", Kind::Bool, "take other tags away").default("yes"),
];

pub(super) const EC2_INSTANCE_INFO: Module = row_of(
    "amazon.aws",
    "ec2_instance_info",
    "tells about EC2's instances",
    &[
        &[
            Arg::new("instance_ids", Kind::List, "only these"),
            Arg::new("filters", Kind::Dict, "names of filters with the values that fit"),
            Arg::new("minimum_uptime", Kind::Int, "only those that run for so many minutes").aliases(&["uptime"]),
            Arg::new("include_attributes", Kind::List, "attributes to ask for, too").aliases(&["attributes"]).choices(&[
                "instanceType",
                "kernel",
                "ramdisk",
                "userData",
                "disableApiTermination",
                "instanceInitiatedShutdownBehavior",
                "rootDeviceName",
                "blockDeviceMapping",
                "productCodes",
                "sourceDestCheck",
                "groupSet",
                "ebsOptimized",
                "sriovNetSupport",
                "enclaveOptions",
                "disableApiStop",
            ]),
        ],
        ACCESS,
    ],
    &[],
);

pub(super) const ELB_TARGET: Module = row_of(
    "community.aws",
    "elb_target",
    "puts a target into a target group or takes it out",
    &[
        &[
            Arg::new("target_group_arn", Kind::Str, "ARN of the group"),
            Arg::new("target_group_name", Kind::Str, "name of the group"),
            Arg::new("target_id", Kind::Str, "instance or address").required(),
            Arg::new("target_port", Kind::Int, "port, if not the group's"),
            Arg::new("target_az", Kind::Str, "availability zone of an address, or all"),
            Arg::new("state", Kind::Str, "in or out").choices(&["present", "absent"]).required(),
            Arg::new("deregister_unused", Kind::Bool, "take it out where nothing is sent to the group, too").default("no"),
            Arg::new("target_status", Kind::Str, "wait until it is this").choices(&[
                "initial",
                "healthy",
                "unhealthy",
                "unused",
                "draining",
                "unavailable",
            ]),
            Arg::new("target_status_timeout", Kind::Int, "seconds to wait").default("60"),
        ],
        ACCESS,
    ],
    &[Rule::OneOf(&["target_group_arn", "target_group_name"]), Rule::Exclusive(&["target_group_arn", "target_group_name"])],
);

pub(super) const ELB_TARGET_INFO: Module = row_of(
    "community.aws",
    "elb_target_info",
    "tells in which target groups an instance is",
    &[
        &[
            Arg::new("instance_id", Kind::Str, "instance or address").required(),
            Arg::new("get_unused_target_groups", Kind::Bool, "groups that no balancer uses, too").default("yes"),
        ],
        ACCESS,
    ],
    &[],
);

pub(super) const ELB_TARGET_GROUP_INFO: Module = row_of(
    "community.aws",
    "elb_target_group_info",
    "tells about target groups",
    &[
        &[
            Arg::new("load_balancer_arn", Kind::Str, "only those of this balancer"),
            Arg::new("target_group_arns", Kind::List, "only these"),
            Arg::new("names", Kind::List, "only those of these names"),
            Arg::new("collect_targets_health", Kind::Bool, "tell about their targets, too").default("no"),
        ],
        ACCESS,
    ],
    &[Rule::Exclusive(&["load_balancer_arn", "target_group_arns", "names"])],
);

pub(super) const S3_OBJECT: Module = row_of(
    "amazon.aws",
    "s3_object",
    "puts objects into S3, gets them, deletes them",
    &[
        &[
            Arg::new("bucket", Kind::Str, "name of the bucket").required(),
            Arg::new("object", Kind::Str, "key of the object"),
            Arg::new("mode", Kind::Str, "what to do")
                .choices(&["get", "put", "create", "geturl", "getstr", "delobj", "list", "copy"])
                .required(),
            Arg::new("src", Kind::Str, "file to put: of the control side, else of the host"),
            Arg::new("content", Kind::Str, "text to put"),
            Arg::new("content_base64", Kind::Str, "bytes to put"),
            Arg::new("dest", Kind::Path, "file on the host to get it into"),
            Arg::new("overwrite", Kind::Str, "always, never, different or latest").aliases(&["force"]).default("different"),
            Arg::new("version", Kind::Str, "version of the object"),
            Arg::new("metadata", Kind::Dict, "what S3 keeps beside it"),
            Arg::new("headers", Kind::Dict, "headers to put it with"),
            Arg::new("permission", Kind::List, "who may see it").default("private"),
            Arg::new("encrypt", Kind::Bool, "have it encrypted").default("yes"),
            Arg::new("encryption_mode", Kind::Str, "how").choices(&["AES256", "aws:kms"]).default("AES256"),
            Arg::new("encryption_kms_key_id", Kind::Str, "key for aws:kms"),
            Arg::new("expiry", Kind::Int, "seconds for which a link holds").aliases(&["expiration"]).default("600"),
            Arg::new("prefix", Kind::Str, "list only keys that begin so"),
            Arg::new("marker", Kind::Str, "list only keys after this one"),
            Arg::new("max_keys", Kind::Int, "list so many at most"),
            Arg::new("copy_src", Kind::Dict, "bucket, object or prefix, and version_id to copy from"),
            Arg::new("ignore_nonexistent_bucket", Kind::Bool, "do not look for the bucket first").default("no"),
            Arg::new("expected_bucket_owner", Kind::Str, "account that the bucket must belong to"),
            Arg::new("retries", Kind::Int, "of no effect here: calls are tried four times").aliases(&["retry"]),
            Arg::new("dualstack", Kind::Bool, "of no effect here").inert().default("no"),
            Arg::new("ceph", Kind::Bool, "of no effect here: an own endpoint is enough").inert().aliases(&["rgw"]).default("no"),
            Arg::new("sig_v4", Kind::Bool, "of no effect here: there is no other signature").inert().default("yes"),
            Arg::new("validate_bucket_name", Kind::Bool, "of no effect here").inert().default("yes"),
        ],
        TAGS,
        ACCESS,
    ],
    &[
        Rule::Exclusive(&["src", "content", "content_base64"]),
        Rule::If("mode", "get", &["dest", "object"]),
        Rule::If("mode", "getstr", &["object"]),
        Rule::If("mode", "copy", &["copy_src"]),
    ],
);

pub(super) const SSM_PARAMETER: Module = row_of(
    "community.aws",
    "ssm_parameter",
    "has a parameter in Systems Manager",
    &[
        &[
            Arg::new("name", Kind::Str, "name of the parameter").required(),
            Arg::new("value", Kind::Str, "its value").secret(),
            Arg::new("description", Kind::Str, "what it is for"),
            Arg::new("state", Kind::Str, "there or not").choices(&["present", "absent"]).default("present"),
            Arg::new("string_type", Kind::Str, "kind")
                .aliases(&["type"])
                .choices(&["String", "StringList", "SecureString"])
                .default("String"),
            Arg::new("decryption", Kind::Bool, "compare the plain value").default("yes"),
            Arg::new("key_id", Kind::Str, "key for a SecureString").default("alias/aws/ssm"),
            Arg::new("overwrite_value", Kind::Str, "when to write over one that is there")
                .choices(&["never", "changed", "always"])
                .default("changed"),
            Arg::new("tier", Kind::Str, "tier of the store")
                .choices(&["Standard", "Advanced", "Intelligent-Tiering"])
                .default("Standard"),
        ],
        TAGS,
        ACCESS,
    ],
    &[],
);

pub(super) const SECRETSMANAGER_SECRET: Module = row_of(
    "community.aws",
    "secretsmanager_secret",
    "has a secret in Secrets Manager",
    &[
        &[
            Arg::new("name", Kind::Str, "name of the secret").required(),
            Arg::new("state", Kind::Str, "there or not").choices(&["present", "absent"]).default("present"),
            Arg::new("secret", Kind::Str, "what it holds").secret(),
            Arg::new("json_secret", Kind::Raw, "what it holds, as JSON").secret(),
            Arg::new("secret_type", Kind::Str, "text or bytes").choices(&["binary", "string"]).default("string"),
            Arg::new("description", Kind::Str, "what it is for"),
            Arg::new("kms_key_id", Kind::Str, "key that it is encrypted with"),
            Arg::new("overwrite", Kind::Bool, "write over one that is there").default("yes"),
            Arg::new("recovery_window", Kind::Int, "days until a deleted one is gone; 0 is at once").default("30"),
            Arg::new("rotation_interval", Kind::Int, "of no effect here").inert(),
            Arg::new("rotation_lambda", Kind::Str, "not built in"),
            Arg::new("replica", Kind::RawList, "not built in"),
            Arg::new("resource_policy", Kind::Raw, "not built in"),
        ],
        TAGS,
        ACCESS,
    ],
    &[Rule::Exclusive(&["secret", "json_secret"])],
);
