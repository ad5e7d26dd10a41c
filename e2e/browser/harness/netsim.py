"""A small internet between Linux network namespaces, in user space.

    netsim.py '{"prefix": "lab1", "hosts": {"ada": {"ip": "10.9.1.2"}, "bob": {"ip": "192.168.7.2",
               "nat": {"kind": "symmetric", "ip": "10.9.2.1"}}}}'

Makes one namespace for each host, called PREFIX-NAME, whose only way out is a TUN device that ends here. Kernels
without netem can therefore be tested too, and NAT needs no firewall. Needs root, /dev/net/tun and the `ip` command.

Each line on stdin is a JSON command, each is answered by a line on stdout once it holds:
    {"set": {"delayMs": 25}}                                     every link, both ways
    {"set": {"lossPercent": 5}, "between": ["ada", "bob"]}       one link, both ways
    {"set": {"cut": true}, "from": "ada", "to": "bob"}           one direction
    {"reset": true}                                              every link ideal again
The namespaces go when stdin closes.
"""

import asyncio
import fcntl
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
TCP, UDP = 6, 17
CHECKSUM_OFFSET = {TCP: 16, UDP: 6}
# What a router holds back before it drops, in seconds of its rate.
QUEUE_LIMIT_S = 0.2
IDEAL = {"delayMs": 0, "jitterMs": 0, "lossPercent": 0, "rateMbit": 0, "cut": False, "blockUdp": False}


def ip_command(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


class Packet:
    """An IPv4 packet whose addresses and ports can be changed in place."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.header = (data[0] & 15) * 4
        self.protocol = data[9]
        # Only the first fragment carries ports.
        whole = struct.unpack_from(">H", data, 6)[0] & 0x3FFF == 0
        self.has_ports = whole and self.protocol in CHECKSUM_OFFSET and len(data) >= self.header + 8

    source = property(lambda self: bytes(self.data[12:16]))
    target = property(lambda self: bytes(self.data[16:20]))
    source_port = property(lambda self: self._word(self.header))
    target_port = property(lambda self: self._word(self.header + 2))

    def _word(self, offset):
        return struct.unpack_from(">H", self.data, offset)[0]

    def rewrite_source(self, address, port):
        self._rewrite(12, address, self.header, port)

    def rewrite_target(self, address, port):
        self._rewrite(16, address, self.header + 2, port)

    def _rewrite(self, address_at, address, port_at, port):
        old_address, old_port = bytes(self.data[address_at : address_at + 4]), bytes(self.data[port_at : port_at + 2])
        new_port = struct.pack(">H", port)
        self.data[address_at : address_at + 4] = address
        self.data[port_at : port_at + 2] = new_port
        self._mend_checksum(10, old_address, address)
        at = self.header + CHECKSUM_OFFSET[self.protocol]
        if self.protocol == UDP and self._word(at) == 0:
            return  # the sender computed none
        self._mend_checksum(at, old_address + old_port, address + new_port)

    def _mend_checksum(self, at, old, new):
        # RFC 1624: the sum changes by what the words changed by.
        total = ~self._word(at) & 0xFFFF
        for index in range(0, len(old), 2):
            total += ~struct.unpack_from(">H", old, index)[0] & 0xFFFF
            total += struct.unpack_from(">H", new, index)[0]
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into(">H", self.data, at, ~total & 0xFFFF)


class Nat:
    """Translates one inside host. Lets in only what answers to what went out.

    "cone" keeps one outside port for an inside port, so that a peer can learn it from a STUN server;
    "symmetric" takes a new one for every destination, which defeats that.
    """

    def __init__(self, inside, outside, kind):
        self.inside, self.outside, self.symmetric = inside, outside, kind == "symmetric"
        self.port_of, self.inside_of, self.allowed = {}, {}, set()

    def leave(self, packet):
        if not packet.has_ports:
            return False
        remote = (packet.target, packet.target_port)
        flow = (packet.protocol, packet.source_port, remote if self.symmetric else None)
        port = self.port_of.get(flow) or self._take_port(packet.protocol, flow)
        self.allowed.add((packet.protocol, port, remote))
        packet.rewrite_source(self.outside, port)
        return True

    def enter(self, packet):
        if not packet.has_ports:
            return False
        key = (packet.protocol, packet.target_port)
        if key not in self.inside_of or (*key, (packet.source, packet.source_port)) not in self.allowed:
            return False
        packet.rewrite_target(self.inside, self.inside_of[key])
        return True

    def _take_port(self, protocol, flow):
        while True:
            port = random.randrange(20000, 60000)
            if (protocol, port) not in self.inside_of:
                self.port_of[flow] = port
                self.inside_of[protocol, port] = flow[1]
                return port


class Host:
    def __init__(self, prefix, index, name, spec):
        self.name, self.namespace = name, f"{prefix}-{name}"
        inside = socket.inet_aton(spec["ip"])
        nat = spec.get("nat")
        self.nat = Nat(inside, socket.inet_aton(nat["ip"]), nat["kind"]) if nat else None
        self.address = self.nat.outside if self.nat else inside
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        device = f"ds{os.getpid() % 100000}x{index}"
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        ip_command("netns", "add", self.namespace)
        ip_command("link", "set", device, "netns", self.namespace, "name", "tun0")
        inside_namespace = ("-n", self.namespace)
        ip_command(*inside_namespace, "addr", "add", f"{spec['ip']}/32", "dev", "tun0")
        ip_command(*inside_namespace, "link", "set", "lo", "up")
        ip_command(*inside_namespace, "link", "set", "tun0", "txqueuelen", "2000", "up")
        ip_command(*inside_namespace, "route", "add", "default", "dev", "tun0")

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


class Internet:
    def __init__(self, loop, hosts):
        self.loop, self.hosts = loop, hosts
        self.by_address = {host.address: host for host in hosts.values()}
        self.everywhere, self.special = dict(IDEAL), {}
        self.line_free_at, self.last_arrival = {}, {}
        for host in hosts.values():
            loop.add_reader(host.tun, self._read, host)

    def apply(self, command):
        if command.get("reset"):
            self.everywhere, self.special = dict(IDEAL), {}
            return
        change = command["set"]
        unknown = set(change) - set(IDEAL)
        if unknown:
            raise ValueError(f"unknown condition: {', '.join(sorted(unknown))}")
        if "between" in command:
            one, other = command["between"]
            directions = [(one, other), (other, one)]
        elif "from" in command:
            directions = [(command["from"], command["to"])]
        else:
            self.everywhere.update(change)
            return
        for direction in directions:
            if not set(direction) <= set(self.hosts):
                raise ValueError(f"no such hosts: {direction}")
            self.special.setdefault(direction, {}).update(change)

    def _read(self, sender):
        for _ in range(64):
            try:
                data = os.read(sender.tun, 65536)
            except BlockingIOError:
                return
            if len(data) >= 20 and data[0] >> 4 == 4:
                self._route(sender, Packet(data))

    def _route(self, sender, packet):
        receiver = self.by_address.get(packet.target)
        if receiver is None or (sender.nat and not sender.nat.leave(packet)):
            return
        link = (sender.name, receiver.name)
        now = self.loop.time()
        arrival = self._arrival(link, {**self.everywhere, **self.special.get(link, {})}, packet, now)
        if arrival is None:
            return
        if arrival <= now:
            self._deliver(receiver, packet)
        else:
            self.loop.call_at(arrival, self._deliver, receiver, packet)

    def _arrival(self, link, conditions, packet, now):
        """When the packet gets there, or None when it does not."""
        if conditions["cut"] or (conditions["blockUdp"] and packet.protocol == UDP):
            return None
        if random.random() * 100 < conditions["lossPercent"]:
            return None
        at = now
        if conditions["rateMbit"]:
            starts = max(now, self.line_free_at.get(link, 0))
            if starts - now > QUEUE_LIMIT_S:
                return None
            at = self.line_free_at[link] = starts + len(packet.data) * 8 / (conditions["rateMbit"] * 1e6)
        at += (conditions["delayMs"] + random.random() * conditions["jitterMs"]) / 1000
        # A path delays unevenly, but seldom lets one packet overtake another.
        at = self.last_arrival[link] = max(at, self.last_arrival.get(link, 0))
        return at

    def _deliver(self, receiver, packet):
        if receiver.nat and not receiver.nat.enter(packet):
            return
        try:
            os.write(receiver.tun, packet.data)
        except OSError:
            pass  # its queue is full or its device is down: a lost packet


async def obey(internet):
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            internet.apply(json.loads(line))
            answer = {"ok": True}
        except (ValueError, KeyError, TypeError) as error:
            answer = {"ok": False, "error": str(error)}
        print(json.dumps(answer), flush=True)


async def main():
    # Ending by a signal must remove the namespaces as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = json.loads(sys.argv[1])
    hosts = {}
    try:
        for index, (name, spec) in enumerate(config["hosts"].items()):
            hosts[name] = Host(config["prefix"], index, name, spec)
        internet = Internet(asyncio.get_running_loop(), hosts)
        print(json.dumps({"ok": True}), flush=True)
        await obey(internet)
    finally:
        for host in hosts.values():
            host.remove()


asyncio.run(main())
