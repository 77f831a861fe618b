"""Drives the double of the load balancer's API with boto3, and holds it to what AWS documents."""

import json
import sys
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

url, port = sys.argv[1], int(sys.argv[2])
elb = boto3.client("elbv2", endpoint_url=url, config=Config(retries={"max_attempts": 0}))
held, failed = 0, []


def hold(claim, is_so):
    global held
    if is_so:
        held += 1
    else:
        failed.append(claim)


def knobs(**settings):
    request = urllib.request.Request(f"{url}/_double/knobs", data=json.dumps(settings).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).read()


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None, 200


def until(is_so, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def health(**asked):
    return elb.describe_target_health(TargetGroupArn=group, **asked)["TargetHealthDescriptions"]


def state(instance, at=port):
    found = [one["TargetHealth"] for one in health() if one["Target"] == {"Id": instance, "Port": at}]
    return (found[0]["State"], found[0].get("Reason")) if found else None


described = elb.describe_target_groups(Names=["app"])["TargetGroups"][0]
group = described["TargetGroupArn"]
hold("a group is found by its name, and is of instances", described["TargetType"] == "instance")
hold("by its ARN too", elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0] == described)
pages = list(elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 1}))
hold("pages end", sum(len(page["TargetGroups"]) for page in pages) == 1)
unknown = group.replace("app", "shop")
hold("another group is not found", refused(elb.describe_target_health, TargetGroupArn=unknown) == ("TargetGroupNotFound", 400))
try:
    elb.describe_target_health(TargetGroupArn=unknown)
except elb.exceptions.TargetGroupNotFoundException:
    held += 1

# Waiting as the AWS tools do.
waiter = {"Delay": 1, "MaxAttempts": 15}
elb.get_waiter("target_in_service").wait(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": port}], WaiterConfig=waiter)
hold("a target is in service", state("i-web1") == ("healthy", None))
hold("a healthy target has no reason", all("Reason" not in one["TargetHealth"] for one in health() if one["TargetHealth"]["State"] == "healthy"))

elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": port}])
begun = time.monotonic()
hold("draining shows at once", state("i-web1") == ("draining", "Target.DeregistrationInProgress"))
elb.get_waiter("target_deregistered").wait(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": port}], WaiterConfig=waiter)
hold("and to the end of the delay", 1.9 <= time.monotonic() - begun <= 5)
hold("then it is gone from the list", state("i-web1") is None)
asked = health(Targets=[{"Id": "i-web1", "Port": port}])[0]["TargetHealth"]
hold("asked for by name it is not registered", (asked["State"], asked["Reason"]) == ("unused", "Target.NotRegistered"))
hold("deregistering it again is no error", refused(elb.deregister_targets, TargetGroupArn=group, Targets=[{"Id": "i-web1"}])[1] == 200)
hold("nor is what never was", refused(elb.deregister_targets, TargetGroupArn=group, Targets=[{"Id": "i-none"}])[1] == 200)

knobs(lag_in=1.0)
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": port}])
hold("a new target is initial", state("i-web1") == ("initial", "Elb.RegistrationInProgress"))
hold("one passed check makes it healthy", until(lambda: state("i-web1") == ("healthy", None)))
knobs(lag_in=0)
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": port}])
hold("registering it again changes nothing", state("i-web1") == ("healthy", None))
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": 1}])
hold("another port is another target", len([one for one in health() if one["Target"]["Id"] == "i-web1"]) == 2)
hold("where nothing listens, checks fail", until(lambda: state("i-web1", 1) == ("unhealthy", "Target.FailedHealthChecks")))
elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "i-web1", "Port": 1}])
hold("the other port stays", state("i-web1") == ("healthy", None))
hold("an unknown instance is no target", refused(elb.register_targets, TargetGroupArn=group, Targets=[{"Id": "i-none"}]) == ("InvalidTarget", 400))

attributes = lambda: {one["Key"]: one["Value"] for one in elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]}
hold("attributes are read", attributes()["deregistration_delay.timeout_seconds"] == "2")
elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": "stickiness.enabled", "Value": "true"}])
hold("and written", attributes()["stickiness.enabled"] == "true")
balancer = elb.describe_load_balancers(LoadBalancerArns=described["LoadBalancerArns"])["LoadBalancers"][0]
hold("the load balancer is an application one", balancer["Type"] == "application")
idle = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
hold("with its idle timeout", {"Key": "idle_timeout.timeout_seconds", "Value": "60"} in idle)
listener = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
hold("a listener leads to the group", listener["DefaultActions"][0]["TargetGroupArn"] == group)
rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
hold("and so does its default rule", rules[0]["IsDefault"] and rules[0]["Actions"][0]["TargetGroupArn"] == group)

for settings, code in [
    ({"throttle": 1}, ("Throttling", 400)),
    ({"throttle": 0, "fail": 1}, ("InternalFailure", 500)),
    ({"fail": 0, "expired": True}, ("ExpiredToken", 403)),
    ({"expired": False, "denied": ["DescribeTargetHealth"]}, ("AccessDenied", 403)),
]:
    knobs(**settings)
    hold(f"the weather is {code}", refused(elb.describe_target_health, TargetGroupArn=group) == code)
knobs(denied=[], throttle=0.5)
patient = boto3.client("elbv2", endpoint_url=url, config=Config(retries={"mode": "standard", "max_attempts": 5}))
answers = [refused(patient.describe_target_health, TargetGroupArn=group) for _ in range(5)]
hold("boto3's own retries take a Throttling for what it is", all(status == 200 for _, status in answers))
knobs(throttle=0)

print(json.dumps({"held": held, "failed": failed}))
