"""Makes a load balancer, a target group and two instances at a moto server; says what they are called."""

import json
import sys

import boto3

url = sys.argv[1]
elb = boto3.client("elbv2", endpoint_url=url)
ec2 = boto3.client("ec2", endpoint_url=url)

vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-central-1{zone}")["Subnet"]["SubnetId"]
    for number, zone in enumerate("ab")
]
image = ec2.describe_images()["Images"][0]["ImageId"]
instances = [
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0]["InstanceId"] for subnet in subnets
]
balancer = elb.create_load_balancer(Name="shop", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
group = elb.create_target_group(
    Name="shop", Protocol="HTTP", Port=5000, VpcId=vpc, TargetType="instance", HealthCheckPath="/healthz"
)["TargetGroups"][0]["TargetGroupArn"]
elb.modify_target_group_attributes(
    TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "35"}]
)
elb.create_listener(
    LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}]
)
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance, "Port": 5000} for instance in instances])
print(json.dumps({"group": group, "instances": instances}))
