//! What asks AWS, against moto: lookups, modules, the inventory. The values expected are those that Ansible's collections gave there.

use super::balancer::python::{Moto, program};
use super::roll::{Ran, Roll};
use serde_json::Value;
use std::path::Path;

/// Moto with what `aws/seed.py` puts there.
struct Bed {
    moto: Moto,
    made: Value,
}

impl Bed {
    fn start() -> Bed {
        let moto = Moto::start();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/aws/seed.py");
        let output = program("python").arg("-B").arg(script).arg(&moto.url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Bed { made: serde_json::from_slice(&output.stdout).unwrap(), moto }
    }

    fn id(&self, name: &str) -> &str {
        self.made["ids"][name].as_str().unwrap()
    }

    fn roll(&self) -> Roll {
        known(Roll::new()).env("AWS_ENDPOINT_URL", &self.moto.url).env("AWS_REGION", "eu-central-1")
    }

    /// A play of these tasks on this machine; it has to go well.
    fn play(&self, tasks: &str) -> Ran {
        let play = tasks.replace("WEB1", self.id("web1")).replace("WEB2", self.id("web2"));
        let play = play
            .replace("GROUP", self.made["group"].as_str().unwrap())
            .replace("BALANCER", self.made["balancer"].as_str().unwrap());
        let play = format!("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n{play}");
        let ran =
            self.roll().file("site.yaml", &play).file("files/here.txt", "of the control side\n").args(["-v", "site.yaml"]).run();
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran
    }
}

/// With keys, and without asking the machine for its role.
fn known(roll: Roll) -> Roll {
    roll.env("AWS_ACCESS_KEY_ID", "AKIDOUBLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// A debug task with one lookup, on this machine.
fn asking(roll: Roll, lookup: &str) -> Ran {
    let play = format!(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n    - debug: {{msg: \"{{{{ {lookup} }}}}\"}}\n"
    );
    roll.file("site.yaml", &play).args(["site.yaml"]).run()
}

#[test]
fn lookups_give_what_ansible_s_give() {
    let bed = Bed::start();
    let ran = bed.play(
        r"
    - assert:
        quiet: true
        that:
          - lookup('amazon.aws.aws_ssm', 'Hello') == 'world-of-parameters'
          - lookup('aws_ssm', 'Hello') == lookup('amazon.aws.ssm_parameter', 'Hello')
          - lookup('amazon.aws.ssm_parameter', '/app/db/password') == 'hunter2-of-parameters'
          - lookup('amazon.aws.ssm_parameter', '/app/db/password', decrypt=false) == 'kms:alias/aws/ssm:hunter2-of-parameters'
          - lookup('amazon.aws.ssm_parameter', 'Hello', '/app/name') == 'world-of-parameters,shop-app'
          - query('amazon.aws.ssm_parameter', 'Hello', '/app/list') == ['world-of-parameters', 'a,b']
          - >-
            lookup('amazon.aws.ssm_parameter', '/app', bypath=true) == {'/app/list': 'a,b', '/app/name': 'shop-app'}
          - >-
            lookup('amazon.aws.ssm_parameter', '/app', bypath=true, recursive=true) | sort
            == ['/app/db/password', '/app/db/user', '/app/list', '/app/name']
          - >-
            lookup('amazon.aws.ssm_parameter', '/app/', bypath=true, recursive=true, shortnames=true) | sort
            == ['list', 'name', 'password', 'user']
          - >-
            lookup('amazon.aws.ssm_parameter', '/app', bypath=true, recursive=true, droppath=true) | sort
            == ['/db/password', '/db/user', '/list', '/name']
          - >-
            lookup('amazon.aws.ssm_parameter', '/app', '/other', bypath=true)
            == [{'/app/list': 'a,b', '/app/name': 'shop-app'}, {'/other/x': 'yyy'}]
          - query('amazon.aws.ssm_parameter', 'nope', 'Hello', on_missing='skip') == [none, 'world-of-parameters']
          - lookup('amazon.aws.ssm_parameter', 'nope', on_missing='warn') | default('root', true) == 'root'
          - lookup('amazon.aws.ssm_parameter', '/nopath', bypath=true, on_missing='skip') == {}
          - lookup('amazon.aws.ssm_parameter', 'Hello:1') == 'world-of-parameters'
    - assert:
        quiet: true
        that:
          - lookup('amazon.aws.aws_secret', 'DbSecret') == 's3cr3t-new'
          - lookup('amazon.aws.secretsmanager_secret', 'DbSecret', 'DbSecret2') == 's3cr3t-new,-more'
          - query('amazon.aws.secretsmanager_secret', 'DbSecret', 'DbSecret2', join=true) == ['s3cr3t-new-more']
          - lookup('amazon.aws.secretsmanager_secret', 'DbSecret', version_stage='AWSPREVIOUS') == 's3cr3t-old'
          - lookup('amazon.aws.secretsmanager_secret', 'nested.a.b.c', nested=true) == 'deep'
          - lookup('amazon.aws.secretsmanager_secret', 'nested.a.b.n', nested=true) == '1'
          - >-
            lookup('amazon.aws.secretsmanager_secret', 'path/', bypath=true) == {'path/one': 'first', 'path/two': 'second'}
          - lookup('amazon.aws.secretsmanager_secret', 'zzz/', bypath=true) == {}
          - lookup('amazon.aws.secretsmanager_secret', 'bin') == 'bytes!'
          - query('amazon.aws.secretsmanager_secret', 'nope', on_missing='skip') == []
          - query('amazon.aws.secretsmanager_secret', 'gone', on_deleted='skip') == []
    - debug: {msg: 'shown {{ lookup(''aws_secret'', ''DbSecret'') }} {{ lookup(''aws_ssm'', ''/app/db/password'') }}'}
",
    );
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    assert!(shown.contains("shown ") && !shown.contains("s3cr3t-new") && !shown.contains("hunter2"), "{shown}");
    for (lookup, why) in [
        ("lookup('aws_ssm', 'nope')", "Failed to find SSM parameter nope (ResourceNotFound)"),
        ("lookup('aws_ssm', '/nopath', bypath=true)", "Failed to find SSM parameter path /nopath (ResourceNotFound)"),
        ("lookup('aws_ssm', 'Hello', region='us-east-1')", "Failed to find SSM parameter Hello (ResourceNotFound)"),
        ("lookup('aws_secret', 'nope')", "Failed to find secret nope (ResourceNotFound)"),
        ("lookup('aws_secret', 'gone')", "Failed to find secret gone (marked deleted)"),
        ("lookup('aws_secret', 'nested.a.x', nested=true)", "there exists no key a.x in the secret"),
        ("lookup('aws_secret', 'DbSecret.a', nested=true)", "the secret DbSecret is no JSON, so it has no key a"),
    ] {
        let ran = asking(bed.roll(), lookup);
        assert!(ran.code == Some(2) && ran.stdout.contains(why), "{lookup}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn what_is_missing_before_aws_can_be_asked_is_named_with_what_to_do() {
    let nobody = "http://127.0.0.1:1";
    for (roll, lookup, words) in [
        (known(Roll::new()), "lookup('aws_ssm', 'x')", vec!["nothing names the region of AWS", "set AWS_REGION"]),
        (
            Roll::new()
                .env("AWS_REGION", "eu-central-1")
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("AWS_ENDPOINT_URL", nobody),
            "lookup('aws_secret', 'x')",
            vec!["there are no AWS credentials that hold", "name a profile of ~/.aws"],
        ),
        (
            known(Roll::new()).env("AWS_REGION", "eu-central-1").env("AWS_ENDPOINT_URL", nobody),
            "lookup('aws_ssm', 'x')",
            vec!["AWS gives no answer to ssm:GetParameter", "see that this machine reaches the endpoint"],
        ),
        (
            Roll::new(),
            "lookup('aws_ssm', 'x', profile='shop', access_key='AK')",
            vec!["a profile and keys of AWS are both given"],
        ),
        (Roll::new(), "lookup('aws_ssm', 'x', access_key='AK')", vec!["without its secret"]),
    ] {
        let ran = asking(roll, lookup);
        assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
        for word in words {
            assert!(ran.stdout.contains(word), "{lookup}: {word}: {}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn target_groups_are_changed_and_told_about() {
    let bed = Bed::start();
    bed.play(
        r"
    - community.aws.elb_target_group_info: {names: [app], collect_targets_health: true}
      register: found
    - assert:
        that:
          - found is not changed
          - found.target_groups | length == 1
          - group.target_group_name == 'app' and group.target_group_arn == 'GROUP'
          - >-
            group.tags == {'team': 'a'}
          - group.deregistration_delay_timeout_seconds == '300'
          - group.stickiness_enabled == 'false'
          - group.health_check_path == '/healthz' and group.healthy_threshold_count == 5 and group.health_check_enabled
          - >-
            group.matcher == {'http_code': '200'}
          - group.load_balancer_arns == ['BALANCER']
          - group.port == 5000 and group.protocol == 'HTTP' and group.target_type == 'instance'
          - >-
            group.targets_health_description
            == [{'health_check_port': 'traffic-port', 'target': {'id': 'WEB1', 'port': 5000}, 'target_health': {'state': 'healthy'}}]
      vars: {group: '{{ found.target_groups[0] }}'}
    - community.aws.elb_target_group_info: {names: [nope]}
      register: found
    - assert: {that: 'found.target_groups == []'}
    - community.aws.elb_target_group_info:
      register: found
    - assert:
        that: found.target_groups | map(attribute='target_group_name') | sort == ['app', 'unused']
    - elb_target_info: {instance_id: WEB1, get_unused_target_groups: false}
      register: found
    - assert:
        that: >-
          found.instance_target_groups == [{'target_group_arn': 'GROUP', 'target_group_type': 'instance', 'targets':
          [{'target_az': none, 'target_health': {'state': 'healthy'}, 'target_id': 'WEB1', 'target_port': 5000}]}]
    - community.aws.elb_target: {target_group_name: app, target_id: WEB2, state: present, target_status: healthy}
      register: first
      check_mode: true
    - community.aws.elb_target: {target_group_name: app, target_id: WEB2, state: present, target_status: healthy}
      register: done
    - community.aws.elb_target: {target_group_arn: GROUP, target_id: WEB2, state: present}
      register: again
    - assert:
        that:
          - first is changed and done is changed and again is not changed
          - done.target_group_arn == 'GROUP'
          - >-
            again.target_health_descriptions.target == {'id': 'WEB2', 'port': 5000}
          - again.target_health_descriptions.target_health.state == 'healthy'
    - community.aws.elb_target: {target_group_name: app, target_id: WEB2, state: absent}
      register: done
    - community.aws.elb_target: {target_group_name: app, target_id: WEB2, state: absent}
      register: again
    - assert: {that: done is changed and again is not changed}
    - community.aws.elb_target: {target_group_name: nope, target_id: WEB2, state: absent}
      register: failed
      ignore_errors: true
    - community.aws.elb_target: {target_group_name: app, target_id: WEB1, state: present, target_status: unhealthy, target_status_timeout: 1}
      register: late
      ignore_errors: true
    - assert:
        that:
          - failed is failed and 'Unable to describe target group nope' in failed.msg
          - late is failed and 'is healthy and not unhealthy after 1 s' in late.msg
",
    );
}

#[test]
fn instances_are_told_about() {
    let bed = Bed::start();
    bed.play(
        r"
    - amazon.aws.ec2_instance_info: {filters: {'tag:Name': [web1]}}
      register: found
    - assert:
        that:
          - >-
            one.instance_id == 'WEB1' and one.instance_type == 't3.micro' and one.state == {'code': 16, 'name': 'running'}
          - >-
            one.tags == {'Name': 'web1', 'Environment': 'prod'}
          - one.network_interfaces[0].private_ip_addresses[0].private_ip_address == one.private_ip_address
          - one.ebs_optimized is false and one.ami_launch_index == 0
          - one.launch_time is match('^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$')
          - one.network_interfaces[0].groups[0].group_name == 'default'
          - one.owner_id is undefined
      vars: {one: '{{ found.instances[0] }}'}
    - ec2_instance_info: {instance_ids: [WEB2], include_attributes: [instanceType, disableApiTermination]}
      register: found
    - ec2_instance_info: {instance_ids: [i-0123456789abcdef0]}
      register: none_there
    - ec2_instance_info: {minimum_uptime: 60}
      register: up
    - ec2_instance_info:
      environment: {AWS_REGION: us-east-1}
      register: elsewhere
    - assert:
        that:
          - >-
            found.instances[0].attributes == {'instance_type': {'value': 't3.micro'}, 'disable_api_termination': {'value': false}}
          - none_there.instances == [] and up.instances == [] and elsewhere.instances == []
",
    );
}

#[test]
fn objects_are_put_and_got() {
    let bed = Bed::start();
    let ran = bed.play(
        r#"
    - tempfile: {state: directory}
      register: temp
    - set_fact: {to: '{{ temp.path }}/a.txt'}
    - amazon.aws.s3_object: {bucket: bkt, object: dir/a.txt, dest: '{{ to }}', mode: get}
      register: checked
      check_mode: true
    - amazon.aws.s3_object: {bucket: bkt, object: /dir/a.txt, dest: '{{ to }}', mode: get}
      register: done
    - amazon.aws.s3_object: {bucket: bkt, object: dir/a.txt, dest: '{{ to }}', mode: get}
      register: again
    - amazon.aws.s3_object: {bucket: bkt, object: dir/a.txt, dest: '{{ to }}', mode: get, overwrite: always}
      register: forced
    - amazon.aws.s3_object: {bucket: bkt, object: dir/b.txt, dest: '{{ to }}', mode: get, overwrite: never}
      register: kept
    - slurp: {src: '{{ to }}'}
      register: contents
    - assert:
        that:
          - checked is changed and 'check mode' in checked.msg
          - done is changed and done.msg == 'GET operation complete'
          - again is not changed and 'identical' in again.msg
          - forced is changed and kept is not changed
          - contents.content | b64decode == 'hello\n'
    - amazon.aws.s3_object: {bucket: bkt, object: dir/a.txt, mode: getstr}
      register: text
    - amazon.aws.s3_object: {bucket: bkt, object: from_host.txt, src: '{{ to }}', mode: put}
      register: put
    - amazon.aws.s3_object: {bucket: bkt, object: from_host.txt, src: '{{ to }}', mode: put}
      register: put_again
    - amazon.aws.s3_object: {bucket: bkt, object: here.txt, src: here.txt, mode: put}
    - amazon.aws.s3_object: {bucket: bkt, object: said.txt, content: abc, mode: put, tags: {a: b}, metadata: {Content-Type: text/x, k: v}}
      register: said
    - amazon.aws.s3_object: {bucket: bkt, object: said.txt, content: abc, mode: put, tags: {a: c}}
      register: tagged
    - amazon.aws.s3_object: {bucket: bkt, object: said.txt, content: abd, mode: put, overwrite: never}
      register: never
    - amazon.aws.s3_object: {bucket: bkt, object: newdir, mode: create}
      register: made
    - amazon.aws.s3_object: {bucket: bkt, object: newdir, mode: create}
      register: made_again
    - amazon.aws.s3_object: {bucket: bkt, object: copied.txt, mode: copy, copy_src: {bucket: bkt, object: dir/a.txt}}
      register: copied
    - amazon.aws.s3_object: {bucket: bkt, object: copied.txt, mode: copy, copy_src: {bucket: bkt, object: dir/a.txt}}
      register: copied_again
    - amazon.aws.s3_object: {bucket: bkt, mode: list}
      register: all
    - amazon.aws.s3_object: {bucket: bkt, mode: list, prefix: dir/, max_keys: 1}
      register: few
    - amazon.aws.s3_object: {bucket: bkt, object: here.txt, mode: getstr}
      register: here
    - amazon.aws.s3_object: {bucket: bkt, object: dir/a.txt, mode: geturl}
      register: link
    - uri: {url: '{{ link.url }}', return_content: true}
      register: by_link
    - amazon.aws.s3_object: {bucket: bkt, object: said.txt, mode: delobj}
      register: gone
    - assert:
        that:
          - text.contents == 'hello\n' and here.contents == 'of the control side\n'
          - put is changed and put.msg == 'PUT operation complete' and put_again is not changed
          - >-
            said is changed and said.tags == {'a': 'b'}
          - >-
            tagged is changed and tagged.tags == {'a': 'c'} and never is not changed
          - made is changed and made.msg == 'Virtual directory newdir/ created in bucket bkt' and made_again is not changed
          - copied is changed and copied_again is not changed
          - all.s3_keys == ['copied.txt', 'dir/a.txt', 'dir/b.txt', 'from_host.txt', 'here.txt', 'newdir/', 'said.txt']
          - few.s3_keys == ['dir/a.txt']
          - link.expiry == 600 and by_link.content == 'hello\n'
          - gone is changed
    - amazon.aws.s3_object: {bucket: bkt, object: nope, dest: '{{ to }}', mode: get}
      register: no_key
      ignore_errors: true
    - amazon.aws.s3_object: {bucket: nobkt, object: nope, dest: '{{ to }}', mode: get}
      register: no_bucket
      ignore_errors: true
    - amazon.aws.s3_object: {bucket: bkt, object: nope, src: /nope, mode: put}
      register: no_file
      ignore_errors: true
    - file: {path: '{{ temp.path }}', state: absent}
    - assert:
        that:
          - no_key is failed and no_key.msg == 'Key nope does not exist.'
          - no_bucket is failed and "Bucket 'nobkt' not found" in no_bucket.msg
          - no_file is failed and no_file.msg == 'Local object "/nope" does not exist for PUT operation'
"#,
    );
    assert!(!ran.stdout.contains("X-Amz-Signature="), "a link is a secret: {}", ran.stdout);
}

#[test]
fn parameters_and_secrets_are_kept() {
    let bed = Bed::start();
    let ran = bed.play(
        r"
    - community.aws.ssm_parameter: {name: /mod/a, value: value-one}
      register: checked
      check_mode: true
    - community.aws.ssm_parameter: {name: /mod/a, value: value-one}
      register: done
    - community.aws.ssm_parameter: {name: /mod/a, value: value-one}
      register: again
    - community.aws.ssm_parameter: {name: /mod/a, value: value-two, string_type: SecureString, description: d, tags: {a: b}}
      register: other
    - community.aws.ssm_parameter: {name: /mod/a, value: value-two, string_type: SecureString, description: d, tags: {a: b}}
      register: other_again
    - community.aws.ssm_parameter: {name: /mod/a, value: value-three, overwrite_value: never}
      register: never
    - assert:
        that:
          - checked is changed and done is changed and again is not changed
          - done.parameter_metadata.version == 1 and done.parameter_metadata.type == 'String'
          - >-
            other is changed and other.parameter_metadata.description == 'd' and other.parameter_metadata.tags == {'a': 'b'}
          - other_again is not changed and never is not changed
          - lookup('aws_ssm', '/mod/a') == 'value-two'
    - community.aws.ssm_parameter: {name: /mod/a, state: absent}
      register: gone
    - community.aws.ssm_parameter: {name: /mod/a, state: absent}
      register: gone_again
    - assert: {that: gone is changed and gone_again is not changed}
    - community.aws.secretsmanager_secret: {name: mod, secret: secret-one, tags: {a: b}}
      register: done
    - community.aws.secretsmanager_secret: {name: mod, secret: secret-one, tags: {a: b}}
      register: again
    - community.aws.secretsmanager_secret: {name: mod, json_secret: {k: secret-two}}
      register: other
    - assert:
        that:
          - >-
            done is changed and done.secret.name == 'mod' and done.secret.tags == {'a': 'b'}
          - again is not changed and other is changed
          - lookup('aws_secret', 'mod.k', nested=true) == 'secret-two'
    - community.aws.secretsmanager_secret: {name: mod, state: absent, recovery_window: 0}
      register: gone
    - community.aws.secretsmanager_secret: {name: mod, state: absent}
      register: gone_again
    - community.aws.secretsmanager_secret: {name: mod, secret: x, rotation_lambda: 'arn:aws:lambda:x'}
      register: rotated
      ignore_errors: true
    - assert:
        that:
          - gone is changed and gone_again is not changed
          - rotated is failed and 'is not built in' in rotated.msg
",
    );
    assert!(!ran.stdout.contains("value-two") && !ran.stdout.contains("secret-one"), "{}", ran.stdout);
}

#[test]
fn an_inventory_asks_every_region_for_its_instances() {
    let bed = Bed::start();
    let file = "plugin: amazon.aws.aws_ec2
regions: [eu-central-1, us-east-1]
hostnames: [tag:Name]
filters: {tag:Environment: prod}
exclude_filters:
  - {tag:Name: web2}
keyed_groups:
  - {prefix: env, key: tags.Environment}
";
    let ran = bed.roll().file("shop.aws_ec2.yml", file).args(["inventory", "-i", "shop.aws_ec2.yml", "--graph"]).run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    for word in ["@aws_ec2:", "@env_prod:", "--web1", "--old"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("web2") && !ran.stdout.contains("db1"), "{}", ran.stdout);
}

/// The token that moto gives is no secret of anybody's; a container engine is not needed to see that it was got.
#[test]
fn a_registry_of_aws_needs_no_password() {
    let bed = Bed::start();
    let task = "
    - community.docker.docker_login: {registry_url: 123456789012.dkr.ecr.eu-central-1.amazonaws.com, config_path: ./config.json}
      environment: {DOCKER_HOST: 'unix:///nowhere/docker.sock'}
      register: done
      ignore_errors: true
    - assert: {that: \"'missing: username' not in done.msg | default('')\"}
    - community.docker.docker_login: {registry_url: registry.example.com}
      register: failed
      ignore_errors: true
    - assert: {that: \"failed is failed and 'missing: username, password' in failed.msg\"}
";
    bed.play(task);
}
