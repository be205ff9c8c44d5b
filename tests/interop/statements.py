"""A player made by hand against server_sim on 127.0.0.1: statements of MS-MMSP and MS-WMSP, by section; where playing begins
after a seek; packets for others. Prints a line for each; exit 1 where one does not hold."""
import collections
import random
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
import uuid

HOST, OFF, NONE = "127.0.0.1", 2, 0xFFFF
work = sys.argv[1]
wrong = []


def check(section, statement, holds, seen=""):
    print(f"{'ok' if holds else 'WRONG':6}{section:24}{statement}{' (' + str(seen) + ')' if seen != '' else ''}", flush=True)
    if not holds:
        wrong.append(section)


def text(words):
    return words.encode("utf-16le") + b"\0\0"


# --- packets of ASF

WIDTH = (0, 1, 2, 4)


def payloads(packet):
    """(stream, key frame, object's first, presentation time) of each payload."""
    at = 1 + (packet[0] & 15) if packet[0] & 0x80 else 0
    flags, found = packet[at], []
    at += 2 + WIDTH[flags >> 5 & 3] + WIDTH[flags >> 1 & 3] + WIDTH[flags >> 3 & 3] + 6
    several, length = flags & 1, 0
    count = 1
    if several:
        count, length = packet[at] & 63, WIDTH[packet[at] >> 6]
        at += 1
    for _ in range(count):
        stream, offset, replicated = packet[at], int.from_bytes(packet[at + 2:at + 6], "little"), packet[at + 6]
        when = int.from_bytes(packet[at + 11:at + 15], "little") if replicated >= 8 else 0
        found.append((stream & 127, bool(stream & 128), offset == 0, when))
        at += 7 + replicated
        if several:
            at += length + int.from_bytes(packet[at:at + length], "little")
    return found


def streams_of(packets):
    return dict(collections.Counter(one[0] for packet in packets for one in payloads(packet)))


def pieces(packet):
    """(stream, number of the object, offset in it, bytes of it) of each payload, with the sizes of fields that ffmpeg writes."""
    at = 1 + (packet[0] & 15) if packet[0] & 0x80 else 0
    flags, sizes, found = packet[at], [], []
    at += 2
    for shift in (5, 1, 3):  # Packet Length, Sequence, Padding Length
        width = WIDTH[flags >> shift & 3]
        sizes.append(int.from_bytes(packet[at:at + width], "little"))
        at += width
    end = (sizes[0] or len(packet)) - sizes[2]
    at += 6
    count, length = 1, 0
    if flags & 1:
        count, length = packet[at] & 63, WIDTH[packet[at] >> 6]
        at += 1
    for _ in range(count):
        head = at
        at += 7 + packet[head + 6]
        size = int.from_bytes(packet[at:at + length], "little") if flags & 1 else end - at
        at += length
        found.append((packet[head] & 127, packet[head + 1], int.from_bytes(packet[head + 2:head + 6], "little"), packet[at:at + size]))
        at += size
    return found


def not_whole(packets, file):
    """The pieces that do not go on with what came of their object, or are not the file's."""
    under_way, odd = {}, []
    for packet in packets:
        for stream, number, offset, part in pieces(packet):
            if offset == 0:
                under_way[stream] = (number, 0)
            if under_way.get(stream) != (number, offset) or (stream, number, offset, part) not in file:
                odd.append((stream, number, offset))
            else:
                under_way[stream] = (number, offset + len(part))
    return odd


PREROLL = 3100  # ffmpeg's


def first_key_frame(packets, stream):
    for packet in packets:
        for number, key, begins, when in payloads(packet):
            if number == stream and key and begins:
                return when - PREROLL
    return None


# --- MMS

class Mms:
    def __init__(self, address="127.0.0.1", player="NSPlayer/7.0.0.1956; {33715801-BAB3-9D85-24E9-03B90328270A}; Host: x"):
        self.tcp = socket.create_connection((HOST, 1755), timeout=8, source_address=(address, 0))
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread, self.number, self.media, self.player = b"", 0, [], player

    def send(self, mid, body):
        message = struct.pack("<I", mid) + body
        message += b"\0" * (-(len(message) + 4) % 8)
        chunks = (len(message) + 4) // 8
        head = struct.pack("<IIIIIHHQ", 1, 0xB00BFACE, 16 + 8 * chunks, 0x20534D4D, chunks + 2, self.number & 0xFFFF, 0, 0)
        self.tcp.sendall(head + struct.pack("<I", chunks) + message)
        self.number += 1

    def read(self, size):
        while len(self.unread) < size:
            more = self.tcp.recv(65536)
            if not more:
                raise EOFError
            self.unread += more
        part, self.unread = self.unread[:size], self.unread[size:]
        return part

    def next(self):
        """(MID, body) of a message, or (None, Data packet)."""
        head = self.read(8)
        if head[4:] == bytes.fromhex("cefa0bb0"):
            size = struct.unpack("<I", self.read(4))[0]
            rest = self.read(size + 4)
            return struct.unpack("<I", rest[24:28])[0], rest[28:]
        return None, head + self.read(struct.unpack("<H", head[6:8])[0] - 8)

    def until(self, mid):
        while True:
            got, body = self.next()
            if got == mid:
                return body
            if got is None:
                self.media.append(body)

    def connect(self):
        self.send(0x30001, struct.pack("<III", 0xF0F0F0EF, 0x4000B, 0x3001C) + text(self.player))
        self.until(0x40001)
        self.send(0x30018, struct.pack("<II", 0xF0F0F0EF, 0))
        self.client_id = struct.unpack("<I", self.until(0x40015)[20:24])[0]

    def funnel(self, name):
        self.send(0x30002, struct.pack("<IIIII", 0, 0xFFFFFFFF, 0, 0x989680, 2) + text(name))
        return self.next()[0] == 0x40002

    def open(self, name, funnel="\\\\192.168.0.1\\TCP\\1037"):
        self.connect()
        self.funnel(funnel)
        self.send(0x30005, struct.pack("<IIII", 1, 0, 0, 0) + text(name))
        report = self.until(0x40006)
        self.hr, self.attributes = struct.unpack("<I", report[:4])[0], struct.unpack("<I", report[20:24])[0]
        return self.hr == 0

    def header(self):
        self.send(0x30015, struct.pack("<IIIIIIddII", 1, 0, 0, 0x8000, 0xFFFFFFFF, 0, 0.0, 3600.0, 2, 0))
        self.until(0x40011)
        header = b""
        while True:
            mid, packet = self.next()
            if mid is None:
                header += packet[8:]
                if packet[5] & 8:
                    return header

    def select(self, *entries):
        self.send(0x30033, struct.pack("<I", len(entries)) + b"".join(struct.pack("<HHH", *entry) for entry in entries))
        return self.until(0x40021)

    def play(self, position=0.0, offset=0xFFFFFFFF, location=0xFFFFFFFF):
        self.send(0x30007, struct.pack("<IIdIIII", 1, 0, position, offset, location, 0, 4))
        self.until(0x40005)

    def packets(self, seconds):
        """ASF packets that come meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tcp.settimeout(max(0.01, end - time.monotonic()))
            try:
                mid, body = self.next()
            except (socket.timeout, EOFError):
                break
            if mid is None:
                self.media.append(body)
        self.tcp.settimeout(8)
        got, self.media = [packet[8:] for packet in self.media], []
        return got


def mms(name, *entries, player=None, **play):
    one = Mms(**({"player": player} if player else {}))
    one.open(name)
    one.header()
    if entries:
        one.select(*entries)
    one.play(**play)
    return one


def on(*numbers):
    return [(NONE, number, 0) for number in numbers]


# --- HTTP

def http(lines, agent="NSPlayer/4.1.0.3856", name="av", seconds=2.0):
    """The head, and the ASF packets of the $D frames."""
    tcp = socket.create_connection((HOST, 80), timeout=8)
    tcp.sendall((f"GET /{name} HTTP/1.0\r\nUser-Agent: {agent}\r\nHost: x\r\n" + "".join(f"Pragma: {line}\r\n" for line in lines) + "\r\n").encode())
    got, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        tcp.settimeout(max(0.01, end - time.monotonic()))
        try:
            more = tcp.recv(65536)
        except socket.timeout:
            break
        if not more:
            break
        got += more
    tcp.close()
    head, _, body = got.partition(b"\r\n\r\n")
    packets = []
    while len(body) >= 4:
        size = 4 + struct.unpack("<H", body[2:4])[0]
        if len(body) < size:
            break
        if body[1:2] == b"D":
            packets.append(body[12:size])
        body = body[size:]
    return head.decode("latin-1"), packets


def play_http(entries, *more, **options):
    lines = ["no-cache,rate=1.000000" + "".join("," + token for token in more), "xPlayStrm=1"]
    if entries:
        lines += [f"stream-switch-count={len(entries.split())}", f"stream-switch-entry={entries}"]
    return http(lines, **options)


# --- which payloads

for entries, wanted in ((on(1, 2), {1, 2}), (on(1) + [(NONE, 2, OFF)], {1}), (on(2) + [(NONE, 1, OFF)], {2}), (on(2), {2}),
                        (on(1) + [(2, NONE, 0)], {1})):
    got = streams_of(mms("av", *entries).packets(1.5))
    check("MS-MMSP 3.2.5.11.1", f"payloads of selected streams only: {sorted(wanted)}", set(got) == wanted, got)
got = mms("av", (NONE, 1, OFF), (NONE, 2, OFF)).packets(1)
check("MS-MMSP 3.2.5.11.1", "a packet of which nothing is left is not sent", got == [], len(got))
got = mms("av").packets(1)
check("MS-MMSP 3.2.5.11", "no StreamSwitch of a player: no stream", got == [], len(got))
for name in ("Spoooon!", "Spooooon!"):
    got = streams_of(mms("av", player=name).packets(1.5))
    check("MS-MMSP 3.2.5.11", f"no StreamSwitch of Windows Media Services 4 ({name}): all streams", set(got) == {1, 2}, got)
one = mms("av", (NONE, 1, 1), (NONE, 2, 0))
keys = [begins for packet in one.packets(2.5) for stream, key, begins, _ in payloads(packet) if stream == 1 and not key]
check("MS-MMSP 2.2.4.28.1", "thinning level 1: key frames only", keys == [], len(keys))
one = mms("av", *on(2))
one.packets(1.3)
one.select((NONE, 1, 0))
pictures = [key for packet in one.packets(2.5) for stream, key, begins, _ in payloads(packet) if stream == 1]
check("MS-MMSP 3.2.5.10", "a stream switched on begins with a key frame", pictures[:1] == [True], pictures[:3])
check("MS-MMSP 2.2.4.7", "striding is not announced, as it is not served", one.attributes & 0x00800000 == 0, hex(one.attributes))
for entries, wanted in (("ffff:1:0 ffff:2:0", {1, 2}), ("ffff:1:2 ffff:2:0", {2}), ("ffff:1:0", {1}), ("", set())):
    got = streams_of(play_http(entries)[1])
    check("MS-WMSP 3.2.5.6", f"payloads of selected streams only: {entries or 'none named'}", set(got) == wanted, got)
got = streams_of(play_http("", agent="NSServer/4.1.0.3923")[1])
check("MS-WMSP 3.2.5.6", "no selection of a server up to 5.0: all streams", set(got) == {1, 2}, got)
keys = [key for packet in play_http("ffff:1:1")[1] for stream, key, begins, _ in payloads(packet) if not key]
check("MS-WMSP 2.2.1.4.27", "thinning level 1: key frames only", keys == [], len(keys))

# Streams switched on, off and thinned at random: what comes of an object comes in order and from its beginning.

def file_packets(name):
    whole = open(f"{work}/{name}.wmv", "rb").read()
    data = whole.index(uuid.UUID("75B22636-668E-11CF-A6D9-00AA0062CE6C").bytes_le) + 50
    properties = whole.index(uuid.UUID("8CABDCA1-A947-11CF-8EE4-00C00C205365").bytes_le)
    size = struct.unpack("<I", whole[properties + 92:properties + 96])[0]
    return [whole[data + i * size:data + (i + 1) * size] for i in range(struct.unpack("<Q", whole[data - 10:data - 2])[0])]


def datagrams(ear, seconds):
    end, got = time.monotonic() + seconds, []
    while time.monotonic() < end:
        ear.settimeout(max(0.01, end - time.monotonic()))
        try:
            got.append(ear.recv(65536)[8:])
        except socket.timeout:
            break
    return got


def switched(name, by, seed, results):
    draw = random.Random(f"{name} {by} {seed}")
    file = {piece for packet in file_packets(name) for piece in pieces(packet)}  # numbers of objects come again after 255
    numbers = sorted({piece[0] for piece in file})
    one = Mms()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        ear.bind((HOST, 0))
        if by == "UDP":
            one.open(name, f"\\\\{HOST}\\UDP\\{ear.getsockname()[1]}")
            one.send(0x30015, struct.pack("<IIIIIIddII", 1, 0, 0, 0x8000, 0xFFFFFFFF, 0, 0.0, 3600.0, 2, 0))
            one.until(0x40011)
            ear.settimeout(8)
            while not ear.recv(65536)[5] & 8:
                pass
        else:
            one.open(name)
            one.header()
        levels = [draw.choice((0, 1, OFF)) for _ in numbers]
        levels[draw.randrange(len(levels))] = 0
        one.select(*[(NONE, number, level) for number, level in zip(numbers, levels)])
        one.play()
        got = []
        for _ in range(5):
            got += datagrams(ear, 0.5) if by == "UDP" else one.packets(0.5)
            one.select((NONE, draw.choice(numbers), draw.choice((0, 0, 1, OFF))))
        results[name, by, seed] = len(got), not_whole(got, file)


results = {}
ways = [(name, by, seed) for name in ("pieces", "large") for by in ("TCP", "UDP") for seed in range(3)]
threads = [threading.Thread(target=switched, args=(*way, results)) for way in ways]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for way in ways:
    count, odd = results.get(way, (0, ["it broke off"]))
    check("MS-MMSP 3.2.5.11.1", f"objects come in order and whole while streams are switched: {way[0]} by {way[1]}", count > 0 and not odd, odd[:4] or count)

# --- sessions over HTTP

identity = re.search(r"client-id=(\d+)", http(["no-cache"])[0]).group(1)
head = play_http("ffff:1:0", f"client-id={identity}")[0]
check("MS-WMSP 3.2.5.6", "Play goes on with the session that Describe named", f"client-id={identity}," in head and "xResetStrm" not in head)
head = play_http("ffff:1:0", "client-id=4711")[0]
check("MS-WMSP 2.2.1.4.37", "an unknown session is another one, and reset", "client-id=4711," not in head and "xResetStrm" in head)
check("MS-WMSP 2.2.1.4.8", "features: what is served", 'features="seekable"' in head, head.partition("features=")[2][:20])

# --- names: as they are printed, and as they are typed

urls = [line.strip()[len("mms://127.0.0.1/"):] for line in open(work + "/urls", encoding="utf-8") if line.startswith("mms://")]
check("names", "a URL is printed for each", len(urls) == 9, len(urls))
for printed in urls:
    for name in {printed, urllib.parse.unquote(printed), urllib.parse.unquote(printed).encode().upper().decode()}:
        check("names", f"MMS: {name}", Mms().open(name))
        check("names", f"HTTP: {name}", http(["no-cache"], name=name, seconds=0.6)[0].startswith("HTTP/1.0 200"))

# --- seeks: wanted, key frame, got

def file_of(name):
    """Where its packets begin, their size, and of each packet the key frames of the video that begin in it, in ms."""
    whole = open(f"{work}/{name}.wmv", "rb").read()
    data = whole.index(uuid.UUID("75B22636-668E-11CF-A6D9-00AA0062CE6C").bytes_le) + 50
    properties = whole.index(uuid.UUID("8CABDCA1-A947-11CF-8EE4-00C00C205365").bytes_le)
    size = struct.unpack("<I", whole[properties + 92:properties + 96])[0]
    count = struct.unpack("<Q", whole[data - 10:data - 2])[0]
    packets = [whole[data + i * size:data + (i + 1) * size] for i in range(count)]
    return data, size, [[when - PREROLL for stream, key, begins, when in payloads(packet) if stream == 1 and key and begins]
                        for packet in packets]


print(f"{'file':8}{'by':8}{'wanted':>8}{'key frame':>11}{'got':>8}")
for name in ("long", "dense", "large", "silent", "av"):
    data, size, keys = file_of(name)
    all_keys = [key for found in keys for key in found]
    length = all_keys[-1] / 1000
    for share in (0.2, 0.55, 0.99):
        for by in ("time", "packet", "offset", "http", "number"):
            if by in ("time", "http"):
                wanted = round(length * share, 1)
                key = max(one for one in all_keys if one <= wanted * 1000)
            else:
                wanted = int((len(keys) - 1) * share)
                key = [one for found in keys[:wanted + 1] for one in found][-1]
                # where a packet has two, it begins with the first of them
                key = next(found for found in reversed(keys[:wanted + 1]) if found)[0]
            if by == "time":
                packets = mms(name, *on(1), position=wanted).packets(0.6)
            elif by == "packet":
                packets = mms(name, *on(1), location=wanted).packets(0.6)
            elif by == "offset":
                packets = mms(name, *on(1), offset=data + wanted * size + 17).packets(0.6)
            elif by == "http":
                packets = play_http("ffff:1:0", f"stream-time={int(wanted * 1000)}", name=name, seconds=0.6)[1]
            else:
                packets = play_http("ffff:1:0", f"packet-num={wanted}", name=name, seconds=0.6)[1]
            got = first_key_frame(packets, 1)
            print(f"{name:8}{by:8}{wanted:8}{key / 1000:11.1f}{'none' if got is None else got / 1000:>8}", flush=True)
            # The packet may hold an earlier key frame, too.
            if got is None or got > key + 50 or key - got > 1100:
                wrong.append(f"seek in {name} by {by} to {wanted}")
got = mms("sound", *on(1), position=7.0).packets(0.6)
first = payloads(got[0])[0][3] - PREROLL if got else None
check("seek", "sound alone begins at the packet at or before 7 s", first is not None and 6000 < first <= 7000, first)
check("seek", "past the end there is nothing", mms("long", *on(1), position=25.0).packets(0.6) == [])

# --- what never reaches a third party: the address is the TCP peer's, whatever the funnel or a datagram says

PLAYER, THIRD, FORGER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
seen, done = collections.Counter(), threading.Event()
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind(("lo", 0))


def watch():
    wire.settimeout(0.2)
    while not done.is_set():
        try:
            frame, where = wire.recvfrom(65536)
        except socket.timeout:
            continue
        if where[2] != socket.PACKET_OUTGOING and frame[23] == socket.IPPROTO_UDP and frame[26:30] == socket.inet_aton(HOST):
            at = 14 + (frame[14] & 15) * 4
            seen[(socket.inet_ntoa(frame[30:34]), struct.unpack(">H", frame[at + 2:at + 4])[0])] += 1


watcher = threading.Thread(target=watch)
watcher.start()
ears = {}
for address in (PLAYER, THIRD, FORGER):
    ears[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ears[address].bind((address, 2345))
    ears[address].setblocking(False)


def heard(address):
    count = 0
    while True:
        try:
            ears[address].recv(65536)
        except BlockingIOError:
            return count
        count += 1


one = Mms(PLAYER)
one.open("av", f"\\\\{THIRD}\\UDP\\2345")
one.send(0x30015, struct.pack("<IIIIIIddII", 1, 0, 0, 0x8000, 0xFFFFFFFF, 0, 0.0, 3600.0, 2, 0))
one.until(0x40011)
time.sleep(0.3)
one.select(*on(1, 2))
one.play()
one.packets(1.0)
check("MS-MMSP 3.2.5.5", "media goes to the TCP peer's address, not to the funnel's", heard(PLAYER) > 5 and heard(THIRD) == 0)


def ask_again(address, identity, port=0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind((address, port))
        for _ in range(20):
            asker.sendto(struct.pack("<IIHH", 0xBEEFF00D, identity, 1, 4) + struct.pack("<4I", 0, 1, 2, 3), (HOST, 1755))
        time.sleep(0.3)
        asker.setblocking(False)
        try:
            return len(asker.recv(65536))
        except BlockingIOError:
            return 0


one.send(0x30009, struct.pack("<II", 1, 4))
one.until(0x4001E)
time.sleep(0.3)
heard(PLAYER)
answered = ask_again(PLAYER, one.client_id)
check("MS-MMSP 3.2.5.13", "resends go to the player's port, whatever port asked", answered == 0 and heard(PLAYER) == 80)
forged = ask_again(FORGER, one.client_id)
check("MS-MMSP 3.2.5.13", "a request of another address is not answered, to nobody", forged == 0 and heard(PLAYER) == 0 and heard(FORGER) == 0)
check("MS-MMSP 3.2.5.13", "nor one with another client id", ask_again(PLAYER, one.client_id ^ 1) == 0 and heard(PLAYER) == 0)
for _ in range(8):
    ask_again(PLAYER, one.client_id)
bound = heard(PLAYER)
check("MS-MMSP 5.1", "what requests can make it send is bounded", bound < 8 * 80, bound)
time.sleep(0.5)
done.set()
watcher.join()
others = {at: count for at, count in seen.items() if at not in ((PLAYER, 2345), ("239.1.2.3", 8080))}
check("third parties", "UDP went to the player and to the group, and nowhere else", not others and seen[("239.1.2.3", 8080)] > 5, others or dict(seen))
print("wrong: " + ", ".join(sorted(set(wrong))) if wrong else "all hold")
sys.exit(1 if wrong else 0)
