#!/usr/bin/env python3
"""A firewall's inspector, as test code: reads forwarded packets on the firewall's interfaces (AF_PACKET) and opens the ports that MMS players and
the endpoint mapper announce, as elements with a time-out of the sets `mms` and `mapper` of the table inet filter.
What it cannot do: hold a packet back until the port is open, or drop one; that takes a queue in the kernel. And connections that have begun
through a port outlive it, by `ct state established`.
Usage: inspector.py names, or inspector.py OUTSIDE INSIDE [FAULT...]: players are behind OUTSIDE; each FAULT is a mistake that real inspectors were seen to make:"""
import re, signal, socket, struct, subprocess, sys

FAULTS = {
    "any-source": "opens the port for every sender",
    "any-player": "opens the port at every player",
    "next-port-too": "opens a pair of ports",
    "whole-range": "opens the whole range",
    "believes-address": "opens at the address that is named, not at the player's",
    "any-port": "does not mind which port is named",
    "below-1024": "does not mind a port below 1024",
    "never-closes": "forgets to close when the control connection ends",
    "any-connection": "reads connections to every port",
    "searches": "looks for the name anywhere in a connection",
    "ignores-length": "does not look at length fields",
    "either-direction": "believes what the server says as a player's word",
    "no-reassembly": "reads each segment by itself",
    "first-message-only": "reads only the first message of a segment",
    "case": "knows only UDP in upper case",
    "both-ways": "opens the port at the server too",
    "short-lived": "closes after half a second without traffic",
    "mapper-any-client": "opens the mapper's port for every client",
    "mapper-next-port": "opens a pair of the mapper's ports",
    "mapper-believes-address": "opens to the host that the answer names",
    "mapper-unasked": "believes answers that nobody asked for",
    "mapper-no-status": "does not look whether the answer is a failure",
    "mapper-by-client": "believes a client's word as the mapper's",
    "mapper-any-connection": "reads connections to every port as the mapper's",
    "mapper-no-reassembly": "reads each segment of the mapper by itself",
    "mapper-udp-any-client": "opens the UDP mapper's port for every client",
    "mapper-udp-next-port": "opens a pair of the UDP mapper's ports",
    "mapper-udp-believes-address": "opens to the host that the datagram names",
    "mapper-udp-unasked": "believes datagrams that nobody asked for",
    "mapper-udp-no-status": "does not look whether the datagram is a failure",
    "mapper-udp-by-client": "believes a client's datagram as the mapper's",
    "mapper-udp-first-fragment": "reads each fragment of a datagram answer by itself",
    "fixed-life": "closes after one and a half times the idle time, whether there is traffic or not",
    "msbd-range": "opens the whole fallback range as soon as MSBD is spoken",
    "msbd-refused-range": "opens the whole fallback range when 7007 is refused",
    "helps-nobody": "opens nothing",
}
if sys.argv[1:] == ["names"]:
    print(*FAULTS)
    sys.exit()
outside, inside = sys.argv[1:3]
faults = set(sys.argv[3:])
if faults - set(FAULTS):
    sys.exit(f"no such fault: {faults - set(FAULTS)}")
nft = subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
signal.signal(signal.SIGTERM, lambda *_: (nft.stdin.close(), sys.exit(0)))


def change(word, kind, source, destination, port):
    seconds = "500ms" if "short-lived" in faults else "1500ms" if "fixed-life" in faults else "60s"
    life = f" timeout {seconds}" if word == "add" else ""
    nft.stdin.write(f"{word} element inet filter {kind} {{ {source} . {destination} . {port}{life} }}\n")
    nft.stdin.flush()


class Calls:
    """Calls over UDP (C706 12.5), by the client's address and port: what was asked, and the fragments of the answer."""
    def __init__(self):
        self.asked, self.parts = set(), {}

    def datagram(self, by_server, client, server, data):
        if len(data) < 80 or data[0] != 4 or "helps-nobody" in faults:
            return
        kind, flags, activity, operation, fragment = data[1], data[2], data[40:56], *struct.unpack_from("<H", data, 68), *struct.unpack_from("<H", data, 76)
        body = data[80:80 + struct.unpack_from("<H", data, 74)[0]]
        if kind == 0 and not by_server and operation == 3:
            self.asked.add((client, activity))
        if kind != 2 or not (by_server or "mapper-udp-by-client" in faults) or not ((client, activity) in self.asked or "mapper-udp-unasked" in faults):
            return
        if flags & 4 and "mapper-udp-first-fragment" not in faults:
            self.parts.setdefault((client, activity), {})[fragment] = body
            if not flags & 2:
                return
            body = b"".join(part for _, part in sorted(self.parts.pop((client, activity)).items()))
        if len(body) < 8 or struct.unpack_from("<I", body, len(body) - 4)[0] and "mapper-udp-no-status" not in faults:
            return
        for at in (match.start() for match in re.finditer(rb"\x01\x00\x08\x02\x00..\x01\x00\x09\x04\x00", body, re.S)):
            port, address = struct.unpack_from(">H", body, at + 5)[0], socket.inet_ntoa(body[at + 12:at + 16])
            if address != server and "mapper-udp-believes-address" not in faults or port < 1024:
                continue
            target = address if "mapper-udp-believes-address" in faults else server
            source = "0.0.0.0-255.255.255.255" if "mapper-udp-any-client" in faults else client[0]
            change("add", "mapper_udp", source, target, f"{port}-{port + 1}" if "mapper-udp-next-port" in faults else port)


class Half:
    """One direction of a connection: its bytes in order, each once."""
    def __init__(self, first):
        self.next, self.waiting, self.bytes = first, {}, b""

    def add(self, sequence, data):
        self.waiting[sequence] = max(self.waiting.get(sequence, b""), data, key=len)
        grown = True
        while grown:
            grown = False
            for at in list(self.waiting):
                ahead = (self.next - at) & 0xFFFFFFFF
                if ahead < 1 << 31:
                    part = self.waiting.pop(at)[ahead:]
                    self.bytes, self.next = self.bytes + part, (self.next + len(part)) & 0xFFFFFFFF
                    grown = grown or bool(part)


class Connection:
    def __init__(self, client, server, port):
        self.client, self.server, self.port = client, server, port
        self.halves, self.open, self.asked, self.started, self.answered = {}, [], False, False, False

    def pinhole(self, kind, source, destination, port):
        for element in ((kind, source, destination, port),):
            self.open.append(element)
            change("add", *element)

    def close(self):
        if "never-closes" not in faults and self.port == 1755:
            for element in self.open:
                change("delete", *element)
        self.open = []

    # MS-MMSP 2.2.4.18
    def funnel(self, name):
        match = re.match(r"\\\\(\d+\.\d+\.\d+\.\d+)\\(udp|UDP)\\(\d+)" if "case" not in faults else r"\\\\(\d+\.\d+\.\d+\.\d+)\\(UDP)\\(\d+)", name)
        if not match or "helps-nobody" in faults:
            return
        address, port = match[1], int(match[3])
        lowest, highest = (1 if {"below-1024", "any-port"} & faults else 1024), (65535 if "any-port" in faults else 5000)
        if not lowest <= port <= highest or address != self.client and "believes-address" not in faults:
            return
        for element in self.open:
            change("delete", *element)
        self.open = []
        player = address if "believes-address" in faults else self.client
        source = "0.0.0.0-255.255.255.255" if "any-source" in faults else self.server
        target = "0.0.0.0-255.255.255.255" if "any-player" in faults else player
        ports = "1024-5000" if "whole-range" in faults else f"{port}-{port + 1}" if "next-port-too" in faults else port
        self.pinhole("mms", source, target, ports)
        if "both-ways" in faults:
            self.pinhole("mms", self.client, self.server, port)

    def read_mms(self, half):
        data = half.bytes
        while True:
            if "searches" in faults or "ignores-length" in faults:
                sign = "\\\\".encode("utf-16le") if "searches" in faults else b"MMS "
                at = data.find(sign)
                while at >= 0:
                    body = data[at:] if "searches" in faults else data[at + 48:]
                    name = body[:80].decode("utf-16le", "ignore")
                    if "searches" in faults or data[at + 24:at + 28] == struct.pack("<I", 0x00030002):
                        self.funnel(name)
                    at = data.find(sign, at + 4)
                half.bytes = data[-200:] if len(data) > 400 else data
                return
            if len(data) < 16:
                return
            length = struct.unpack_from("<I", data, 8)[0]
            if data[4:8] != b"\xce\xfa\x0b\xb0" or data[12:16] != b"MMS " or length % 8 or not 24 <= length <= 65536:
                half.bytes = b""  # no boundaries any more: the rest of the connection is not read
                half.lost = True
                return
            size = length + 16
            if len(data) < size:
                return
            message, data = data[32:size], data[size:]
            half.bytes = data
            if len(message) >= 8:
                chunks, mid = struct.unpack_from("<II", message)
                if mid == 0x00030002 and chunks * 8 == len(message):
                    self.funnel(message[28:].decode("utf-16le", "ignore"))
            if "first-message-only" in faults:
                half.bytes = b""
                return

    # C706 appendix O, ept_map
    def read_mapper(self, half, by_server):
        data = half.bytes
        while len(data) >= 16:
            size = struct.unpack_from("<H", data, 8)[0]
            if data[0] != 5 or size < 16:
                half.bytes = b""
                return
            if len(data) < size:
                half.bytes = data
                return
            pdu, data = data[:size], data[size:]
            if pdu[2] == 0 and not by_server and struct.unpack_from("<H", pdu, 22)[0] == 3:
                self.asked = True
            if pdu[2] == 2 and (by_server or "mapper-by-client" in faults) and (self.asked or "mapper-unasked" in faults):
                self.towers(pdu[24:])
        half.bytes = data

    def towers(self, stub):
        status = struct.unpack_from("<I", stub, len(stub) - 4)[0]
        if (status and "mapper-no-status" not in faults) or "helps-nobody" in faults:
            return
        for at in (match.start() for match in re.finditer(rb"\x01\x00\x07\x02\x00..\x01\x00\x09\x04\x00", stub, re.S)):
            port, address = struct.unpack_from(">H", stub, at + 5)[0], socket.inet_ntoa(stub[at + 12:at + 16])
            if address != self.server and "mapper-believes-address" not in faults or port < 1024:
                continue
            server = address if "mapper-believes-address" in faults else self.server
            client = "0.0.0.0-255.255.255.255" if "mapper-any-client" in faults else self.client
            self.pinhole("mapper", client, server, f"{port}-{port + 1}" if "mapper-next-port" in faults else port)

    def segment(self, by_server, sequence, data):
        reads_mms = self.port == 1755 or "any-connection" in faults
        reads_mapper = self.port == 135 or "mapper-any-connection" in faults
        half = self.halves.get(by_server)
        if half is None or getattr(half, "lost", False):
            return
        if reads_mms and "no-reassembly" in faults or reads_mapper and "mapper-no-reassembly" in faults:
            half.bytes = data
        else:
            half.add(sequence, data)
        if reads_mms and (not by_server or "either-direction" in faults):
            self.read_mms(half)
        elif reads_mapper:
            self.read_mapper(half, by_server)


calls, connections = Calls(), {}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print("ready", flush=True)
while True:
    frame, (interface, _, kind, *_) = wire.recvfrom(65536)
    if kind == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17) or interface not in (outside, inside):
        continue
    head = 14 + (frame[14] & 15) * 4
    total = 14 + struct.unpack_from(">H", frame, 16)[0]
    source, destination = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    if frame[23] == 17:
        source_port, destination_port = struct.unpack_from(">HH", frame, head)
        by_server = interface == inside
        if source_port == 135 if by_server else destination_port == 135:
            calls.datagram(by_server, (destination, destination_port) if by_server else (source, source_port), source if by_server else destination, frame[head + 8:total])
        continue
    source_port, destination_port, sequence = struct.unpack_from(">HHI", frame, head)
    flags, data = frame[head + 13], frame[head + (frame[head + 12] >> 4) * 4:total]
    by_server = interface == inside
    client, server = ((destination, destination_port), (source, source_port)) if by_server else ((source, source_port), (destination, destination_port))
    key = client + server
    if server[1] == 7007 and (flags & 4 if "msbd-refused-range" in faults else data if "msbd-range" in faults else False):
        change("add", "mapper", client[0], server[0], "1024-5000")
    if flags & 2 and not by_server:
        connections[key] = Connection(client[0], server[0], server[1])
    connection = connections.get(key)
    if connection is None:
        continue
    if flags & 2:
        connection.halves[by_server] = Half((sequence + 1) & 0xFFFFFFFF)
        connection.answered = connection.answered or by_server
    elif data and connection.answered:
        connection.segment(by_server, sequence, data)
    if flags & 5:
        connection.close()
        if flags & 4:
            connections.pop(key, None)
