#!/usr/bin/env python3
"""data_path.py BIN_DIR SOURCE_DIR [--players 1000] [--rate 64] [--rounds 5] [--seconds 8] [--ways udp,tcp,http]

What server_sim's processor does for one packet to one player, beside the bare loops that send the same packets to the same
receivers: sendmmsg and sendto over UDP, send over TCP. All ways take turns in each round, so that what else this machine does
meets all of them; told are the medians of processor time a packet, the ratios to the bare loops of the same round, players
set up in a second, and resident memory a player. Receivers read nothing over UDP and everything over TCP. A round counts only
where at least 97 of 100 packets were sent. Not part of ctest: numbers of a shared machine pass or fail nothing.
"""
import argparse, os, re, resource, selectors, signal, socket, statistics, struct, subprocess, sys, tempfile, time

BARE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
/* bare MODE PORT PLAYERS FIRST_PORT INTERVAL_US SIZE: one packet to each in every interval; ends with its standard input */
static struct sockaddr_in at(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}
int main(int argc, char** argv) {
    const char* mode = argv[1];
    int port = atoi(argv[2]), n = atoi(argv[3]), first = atoi(argv[4]), size = atoi(argv[6]);
    long interval = atol(argv[5]) * 1000, sent = 0;
    static char packet[65536];
    static int fd[65536];
    static struct mmsghdr m[65536];
    static struct iovec v[65536];
    static struct sockaddr_in to[65536];
    int s = socket(AF_INET, strcmp(mode, "tcp") ? SOCK_DGRAM : SOCK_STREAM, 0), on = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in a = at(port);
    if (bind(s, (struct sockaddr*)&a, sizeof a)) return 3;
    if (!strcmp(mode, "tcp")) {
        listen(s, 4096);
        puts("ready"), fflush(stdout);
        for (int i = 0; i < n; ++i) fd[i] = accept(s, 0, 0), setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    } else {
        for (int i = 0; i < n; ++i) {
            to[i] = at(first + i);
            v[i] = (struct iovec){packet, size};
            m[i].msg_hdr = (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &v[i], .msg_iovlen = 1};
        }
        puts("ready"), fflush(stdout);
    }
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        struct timeval none = {0, 0};
        fd_set in;
        FD_ZERO(&in);
        FD_SET(0, &in);
        if (select(1, &in, 0, 0, &none) > 0) break;
        if (!strcmp(mode, "sendmmsg"))
            for (int i = 0; i < n;) {
                int k = sendmmsg(s, m + i, n - i < 64 ? n - i : 64, MSG_DONTWAIT);
                if (k > 0) i += k, sent += k; else ++i;
            }
        else if (!strcmp(mode, "sendto"))
            for (int i = 0; i < n; ++i) sent += sendto(s, packet, size, MSG_DONTWAIT, (struct sockaddr*)&to[i], sizeof to[i]) > 0;
        else
            for (int i = 0; i < n; ++i) sent += send(fd[i], packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
        next.tv_nsec += interval;
        while (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, ++next.tv_sec;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0);
    }
    printf("%ld\n", sent);
    return 0;
}
"""


def cpu_ns(pid):
    return sum(int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) for task in os.listdir(f"/proc/{pid}/task"))


def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def messages_of(pcap):
    """What the player of a capture sent over TCP 1755, segment by segment."""
    data, at, out = open(pcap, "rb").read(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        ip = frame[14:] if frame[12:14] == b"\x08\x00" else frame[16:]
        if ip[9] != 6:
            continue
        tcp = ip[(ip[0] & 15) * 4 : struct.unpack("!H", ip[2:4])[0]]
        payload = tcp[(tcp[12] >> 4) * 4 :]
        if struct.unpack("!H", tcp[2:4])[0] == 1755 and payload:
            out.append(payload)
    return out


def split_mms(stream):
    """Control packets: a length at 8 counts the bytes after the first 16."""
    out = []
    while len(stream) >= 16:
        size = 16 + struct.unpack_from("<I", stream, 8)[0]
        out.append(stream[:size])
        stream = stream[size:]
    return out


def mid(message):
    return struct.unpack_from("<I", message, 36)[0] & 0xFFFF


class Mms:
    """The words of a reference player, with another port and another name."""

    def __init__(self, source, transport):
        name = "refclient_mmsu_clean.pcap" if transport == "udp" else "refclient_mmst_stop.pcap"
        self.words = {mid(one): one for one in split_mms(b"".join(messages_of(os.path.join(source, "tests/vectors/mms", name))))}

    @staticmethod
    def framed(old, body):
        """A message of another length in the frame of the old one."""
        body += bytes(-len(body) % 8)
        out = bytearray(old[:32]) + body
        struct.pack_into("<I", out, 8, len(out) - 16)
        struct.pack_into("<I", out, 16, (len(out) - 16) // 8)
        struct.pack_into("<I", out, 32, (len(out) - 32) // 8)
        return bytes(out)

    def funnel(self, port):
        old = self.words[2]
        fixed = old[32:60]
        text = old[60:].decode("utf-16le").split("\0")[0].split("\\")
        text[-1] = str(port)
        return self.framed(old, fixed + "\\".join(text).encode("utf-16le") + b"\0\0")

    def open(self, name):
        old = self.words[5]
        return self.framed(old, old[32:56] + name.encode("utf-16le") + b"\0\0")


def set_up_mms(port, count, first, transport, words, name):
    """All players in their handshakes at once; returns the sockets and the seconds it took."""
    steps = [1, 24, 2, 5, 21, 51, 7]
    selector, players, began = selectors.DefaultSelector(), [], time.monotonic()
    wait_for = {1: 1, 24: 21, 2: 2, 5: 6, 21: 17, 51: 33, 7: 5}

    class Player:
        pass

    done = 0
    pending = list(range(count))
    while done < count:
        while pending and len(players) - done < 200:
            number = pending.pop()
            one = Player()
            one.socket = socket.create_connection(("127.0.0.1", port))
            one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.socket.setblocking(False)
            one.step, one.port, one.buffer = 0, first + number, b""
            one.socket.send(words.words[1])
            selector.register(one.socket, selectors.EVENT_READ, one)
            players.append(one)
        for key, _ in selector.select(5):
            one = key.data
            data = one.socket.recv(65536)
            if not data:
                sys.exit("server_sim closed a connection during set-up")
            one.buffer += data
            while len(one.buffer) >= 8:
                if one.buffer[4:8] == b"\xce\xfa\x0b\xb0":
                    size = 16 + struct.unpack_from("<I", one.buffer, 8)[0]
                    if len(one.buffer) < size:
                        break
                    told = mid(one.buffer)
                    one.buffer = one.buffer[size:]
                    if one.step < len(steps) and told == wait_for[steps[one.step]]:
                        one.step += 1
                        if one.step == len(steps):
                            done += 1
                            selector.unregister(one.socket)
                        else:
                            what = steps[one.step]
                            one.socket.send(words.funnel(one.port) if what == 2 else words.open(name) if what == 5 else words.words[what])
                else:
                    size = struct.unpack_from("<H", one.buffer, 6)[0]
                    if len(one.buffer) < size:
                        break
                    one.buffer = one.buffer[size:]
            if one.step == len(steps):
                one.buffer = b""
    return [one.socket for one in players], time.monotonic() - began


def set_up_http(port, count, name):
    began, sockets = time.monotonic(), []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(f"GET /{name} HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3928\r\nPragma: xPlayStrm=1,stream-switch-count=1,stream-switch-entry=ffff:1:0\r\n\r\n".encode())
        sockets.append(one)
    return sockets, time.monotonic() - began


def drain(sockets, seconds):
    """Reads all that comes, and counts it."""
    selector, got, until = selectors.EpollSelector(), 0, time.monotonic() + seconds
    for one in sockets:
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
    while (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            try:
                got += len(key.fileobj.recv(65536))
            except BlockingIOError:
                pass
    selector.close()
    return got


def sinks(count):
    """UDP sockets at ports in a row, which drop what comes."""
    for first in range(20000, 50000, count):
        out = []
        try:
            for i in range(count):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                out.append(one)
                one.bind(("127.0.0.1", first + i))
            return first, out
        except OSError:
            for one in out:
                one.close()
    sys.exit("no ports in a row are free")


def bare(binary, mode, players, first, interval, size, seconds):
    process = subprocess.Popen([binary, mode, "17550", str(players), str(first), str(interval), str(size)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    sockets = [socket.create_connection(("127.0.0.1", 17550)) for _ in range(players)] if mode == "tcp" else []
    before = cpu_ns(process.pid)
    if sockets:
        drain(sockets, seconds)
    else:
        time.sleep(seconds)
    spent = cpu_ns(process.pid) - before
    process.stdin.close()
    sent = int(process.stdout.read())
    process.wait()
    for one in sockets:
        one.close()
    return spent / max(sent, 1), sent


def server(options, way, first, words):
    process = subprocess.Popen([os.path.join(options.bin, "server_sim"), "--content", f"live=synthetic:{options.rate}k", "--bind", "127.0.0.1",
                                "--mms-port", "17551", "--http-port", "17552", "--max-sessions", "100000", "--max-sessions-per-peer", "100000",
                                "--log-level", "error"], stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", 17552 if way == "http" else 17551), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    time.sleep(0.3)
    empty = resident(process.pid)
    if way == "http":
        sockets, took = set_up_http(17552, options.players, "live")
    else:
        sockets, took = set_up_mms(17551, options.players, first, way, words, "live")
    time.sleep(1)
    before = cpu_ns(process.pid)
    if way == "udp":
        time.sleep(options.seconds)
    else:
        got = drain(sockets, options.seconds)
    spent = cpu_ns(process.pid) - before
    memory = (resident(process.pid) - empty) / options.players
    packets = options.seconds * 1e6 / options.interval * options.players
    if way != "udp":
        packets = got / (options.size + (12 if way == "http" else 8))
    process.send_signal(signal.SIGTERM)
    process.wait()
    for one in sockets:
        one.close()
    return spent / packets, options.players / took, memory, packets


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("source")
    parser.add_argument("--players", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=64, help="kbit/s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--ways", default="udp,tcp,http")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as directory:
        source, binary = os.path.join(directory, "bare.c"), os.path.join(directory, "bare")
        open(source, "w").write(BARE)
        subprocess.run(["cc", "-O2", "-o", binary, source], check=True)
        # The packets of the synthetic stream: their size and how far apart they are, by asking for them.
        saved = os.path.join(directory, "probe.asf")
        process = subprocess.Popen([os.path.join(options.bin, "server_sim"), "--content", f"live=synthetic:{options.rate}k:20s", "--bind", "127.0.0.1",
                                    "--mms-port", "17551", "--http-port", "17552", "--log-level", "error"], stdout=subprocess.DEVNULL)
        time.sleep(1)
        got = subprocess.run([os.path.join(options.bin, "client_sim"), "mmst://127.0.0.1:17551/live", "--duration", "4", "--save", saved, "--log-level", "error"],
                             capture_output=True, text=True)
        process.terminate(), process.wait()
        counted = re.search(r"(\d+) packets \((\d+) bytes\)", got.stdout + got.stderr)
        if not counted:
            sys.exit(f"no stream to measure: {got.stdout}{got.stderr}")
        packets, size = int(counted[1]), int(counted[2])
        options.size = size // packets
        options.interval = options.size * 8 / options.rate * 1000  # microseconds
        print(f"{options.players} players of {options.rate} kbit/s: packets of {options.size} bytes every {options.interval / 1000:.1f} ms; "
              f"load {os.getloadavg()[0]:.1f}")
        results = {}
        for number in range(options.rounds):
            line = []
            for way in options.ways.split(","):
                first, held = sinks(options.players) if way == "udp" else (20000, [])
                modes = ["sendmmsg", "sendto"] if way == "udp" else ["tcp"]
                theirs = {mode: bare(binary, mode, options.players, first, int(options.interval), options.size + 8, options.seconds)[0] for mode in modes}
                ours, rate, memory, count = server(options, way, first, None if way == "http" else Mms(options.source, way))
                for one in held:
                    one.close()
                wanted = options.seconds * 1e6 / options.interval * options.players
                if count < 0.97 * wanted:
                    line.append(f"{way} does not count: {100 * count / wanted:.0f} of 100 packets came")
                    continue
                kept = results.setdefault(way, {"ours": [], "setup": [], "memory": []})
                kept["ours"].append(ours), kept["setup"].append(rate), kept["memory"].append(memory)
                for mode, value in theirs.items():
                    kept.setdefault(mode, []).append(ours / value)
                line.append(f"{way} {ours / 1000:.2f} us, " + ", ".join(f"{ours / value:.2f} x {mode}" for mode, value in theirs.items()) +
                            f", {rate:.0f}/s, {memory / 1024:.1f} KiB")
            print(f"round {number + 1}: " + "; ".join(line), flush=True)
        for way, kept in results.items():
            ratios = ", ".join(f"{statistics.median(kept[mode]):.2f} ({min(kept[mode]):.2f}-{max(kept[mode]):.2f}) x {mode}" for mode in kept
                               if mode not in ("ours", "setup", "memory"))
            print(f"{way}: {statistics.median(kept['ours']) / 1000:.2f} us a packet, {ratios}; {statistics.median(kept['setup']):.0f} players set up a "
                  f"second; {statistics.median(kept['memory']) / 1024:.1f} KiB a player")


main()
