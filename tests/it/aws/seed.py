"""Fills moto with what the tests ask for; answers with the names that it gave."""

import json
import sys

import boto3


def client(name, region="eu-central-1"):
    return boto3.client(name, region_name=region, endpoint_url=sys.argv[1])


ssm = client("ssm")
for name, value, kind in [
    ("Hello", "world-of-parameters", "String"),
    ("/app/db/password", "hunter2-of-parameters", "SecureString"),
    ("/app/db/user", "shop", "String"),
    ("/app/name", "shop-app", "String"),
    ("/app/list", "a,b", "StringList"),
    ("/other/x", "yyy", "String"),
]:
    ssm.put_parameter(Name=name, Value=value, Type=kind)

secrets = client("secretsmanager")
secrets.create_secret(Name="DbSecret", SecretString="s3cr3t-old")
secrets.put_secret_value(SecretId="DbSecret", SecretString="s3cr3t-new")
secrets.create_secret(Name="DbSecret2", SecretString="-more")
secrets.create_secret(Name="nested", SecretString=json.dumps({"a": {"b": {"c": "deep", "n": 1}}}))
secrets.create_secret(Name="path/one", SecretString="first")
secrets.create_secret(Name="path/two", SecretString="second")
secrets.create_secret(Name="bin", SecretBinary=b"bytes!")
secrets.create_secret(Name="gone", SecretString="x")
secrets.delete_secret(SecretId="gone", RecoveryWindowInDays=7)

ec2 = client("ec2")
images = ec2.describe_images(Owners=["amazon"])["Images"]
image = [image for image in images if image["Architecture"] == "x86_64"][0]["ImageId"]
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnets = ec2.describe_subnets()["Subnets"]
ids = {}
for name, environment in [("web1", "prod"), ("web2", "prod"), ("db1", "dev"), ("old", "prod")]:
    tags = [{"Key": "Name", "Value": name}, {"Key": "Environment", "Value": environment}]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=subnets[0]["SubnetId"],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    ids[name] = made["Instances"][0]["InstanceId"]
ec2.stop_instances(InstanceIds=[ids["old"]])

elb = client("elbv2")
balancer = elb.create_load_balancer(Name="lb", Subnets=[subnet["SubnetId"] for subnet in subnets[:2]])
balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
group = elb.create_target_group(
    Name="app",
    Protocol="HTTP",
    Port=5000,
    VpcId=vpc,
    HealthCheckPath="/healthz",
    Tags=[{"Key": "team", "Value": "a"}],
)
group = group["TargetGroups"][0]["TargetGroupArn"]
elb.create_target_group(Name="unused", Protocol="HTTP", Port=80, VpcId=vpc)
elb.create_listener(
    LoadBalancerArn=balancer,
    Protocol="HTTP",
    Port=80,
    DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
)
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": ids["web1"]}])

s3 = client("s3")
s3.create_bucket(Bucket="bkt", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
s3.put_object(Bucket="bkt", Key="dir/a.txt", Body=b"hello\n")
s3.put_object(Bucket="bkt", Key="dir/b.txt", Body=b"bb")

print(json.dumps({"ids": ids, "group": group, "balancer": balancer}))
