"""Reads the flow log's formats by their documents, not by nlbd's code: the
field lists are those of the VPC User Guide (flow log records, version 2) and
of the User Guide for Network Load Balancers (access log entries)."""
import collections
import datetime
import ipaddress
import json

VPC_FIELDS = ("version account_id interface_id srcaddr dstaddr srcport dstport "
              "protocol packets bytes start end action log_status").split()
NLB_FIELDS = ("type version time elb listener client destination "
              "connection_time tls_handshake_time received_bytes sent_bytes "
              "incoming_tls_alert chosen_cert_arn chosen_cert_serial "
              "tls_cipher tls_protocol_version tls_named_group domain_name "
              "alpn_fe_protocol alpn_be_protocol alpn_client_preference_list "
              "tls_connection_creation_time").split()
NO_TLS = [name for name in NLB_FIELDS[11:-1]] + ["tls_handshake_time"]

# client: (address, port). Times in seconds.
Flow = collections.namedtuple(
    "Flow", "client listener sent received start end accepted")


def fields(names, line):
    values = line.split(" ")
    assert len(values) == len(names), line
    assert all(value and value.isprintable() for value in values), line
    return dict(zip(names, values))


def endpoint(text):
    address, _, port = text.rpartition(":")
    bare = address.removeprefix("[").removesuffix("]")
    assert (bare != address) == (":" in bare), text
    return str(ipaddress.ip_address(bare)), int(port)


def seconds(text):
    """ISO 8601, in UTC."""
    time = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    return time.replace(tzinfo=datetime.timezone.utc).timestamp()


def parse_json(text):
    flows = []
    for entry in map(json.loads, text.splitlines()):
        start = seconds(entry["time"])
        flows.append(Flow(
            endpoint(entry["client"]), endpoint(entry["listener_address"]),
            entry["client_to_target_bytes"], entry["target_to_client_bytes"],
            start, start + entry["duration_ms"] / 1000,
            entry["end_reason"] != "security-group"))
    return flows


def parse_nlb(text):
    flows = []
    for line in text.splitlines():
        entry = fields(NLB_FIELDS, line)
        assert entry["type"] == "tcp" and entry["version"] == "2.0", line
        assert all(entry[name] == "-" for name in NO_TLS), line
        start = seconds(entry["tls_connection_creation_time"])
        end = seconds(entry["time"])
        # Milliseconds, between two times of which each lost its fraction.
        assert abs(end - start - int(entry["connection_time"]) / 1000) < 1.001
        flows.append(Flow(
            endpoint(entry["client"]), endpoint(entry["destination"]),
            int(entry["received_bytes"]), int(entry["sent_bytes"]), start, end,
            None))
    return flows


def vpc_records(text):
    records = []
    for line in text.splitlines():
        entry = fields(VPC_FIELDS, line)
        assert entry["version"] == "2" and entry["protocol"] == "6", line
        assert entry["account_id"] == "-", line
        assert entry["action"] in ("ACCEPT", "REJECT"), line
        assert entry["log_status"] == "OK", line
        for name in ("srcaddr", "dstaddr"):
            entry[name] = str(ipaddress.ip_address(entry[name]))
        for name in ("srcport", "dstport", "packets", "bytes", "start", "end"):
            entry[name] = int(entry[name])
        assert entry["start"] <= entry["end"], line
        # A segment holds at most 64 KiB, and there was a SYN.
        assert entry["packets"] > entry["bytes"] // 65536, line
        records.append(entry)
    return records


def parse_vpc(text, listener_port):
    """The two directions put together again."""
    to_client, flows = {}, []
    records = vpc_records(text)
    for entry in records:
        if entry["srcport"] == listener_port:
            key = entry["dstaddr"], entry["dstport"]
            assert key not in to_client, f"twice: {entry}"
            to_client[key] = entry
    for entry in records:
        if entry["dstport"] != listener_port:
            continue
        client = entry["srcaddr"], entry["srcport"]
        listener = entry["dstaddr"], entry["dstport"]
        accepted = entry["action"] == "ACCEPT"
        received = 0
        if accepted:
            back = to_client.pop(client)
            assert (back["srcaddr"], back["srcport"]) == listener
            assert back["action"] == "ACCEPT"
            assert (back["start"], back["end"]) == (entry["start"],
                                                    entry["end"])
            received = back["bytes"]
        flows.append(Flow(client, listener, entry["bytes"], received,
                          entry["start"], entry["end"], accepted))
    assert to_client == {}, "answers without a question"
    return flows


def parse(log_format, text, listener_port):
    """[Flow] of a log in a FlowLogFormat."""
    if log_format == "vpc-flow-v2":
        return parse_vpc(text, listener_port)
    return {"json": parse_json, "nlb": parse_nlb}[log_format](text)
