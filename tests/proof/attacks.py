#!/usr/bin/env python3
"""attacks.py BIN_DIR [--seconds 2] [--only WORD] [--short]: every attack on every service of server_sim, with players beside it.

While an attack goes on, a player over MMS and one over HTTP each play for half a second, from the attacker's own address and from
another: all must get their stream. Told for each: how many attacks were made, and what the players got. At the end memory is what
it was, and SIGTERM is heard at once. Exit 1 where one player did not play. All on loopback, no privileges needed.
"""
import argparse, os, random, resource, signal, socket, struct, subprocess, sys, threading, time, uuid

MMS, HTTP, MSBD, DCOM, OBJECT = 21755, 21080, 21007, 21135, "21300-21310"
LINGER = struct.pack("ii", 1, 0)
CONNECT = bytes.fromhex(
    "01000000cefa0bb0400000004d4d532008000000000000000000000000000000060000000100030000000000" "0b0004001c0003004e005300500"
    "06c0061007900650072002f0034002e0031002e0030002e003300390032003800000000000000"
)
BIND = bytes.fromhex("05000b03100000004800000001000000b810b81000000000010000000000010008"
                     "83afe11f5dc91191a408002b14a0fa03000000045d888aeb1cc9119fe808002b10486002000000")
GET = b"GET /live HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3928\r\nPragma: xPlayStrm=1\r\n\r\n"
MSBD_CONNECT = struct.pack("<IHHHHI", 0x2042534D, 106, 1, 40, 0, 0)

FIRST = {"mms": CONNECT, "http": GET, "msbd": MSBD_CONNECT, "dcom": BIND}
PORTS = {"mms": MMS, "http": HTTP, "msbd": MSBD, "dcom": DCOM}


def connect(port, source):
    one = socket.socket()
    one.settimeout(0.5)
    one.bind((source, 0))
    one.connect(("127.0.0.1", port))
    return one


class Attack:
    """Runs until told to end; counts what it did. What the server does to it is no failure."""

    def __init__(self, service, sources):
        self.service, self.port, self.sources, self.count, self.over = service, PORTS.get(service), sources, 0, False
        self.held = []

    def source(self):
        return random.choice(self.sources)

    def run(self):
        while not self.over:
            try:
                self.step()
                self.count += 1
            except OSError:
                time.sleep(0.001)
        for one in self.held:
            one.close()

    def hold(self, one, most=600):
        self.held.append(one)
        if len(self.held) > most:
            self.held.pop(0).close()


class Idle(Attack):
    def step(self):
        self.hold(connect(self.port, self.source()), 5000)


class FirstThenIdle(Attack):
    """Says its first message and then nothing: no newcomer any more."""

    def step(self):
        one = connect(self.port, self.source())
        one.send(FIRST[self.service][:-4] if self.service == "http" else FIRST[self.service])
        self.hold(one, 5000)


class Drip(Attack):
    """Some bytes of a good beginning, one at a time."""

    def step(self):
        if len(self.held) < 300:
            self.held.append(connect(self.port, self.source()))
        else:
            time.sleep(0.05)
        for number, one in enumerate(self.held):
            if random.random() < 0.02:
                try:
                    one.send(FIRST[self.service][self.count % 8 : self.count % 8 + 1])
                except OSError:
                    self.held[number] = connect(self.port, self.source())


class Reset(Attack):
    def step(self):
        one = connect(self.port, self.source())
        words = FIRST[self.service]
        one.send(words[: random.randrange(len(words))])
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        one.close()


class Giant(Attack):
    """Lengths that promise gigabytes, in every place of the first message, and headers that never end."""

    def step(self):
        words = bytearray(FIRST[self.service])
        if self.service == "http":
            words = b"GET /live HTTP/1.0\r\nContent-Length: 99999999999\r\nX: " + b"x" * random.choice([100, 10_000, 200_000])
        else:
            at = random.randrange(0, len(words) - 4)
            words[at : at + 4] = b"\xff\xff\xff\x7f"
        one = connect(self.port, self.source())
        one.send(bytes(words))
        self.hold(one, 100)


class NeverReading(Attack):
    def step(self):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.settimeout(0.5)
        one.bind((self.source(), 0))
        one.connect(("127.0.0.1", self.port))
        one.send(FIRST[self.service] * (50 if self.service in ("dcom", "msbd") else 1))
        self.hold(one, 200)


class Connects(Attack):
    def step(self):
        connect(self.port, self.source()).close()


def request(interface, version, operation, body):
    return (struct.pack("<BBBB", 4, 0, 0x28, 0) + b"\x10\0\0\0" + bytes(16) + uuid.UUID(interface).bytes_le + os.urandom(16) +
            struct.pack("<IIIHHHHHBB", 0, version, 0, operation, 0xFFFF, 0xFFFF, len(body), 0, 0, 0) + body)


class Udp(Attack):
    def step(self):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((self.source(), 0))
        one.setblocking(False)
        for _ in range(2000):
            if self.over:
                break
            try:
                one.sendto(self.datagram(), ("127.0.0.1", self.port))
                self.count += 1
            except BlockingIOError:
                pass
        one.close()


class UdpLookups(Udp):
    words = request("e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 2, struct.pack("<IIII", 0, 0, 0, 1) + bytes(20) + struct.pack("<I", 500))

    def datagram(self):
        self.port = DCOM
        return self.words[:40] + os.urandom(16) + self.words[56:]


class UdpResends(Udp):
    def datagram(self):
        self.port = MMS
        return struct.pack("<IIHH32I", 0xBEEFF00D, random.getrandbits(32), 1, 32, *range(32))


class UdpJunk(Udp):
    def datagram(self):
        self.port = random.choice([MMS, DCOM])
        return os.urandom(random.randrange(1, 1400))


TABLE = [(service, kind) for service in PORTS for kind in (Idle, FirstThenIdle, Drip, Reset, Giant, NeverReading, Connects)]
TABLE += [("udp", kind) for kind in (UdpLookups, UdpResends, UdpJunk)]


def rss(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def player(options, url, source):
    words = [os.path.join(options.bin, "client_sim"), url, "--duration", "0.5", "--log-level", "error"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return done.returncode == 0, " | ".join((done.stdout + done.stderr).strip().splitlines()[-3:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--short", action="store_true", help="each attack on one service, each service once or twice, from one address")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20000), most))
    server = subprocess.Popen([os.path.join(options.bin, "server_sim"), "--content", "live=synthetic:64k", "--bind", "127.0.0.1", "--mms-port", str(MMS),
                               "--http-port", str(HTTP), "--msbd-port", str(MSBD), "--mapper-port", str(DCOM), "--reserved-ports", OBJECT,
                               "--log-level", "error"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            connect(HTTP, "127.0.0.1").close()
            break
        except OSError:
            time.sleep(0.05)
    urls = [f"mmst://127.0.0.1:{MMS}/live", f"mmsu://127.0.0.1:{MMS}/live", f"http://127.0.0.1:{HTTP}/live"]
    for url in urls:
        player(options, url, None)
    before, bad = rss(server.pid), 0
    rows = TABLE if not options.short else [row for number, row in enumerate(TABLE) if number % 8 == 0 or row[0] == "udp"]
    for service, kind in rows:
        name = f"{service} {kind.__name__}"
        if options.only not in name:
            continue
        for sources in (["127.0.0.1"], [f"127.0.1.{i}" for i in range(1, 200)])[: 1 if options.short else 2]:
            attack = kind(service, sources)
            thread = threading.Thread(target=attack.run)
            thread.start()
            time.sleep(options.seconds)
            outcome = [player(options, url, None) for url in urls]
            attack.over = True
            thread.join()
            failed = [f"{url.split(':')[0]}: {why}" for url, (good, why) in zip(urls, outcome) if not good]
            bad += bool(failed)
            where = "the player's address" if len(sources) == 1 else "many addresses"
            print(f"{'BAD ' if failed else 'good'} {name} from {where}: {attack.count} times; {'; '.join(failed) or 'all played'}", flush=True)
    if server.poll() is not None:
        sys.exit(f"server_sim ended: {server.returncode}")
    time.sleep(1)
    after = rss(server.pid)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    server.wait(20)
    took = time.monotonic() - began
    print(f"memory: {before} KiB before, {after} KiB after; SIGTERM: ended after {took:.1f} s with {server.returncode}")
    if bad or after > before + 40 * 1024 or took > 6 or server.returncode != 0:
        sys.exit(1)


main()
