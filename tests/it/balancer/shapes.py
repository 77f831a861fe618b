"""Compares the answers of the double with those of moto: the fields that only moto's have."""

import json
import sys

import boto3

double, moto, group = sys.argv[1:4]

# What only a load balancer has that was really made.
NOT_OURS = {
    "TargetGroups[].Tags",
    "LoadBalancers[].SecurityGroups[]",
    "LoadBalancers[].AvailabilityZones[].LoadBalancerAddresses[]",
    "Rules[].Conditions[]",
    # Said of HTTP listeners too, by moto alone.
    "Listeners[].SslPolicy",
}


def paths(value, at=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "ResponseMetadata":
                yield from paths(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, at + "[]")
    else:
        yield at


def answers(url, group):
    elb = boto3.client("elbv2", endpoint_url=url)
    groups = elb.describe_target_groups(TargetGroupArns=[group])
    balancer = groups["TargetGroups"][0]["LoadBalancerArns"][0]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer)
    yield "DescribeTargetGroups", groups
    yield "DescribeTargetHealth", elb.describe_target_health(TargetGroupArn=group)
    yield "DescribeTargetGroupAttributes", elb.describe_target_group_attributes(TargetGroupArn=group)
    yield "DescribeLoadBalancers", elb.describe_load_balancers(LoadBalancerArns=[balancer])
    yield "DescribeLoadBalancerAttributes", elb.describe_load_balancer_attributes(LoadBalancerArn=balancer)
    yield "DescribeListeners", listeners
    yield "DescribeRules", elb.describe_rules(ListenerArn=listeners["Listeners"][0]["ListenerArn"])


ours = boto3.client("elbv2", endpoint_url=double).describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
lacking = []
for (name, mine), (_, theirs) in zip(answers(double, ours), answers(moto, group)):
    missing = set(paths(theirs)) - set(paths(mine)) - NOT_OURS
    lacking += [f"{name}: {path}" for path in sorted(missing)]
print(json.dumps(lacking))
