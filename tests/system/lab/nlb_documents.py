"""A Network Load Balancer as the AWS CLI describes it: documents by the names
of the files that `nlbctl import-aws` reads, after the API reference."""
import copy
import json

from . import ini
from .netns import TARGET4

_ARN = "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:"
BALANCER = _ARN + "loadbalancer/net/Mail-Relay/50dc6c495c0c9188"
LISTENER = (_ARN + "listener/net/Mail-Relay/"
            "50dc6c495c0c9188/f2f7dc8efc522ab2")
TLS_LISTENER = LISTENER[:-16] + "0f7dc8efc522ab20"
GROUP = _ARN + "targetgroup/internal-smtp/73e2d6bc24d8a067"
SPARE = _ARN + "targetgroup/Spare/a1b2c3d4e5f60718"
UDP_GROUP = _ARN + "targetgroup/dns/0718a1b2c3d4e5f6"
SECURITY_GROUP = "sg-0123456789abcdef0"
PREFIX_LIST = "pl-0123456789abcdef0"
SUBNET = "subnet-0123456789abcdef0"
NETWORK_ACL = "acl-0123456789abcdef0"
ZONES = ("ap-northeast-1a", "ap-northeast-1c")
INSTANCE = "i-0123456789abcdef0"


_GROUP_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "120",
    "deregistration_delay.connection_termination.enabled": "true",
    "preserve_client_ip.enabled": "false",
    "proxy_protocol_v2.enabled": "true",
    "stickiness.enabled": "true",
    "stickiness.type": "source_ip",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "2",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage":
        "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
    "count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
    "percentage": "50",
    "target_health_state.unhealthy.connection_termination.enabled": "false",
    "target_health_state.unhealthy.draining_interval_seconds": "30",
}


def _group(arn, **changes):
    return {
        "TargetGroupArn": arn, "TargetGroupName": arn.split("/")[1],
        "Protocol": "TCP", "Port": ini.TARGET_PORT,
        "VpcId": "vpc-0123456789abcdef0", "HealthCheckProtocol": "TCP",
        "HealthCheckPort": str(ini.HEALTH_PORT), "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
        "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 4,
        "LoadBalancerArns": [BALANCER], "TargetType": "ip",
        "IpAddressType": "ipv4", **changes}


def _target(address, zone, state="healthy", port=ini.TARGET_PORT):
    return {"Target": {"Id": address, "Port": port, "AvailabilityZone": zone},
            "HealthCheckPort": str(ini.HEALTH_PORT),
            "TargetHealth": {"State": state}}


def _listener(arn, port, protocol, *groups):
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": group, "Weight": weight}
        for group, weight in groups]}}
    if len(groups) == 1:
        action = {"Type": "forward", "TargetGroupArn": groups[0][0]}
    return {"ListenerArn": arn, "LoadBalancerArn": BALANCER, "Port": port,
            "Protocol": protocol, "DefaultActions": [action]}


_ALL = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
_SECURITY_GROUP = {
    "GroupId": SECURITY_GROUP, "GroupName": "mail-clients",
    "Description": "who may submit", "OwnerId": "123456789012",
    "VpcId": "vpc-0123456789abcdef0",
    "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": ini.PORT, "ToPort": ini.PORT,
         "IpRanges": [
             {"CidrIp": "203.0.113.10/32",
              "Description": "NAT; gateway #1, office"},
             {"CidrIp": "192.0.2.0/24"}],
         "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}],
         "PrefixListIds": [{"PrefixListId": PREFIX_LIST}],
         "UserIdGroupPairs": [{"GroupId": "sg-0fedcba9876543210",
                               "UserId": "123456789012"}]},
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1,
         "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [],
         "PrefixListIds": [], "UserIdGroupPairs": []}],
    "IpPermissionsEgress": [_ALL]}


def _acl_entry(number, egress, action="allow", protocol="-1", **more):
    return {"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": protocol,
            "RuleAction": action, "RuleNumber": number, **more}


_NETWORK_ACL = {
    "NetworkAclId": NETWORK_ACL, "IsDefault": False, "Tags": [],
    "OwnerId": "123456789012", "VpcId": "vpc-0123456789abcdef0",
    "Associations": [{"NetworkAclAssociationId": "aclassoc-0123456789abcdef0",
                      "NetworkAclId": NETWORK_ACL, "SubnetId": SUBNET}],
    "Entries": [
        {**_acl_entry(90, False, "deny", "6",
                      PortRange={"From": ini.PORT, "To": ini.PORT}),
         "CidrBlock": "203.0.113.66/32"},
        _acl_entry(95, False, "deny", "17", PortRange={"From": 53, "To": 53}),
        _acl_entry(100, False), _acl_entry(100, True),
        _acl_entry(32767, False, "deny"), _acl_entry(32767, True, "deny")]}


def documents():
    """{name of the file: document}"""
    def by_key(values):
        return {"Attributes": [{"Key": key, "Value": value}
                               for key, value in values.items()]}

    return copy.deepcopy({
        "load-balancers": {"LoadBalancers": [{
            "LoadBalancerArn": BALANCER,
            "DNSName": "Mail-Relay-50dc6c495c0c9188.elb.ap-northeast-1"
                       ".amazonaws.com",
            "CanonicalHostedZoneId": "Z31USIVHYNEOWT",
            "CreatedTime": "2026-03-01T10:02:03.450000+00:00",
            "LoadBalancerName": "Mail-Relay", "Scheme": "internet-facing",
            "VpcId": "vpc-0123456789abcdef0", "State": {"Code": "active"},
            "Type": "network", "SecurityGroups": [SECURITY_GROUP],
            "IpAddressType": "dualstack",
            "AvailabilityZones": [
                {"ZoneName": zone,
                 "SubnetId": SUBNET if zone == ZONES[0] else SUBNET[:-1] + "1",
                 "LoadBalancerAddresses": []} for zone in ZONES]}]},
        f"load-balancer-attributes.{BALANCER.rpartition('/')[2]}": by_key({
            "deletion_protection.enabled": "true",
            "load_balancing.cross_zone.enabled": "true",
            "access_logs.s3.enabled": "false", "access_logs.s3.bucket": "",
            "access_logs.s3.prefix": ""}),
        "listeners": {"Listeners": [
            _listener(LISTENER, ini.PORT, "TCP", (GROUP, 70), (SPARE, 30)),
            _listener(TLS_LISTENER, 465, "TLS", (GROUP, 1))]},
        f"listener-attributes.{LISTENER.rpartition('/')[2]}": by_key(
            {"tcp.idle_timeout.seconds": "600"}),
        "target-groups": {"TargetGroups": [
            _group(GROUP),
            _group(SPARE, HealthCheckProtocol="HTTP", HealthCheckPath="/ready",
                   Matcher={"HttpCode": "200,202"}),
            _group(UDP_GROUP, Protocol="UDP", Port=53)]},
        f"target-group-attributes.{GROUP.rpartition('/')[2]}": by_key(
            _GROUP_ATTRIBUTES),
        f"target-group-attributes.{SPARE.rpartition('/')[2]}": by_key(
            _GROUP_ATTRIBUTES),
        f"target-health.{GROUP.rpartition('/')[2]}": {
            "TargetHealthDescriptions": [
                _target(TARGET4[0], ZONES[0]), _target(TARGET4[1], ZONES[1]),
                _target(TARGET4[2], ZONES[0], "draining")]},
        f"target-health.{SPARE.rpartition('/')[2]}": {
            "TargetHealthDescriptions": [_target(TARGET4[3], "all")]},
        "security-groups": {"SecurityGroups": [_SECURITY_GROUP]},
        f"prefix-list-entries.{PREFIX_LIST}": {"Entries": [
            {"Cidr": "198.51.100.0/24", "Description": "Berlin"},
            {"Cidr": "198.51.100.128/25"}]},
        "network-acls": {"NetworkAcls": [_NETWORK_ACL]},
    })


def instances(**addresses):
    """What describe-instances says of instances with these addresses, in the
    second zone."""
    return {"Reservations": [
        {"ReservationId": "r-0123456789abcdef0", "Instances": [
            {"InstanceId": instance, "PrivateIpAddress": address,
             "Placement": {"AvailabilityZone": ZONES[1]}}]}
        for instance, address in addresses.items()]}


def write(directory, found):
    directory.mkdir(exist_ok=True)
    for name, document in found.items():
        (directory / f"{name}.json").write_text(
            document if isinstance(document, str)
            else json.dumps(document, indent=4))
    return directory
