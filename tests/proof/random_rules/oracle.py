"""What the kernel does with a ruleset, found without wmlab: a firewall in a namespace of its own, around it nothing but packet sockets.

Every packet of a probe is made by hand and sent alone. Behind it goes an ARP request: when the firewall has answered that, the packet before has
gone its whole way, so nothing is concluded from waiting. The rules carry counters, which are read after each packet: they say which rule was hit,
the packet sockets say what came out of the firewall and where.
"""
import contextlib
import ctypes
import dataclasses
import json
import os
import re
import select
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
SYN, ACK, PSH, RST = 0x02, 0x10, 0x08, 0x04
NUMBER = {"tcp": 6, "udp": 17}


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Place:
    """A network namespace. It ends with this process."""

    def __init__(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            checked(LIBC.unshare(CLONE_NEWNET))
            self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            checked(LIBC.setns(home, CLONE_NEWNET))
            os.close(home)

    @contextlib.contextmanager
    def inside(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        checked(LIBC.setns(self.fd, CLONE_NEWNET))
        try:
            yield
        finally:
            checked(LIBC.setns(home, CLONE_NEWNET))
            os.close(home)

    def run(self, *command, text=None):
        with self.inside():
            done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout


class Nft:
    """libnftables: a process for each look at the counters would take longer than all the rest."""

    def __init__(self, place):
        self.place, self.library = place, ctypes.CDLL("libnftables.so.1")
        self.library.nft_ctx_new.restype = ctypes.c_void_p
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(self.library, name).restype = ctypes.c_char_p
        with place.inside():
            self.context = ctypes.c_void_p(self.library.nft_ctx_new(0))
        self.library.nft_ctx_buffer_output(self.context)
        self.library.nft_ctx_buffer_error(self.context)

    def run(self, command, as_json=False):
        self.library.nft_ctx_output_set_flags(self.context, 1 << 4 if as_json else 0)
        with self.place.inside():
            failed = self.library.nft_run_cmd_from_buffer(self.context, command.encode())
        out, error = self.library.nft_ctx_get_output_buffer(self.context), self.library.nft_ctx_get_error_buffer(self.context)
        if failed:
            raise RuntimeError(f"nft: {error.decode()}")
        return out.decode()


# --- packets


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol, source, destination, ident, flags=0, seq=0, ack=0, payload=b""):
    """An IPv4 packet; source and destination are (address, port)."""
    ends = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    if protocol == "tcp":
        options = b"\x02\x04\x05\xb4" if flags & SYN else b""
        head = struct.pack("!HHIIBBHHH", source[1], destination[1], seq, ack, (5 + len(options) // 4) << 4, flags, 64000, 0, 0) + options
        where = 16
    else:
        head, where = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0), 6
    body = head + payload
    total = checksum(ends + struct.pack("!BBH", 0, NUMBER[protocol], len(body)) + body)
    body = body[:where] + struct.pack("!H", total) + body[where + 2:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, 0x4000, 64, NUMBER[protocol], 0) + ends
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + body


@dataclasses.dataclass
class Seen:
    """What came out of the firewall."""
    zone: str
    kind: str  # forwarded, icmp, rst, other
    source: tuple = ("", 0)
    destination: tuple = ("", 0)
    code: int = 0  # of ICMP, type 3


def read_packet(zone, data, ident):
    length, number = (data[0] & 15) * 4, data[9]
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    if number == 1:
        return Seen(zone, "icmp", (source, 0), (destination, 0), data[length + 1]) if data[length] == 3 else Seen(zone, "other")
    if number not in (6, 17):
        return Seen(zone, "other")
    ports = struct.unpack("!HH", data[length:length + 4])
    ends = (source, ports[0]), (destination, ports[1])
    if number == 6 and data[length + 13] & RST:
        return Seen(zone, "rst", *ends)
    return Seen(zone, "forwarded" if struct.unpack("!H", data[4:6])[0] == ident else "other", *ends)


# --- the firewall


class Firewall:
    """`zones`: name -> (interface, first three numbers of its network). `addresses`: all that may be sent to."""

    def __init__(self, zones, addresses):
        self.zones = zones
        self.world, self.place = Place(), Place()
        self.sockets, self.macs = {}, {}
        for index, (zone, (interface, net)) in enumerate(zones.items()):
            self.world.run("ip", "link", "add", f"w{index}", "type", "veth", "peer", "name", interface, "netns", f"/proc/{os.getpid()}/fd/{self.place.fd}")
            with self.world.inside():
                self.sysctl(f"ipv6/conf/w{index}/disable_ipv6", "1")
            self.world.run("ip", "link", "set", f"w{index}", "up")
            with self.world.inside():
                self.sockets[zone] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                self.sockets[zone].bind((f"w{index}", 3))
                self.sockets[zone].setblocking(False)
        with self.place.inside():
            for path, value in (("ipv6/conf/all/disable_ipv6", "1"), ("ipv4/ip_forward", "1"), ("ipv4/conf/all/rp_filter", "0"), ("ipv4/conf/default/rp_filter", "0"),
                                ("ipv4/conf/all/send_redirects", "0"), ("ipv4/icmp_ratelimit", "0"), ("ipv4/icmp_ratemask", "0"), ("ipv4/icmp_msgs_per_sec", "1000000"), ("ipv4/icmp_msgs_burst", "1000000")):
                self.sysctl(path, value)
        self.place.run("ip", "link", "set", "lo", "up")
        for index, (zone, (interface, net)) in enumerate(zones.items()):
            self.place.run("ip", "address", "add", f"{net}.1/24", "dev", interface)
            self.place.run("ip", "link", "set", interface, "up")
            outside = self.mac(self.world, f"w{index}")
            self.macs[zone] = (self.mac(self.place, interface), outside)
            for address in addresses:
                if address.startswith(net + "."):
                    self.place.run("ip", "neighbour", "replace", address, "lladdr", outside, "dev", interface, "nud", "permanent")
        self.nft = Nft(self.place)
        self.iptables = False
        self.ident = 1

    @staticmethod
    def sysctl(path, value):
        with open(f"/proc/sys/net/{path}", "w") as file:
            file.write(value)

    @staticmethod
    def mac(place, interface):
        return re.search(r"link/ether (\S+)", place.run("ip", "link", "show", interface)).group(1)

    def load(self, text, iptables):
        self.nft.run("flush ruleset")
        self.forget()
        self.iptables = iptables
        if iptables:
            self.place.run("iptables-nft-restore", text=text)
        else:
            self.nft.run(text)

    def forget(self):
        """Empties connection tracking."""
        with self.place.inside():
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
                netlink.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 2, 0, 0))
                netlink.recv(4096)

    def counters(self):
        """Packets by the comment of the rule."""
        found = {}
        if self.iptables:
            for packets, comment in re.findall(r'^\[(\d+):\d+\] -A .*--comment "?([LE][\w:/]+)\b.*$', self.place.run("iptables-nft-save", "-c"), re.M):
                found[comment] = found.get(comment, 0) + int(packets)
            return found
        for entry in json.loads(self.nft.run("list ruleset", True))["nftables"]:
            rule = entry.get("rule", {})
            counts = [part["counter"]["packets"] for part in rule.get("expr", []) if isinstance(part.get("counter"), dict)]
            if rule.get("comment") and counts:
                found[rule["comment"]] = found.get(rule["comment"], 0) + counts[-1]
        return found

    def send(self, zone, data):
        """Sends one packet from a zone. Returns what came out of the firewall because of it."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})  # one processor's queue keeps the order
        try:
            inner, outer = (bytes.fromhex(mac.replace(":", "")) for mac in self.macs[zone])
            own = socket.inet_aton(self.zones[zone][1] + ".1")
            asking = socket.inet_aton(self.zones[zone][1] + ".253")
            self.sockets[zone].send(inner + outer + b"\x08\x00" + data)
            self.sockets[zone].send(inner + outer + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + outer + asking + bytes(6) + own)
            return self.collect(zone, struct.unpack("!H", data[4:6])[0])
        finally:
            os.sched_setaffinity(0, before)

    def collect(self, asked, ident):
        seen, answered = [], False
        while True:
            ready, _, _ = select.select(list(self.sockets.values()), [], [], 0 if answered else 5)
            if not ready:
                if answered:
                    return seen
                raise RuntimeError("the firewall of the oracle does not answer ARP")
            for zone, one in self.sockets.items():
                if one not in ready:
                    continue
                with contextlib.suppress(BlockingIOError):
                    while True:
                        frame, address = one.recvfrom(65536)
                        if address[2] == socket.PACKET_OUTGOING:
                            continue
                        kind = frame[12:14]
                        if kind == b"\x08\x06" and zone == asked and frame[20:22] == b"\x00\x02":
                            answered = True
                        elif kind == b"\x08\x00":
                            seen.append(read_packet(zone, frame[14:], ident))


@dataclasses.dataclass
class Step:
    """One packet's way."""
    name: str
    direction: str  # from->to, to->from
    packet: dict  # what rules look at: in, proto, saddr, daddr, sport, dport
    seen: list
    hits: dict  # comment -> packets
    after: "Step" = None  # what the sender sent then, not knowing that this one was stopped


class Prober:
    """Leads the packets of a probe through, one after the other, as long as they arrive."""

    def __init__(self, firewall):
        self.firewall = firewall
        self.source_port = 33000

    def step(self, name, direction, zone, protocol, source, destination, **more):
        firewall = self.firewall
        firewall.ident = firewall.ident % 60000 + 1
        before = firewall.counters()
        seen = firewall.send(zone, packet(protocol, source, destination, firewall.ident, **more))
        after = firewall.counters()
        hits = {key: count - before.get(key, 0) for key, count in after.items() if count > before.get(key, 0)}
        looks = dict(zone=zone, proto=protocol, saddr=source[0], daddr=destination[0], sport=source[1], dport=destination[1])
        return Step(name, direction, looks, [one for one in seen if one.kind != "other"], hits)

    def probe(self, protocol, zone, source, destination):
        """`source`, `destination`: address, and (address, port). Returns the steps; the last one is where it stopped, if it did."""
        self.source_port = self.source_port + 1 if self.source_port < 60000 else 33000
        near = (source, self.source_port)
        steps = []

        def forwarded_of(step):
            return next((one for one in step.seen if one.kind == "forwarded"), None)
        if protocol == "udp":
            steps.append(self.step("datagram", "from->to", zone, protocol, near, destination, payload=b"wmlab-probe 0123456789abcdef\n"))
            return steps
        payload, far = b"wmlab-probe 0123456789abcdef\n", None
        for name, forth, more in (("syn", True, dict(flags=SYN, seq=1000)), ("syn-ack", False, dict(flags=SYN | ACK, seq=5000, ack=1001)),
                                  ("ack", True, dict(flags=ACK, seq=1001, ack=5001)), ("data", True, dict(flags=ACK | PSH, seq=1001, ack=5001, payload=payload)),
                                  ("echo", False, dict(flags=ACK | PSH, seq=5001, ack=1001 + len(payload), payload=payload))):
            if forth:
                steps.append(self.step(name, "from->to", zone, protocol, near, destination, **more))
            else:
                steps.append(self.step(name, "to->from", far.zone, protocol, far.destination, far.source, **more))
            if name == "data" and steps[-2].name == "ack" and not steps[-2].seen:  # the data were sent nevertheless
                data = steps.pop()
                if forwarded_of(data):
                    steps[-1] = data  # and opened the connection
                else:
                    steps[-1].after = data
            out = forwarded_of(steps[-1])
            if not out and (name != "ack" or steps[-1].seen):
                break
            far = out if forth else far
        return steps
