#!/usr/bin/env python3
"""hostile_peers.py BIN_DIR [--only WORD] [--seed 1]: hostile servers against client_sim and against a server that pulls, and hostile
commands and journals on the channel between wmlab and the simulators.

A program must end by itself in its time, with a word of its own and not by a signal, and with bounded memory; a server that pulls must
go on serving its other contents. Told for each; exit 1 where one did not. All on loopback, no privileges needed.
"""
import argparse, os, random, resource, signal, socket, struct, subprocess, sys, tempfile, threading, time

MEMORY_MAX = 150 * 1024  # KiB, of a program of a debug build
LINGER = struct.pack("ii", 1, 0)


class Server:
    """One hostile server: what it does with each connection, in a thread of its own."""

    def __init__(self, behave):
        self.behave, self.over = behave, False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.over:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(one)
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        one.settimeout(30)
        try:
            self.behave(self, one)
        except OSError:
            pass

    def end(self):
        self.over = True
        self.listener.close()
        for one in self.held:
            one.close()


def closes(_, one):
    one.close()


def resets(_, one):
    one.recv(4096)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    one.close()


def is_silent(server, one):
    while not server.over and one.recv(4096):
        pass


def speaks(words, at_once=True, end=False):
    def behave(server, one):
        one.recv(4096)
        if at_once:
            one.sendall(words)
        else:
            for byte in words:
                one.sendall(bytes([byte]))
                time.sleep(0.3)
                if server.over:
                    return
        if end:
            one.close()
        else:
            is_silent(server, one)

    return behave


def floods(make):
    """Sends as fast as it is read, without an end."""

    def behave(server, one):
        one.recv(4096)
        until = time.monotonic() + 30
        while not server.over and time.monotonic() < until:
            one.sendall(make())

    return behave


def echoes(server, one):
    while not server.over:
        data = one.recv(65536)
        if not data:
            return
        one.sendall(data)


def mms_message(mid, body=bytes(64), length=None):
    size = len(body) + 8
    message = struct.pack("<IIIII", 1, 0xB00BFACE, size + 16 if length is None else length, 0x20534D4D, (size + 16 + 7) // 8) + bytes(12)
    return message + struct.pack("<II", (size + 7) // 8, 0x00040000 | mid) + body


def mms_then(*messages):
    return speaks(b"".join(messages))


def head(status, *lines):
    return (f"HTTP/1.0 {status}\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n").encode()


OCTETS = "Content-Type: application/octet-stream"


def chunk(kind, data, length=None):
    size = len(data) + 8 if length is None else length
    return struct.pack("<2sHIHH", kind, size, 0, 0x0C00, size) + data


def redirects(server, one):
    one.recv(4096)
    one.sendall(head("302 Found", f"Location: http://127.0.0.1:{server.port}/again"))
    one.close()


def asx_of_itself(server, one):
    one.recv(4096)
    text = "<asx version=\"3\">" + f"<entry><ref href=\"http://127.0.0.1:{server.port}/x.asx\"/></entry>" * 200 + "</asx>"
    one.sendall(head("200 OK", "Content-Type: video/x-ms-asf", f"Content-Length: {len(text)}") + text.encode())
    one.close()


def table(rng):
    junk = lambda: rng.randbytes(16384)
    everybody = [("closes", closes), ("resets", resets), ("is silent", is_silent), ("sends what it got", echoes), ("sends junk", speaks(junk())),
                 ("sends junk without an end", floods(junk)), ("sends zeros without an end", floods(lambda: bytes(65536)))]
    mms = [("sends giant lengths", mms_then(mms_message(1, length=0x7FFFFFFF))),
           ("announces less than a head", mms_then(mms_message(1, length=0))),
           ("repeats one answer without an end", floods(lambda: mms_message(1) * 100)),
           ("sends pings without an end", floods(lambda: mms_message(0x1B, bytes(8)) * 100)),
           ("drips its answer", speaks(mms_message(1), at_once=False)),
           ("answers in the wrong order", mms_then(*[mms_message(mid) for mid in (6, 5, 0x11, 0x1E, 2, 1)])),
           ("knows strange messages", mms_then(*[mms_message(mid) for mid in range(1, 200)])),
           ("sends data packets first", speaks(struct.pack("<IBBH", 0, 4, 0, 0xFFFF) + bytes(1000)))]
    http = [("drips its answer", speaks(head("200 OK", OCTETS), at_once=False)),
            ("never ends its headers", floods(lambda: b"X-More: " + b"x" * 1000 + b"\r\n")),
            ("never ends a header", speaks(b"HTTP/1.0 200 OK\r\nX: " + b"x" * 2_000_000)),
            ("redirects to itself", redirects), ("lists itself", asx_of_itself),
            ("sends a chunk with nothing behind it", speaks(head("200 OK", OCTETS) + chunk(b"$H", b"", 0xFFFF))),
            ("sends headers without an end", floods(lambda: chunk(b"$H", bytes(60000)))),
            ("starts with its answer again and again", floods(lambda: head("200 OK", OCTETS))),
            ("sends media before the header", floods(lambda: chunk(b"$D", bytes(1400)))),
            ("asks for a password", speaks(head("401 Unauthorized", "WWW-Authenticate: Basic"), end=True)),
            ("has an answer of another protocol", speaks(b"SSH-2.0-OpenSSH\r\n", end=True)),
            ("has a length that is no number", speaks(head("200 OK", OCTETS, "Content-Length: -99999999999999999999"), end=True)),
            ("sends a station of many lines", floods(lambda: b"[Address]\r\nName=x\r\n" * 500))]
    msbd = [("sends giant lengths", speaks(struct.pack("<IHHHHI", 0x2042534D, 106, 2, 0xFFFF, 0, 0))),
            ("sends lengths of nothing", floods(lambda: struct.pack("<IHHHHI", 0x2042534D, 106, 2, 0, 0, 0) * 100)),
            ("drips its answer", speaks(struct.pack("<IHHHHI", 0x2042534D, 106, 2, 40, 0, 0) + bytes(24), at_once=False)),
            ("sends packets without an end", floods(lambda: struct.pack("<IHHHHI", 0x2042534D, 106, 5, 1000, 0, 0) + bytes(984)))]
    dcom = [("answers with giant fragments", speaks(struct.pack("<BBBBIHHI", 5, 0, 12, 3, 16, 0xFFFF, 0, 1))),
            ("answers with fragments of nothing", floods(lambda: struct.pack("<BBBBIHHI", 5, 0, 2, 0, 16, 16, 0, 1) * 200)),
            ("sends fragments without an end", floods(lambda: struct.pack("<BBBBIHHI", 5, 0, 2, 0, 16, 5840, 0, 1) + bytes(5824)))]
    return {"mmst": everybody + mms, "mmsu": everybody + mms, "http": everybody + http, "admin": everybody + dcom, "pull-msbd": everybody + msbd,
            "pull-http": everybody + http}


def bounded(words, seconds, write=None, env=None, memory_max=MEMORY_MAX):
    """Runs a program: what is wrong with how it ended, its exit code and the most memory it had."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE if write else subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    noise = []
    threading.Thread(target=lambda: noise.append(process.stderr.read(1 << 20)), daemon=True).start()
    if write:
        threading.Thread(target=write, args=(process.stdin,), daemon=True).start()
    until = time.monotonic() + seconds
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() > until:
            process.kill()
            pid, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            return f"did not end in {seconds} s", process.returncode, used.ru_maxrss
        time.sleep(0.02)
    why = ""
    if process.returncode < 0:
        why = f"ended by signal {-process.returncode}"
    elif used.ru_maxrss > memory_max:
        why = f"had {used.ru_maxrss} KiB of memory"
    return why, process.returncode, used.ru_maxrss


def against_client(options, kind, behave):
    server = Server(behave)
    words = [os.path.join(options.bin, "client_sim")]
    if kind == "admin":
        words += ["--admin", f"127.0.0.1:{server.port}"]
    else:
        words += [f"{kind}://127.0.0.1:{server.port}/x"]
    words += ["--duration", "1", "--deadline", "1", "--log-level", "error"]
    why, code, memory = bounded(words, 25)
    server.end()
    if not why and code != 1:
        why = f"exit code {code}"
    return why, f"{memory // 1024} MiB"


def against_puller(options, kind, behave):
    """Pulls from the hostile one, and serves its own content meanwhile."""
    server = Server(behave)
    url = f"{kind.split('-')[1]}://127.0.0.1:{server.port}/x"
    http, mms = 21480, 21475
    process = subprocess.Popen([os.path.join(options.bin, "server_sim"), "--content", "live=synthetic:64k", "--pull", f"far={url}", "--pull-timeout", "1", "--bind",
                                "127.0.0.1", "--http-port", str(http), "--mms-port", str(mms), "--log-level", "off"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", http), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    time.sleep(1)
    played = subprocess.run([os.path.join(options.bin, "client_sim"), f"http://127.0.0.1:{http}/live", "--duration", "0.5", "--log-level", "off"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    process.send_signal(signal.SIGTERM)
    began, used = time.monotonic(), None
    while time.monotonic() < began + 15:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    else:
        process.kill()
        os.wait4(process.pid, 0)
        process.returncode = -9
        server.end()
        return "did not end after SIGTERM", ""
    process.returncode = os.waitstatus_to_exitcode(status)
    server.end()
    if process.returncode != 0:
        return f"ended with {process.returncode}", ""
    if played.returncode != 0:
        return "its own content could not be played meanwhile", ""
    return "" if used.ru_maxrss <= MEMORY_MAX else f"had {used.ru_maxrss} KiB of memory", f"{used.ru_maxrss // 1024} MiB"


SCENARIO = b"""version: 1
name: channel
zones: { i: { subnet: 127.0.0.0/25 }, o: { subnet: 127.0.1.0/24 } }
hosts: { a: { zone: i, address: 127.0.0.9 }, b: { zone: o, address: 127.0.1.9 } }
content: { c: { synthetic: audio } }
defaults: { content: c, play: 200ms, deadline: 1s }
flows: [ { id: m, type: probe, from: b, to: a, protocol: tcp, ports: 2323 } ]
"""


def channel_rows(rng):
    def told(*parts, hold=0.0):
        def write(pipe):
            try:
                for part in parts:
                    pipe.write(part() if callable(part) else part)
                    pipe.flush()
                time.sleep(hold)
                pipe.close()
            except OSError:
                pass

        return write

    good = SCENARIO + b"...\n"
    words = [b"start", b"stop", b"ping", b"endpoint", b"lost", b"tcp", b"127.0.0.9:1", b"m", b"x" * 100, b"\0", b"\xff\xfe"]
    chaos = lambda: b"\n".join(b" ".join(rng.choice(words) for _ in range(rng.randrange(6))).replace(b"stop", b"sto") for _ in range(20000)) + b"\n"
    return [("nothing at all", told(b"")), ("a scenario that breaks off", told(SCENARIO[:150])),
            ("junk instead of a scenario", told(lambda: rng.randbytes(100_000) + b"\n...\n")),
            ("a scenario without an end", told(*[b"#" + b"x" * 65534 + b"\n"] * 300)),
            ("a line without an end for a scenario", told(*[b"x" * 65536] * 300)),
            ("a command without an end", told(good, b"start\n", *[b"x" * 65536] * 1000, b"\nstop\n")),
            ("a million pings", told(good, *[b"".join(b"ping %d\n" % (i * 1000 + j) for j in range(1000)) for i in range(200)], b"stop\n")),
            ("endpoints of flows that are none", told(good, *[b"".join(b"endpoint f%d 1.2.3.4:5\n" % (i * 2000 + j) for j in range(2000)) for i in range(200)], b"stop\n")),
            ("packets that are lost, without an end",
             told(good, *[b"".join(b"lost tcp 1.2.3.4:%d 1.2.3.%d:5\n" % (j, i) for j in range(1, 2001)) for i in range(200)], b"stop\n")),
            ("start again and again", told(good, b"start\n" * 100_000, b"stop\n")), ("commands in disorder", told(good, chaos, b"stop\n")),
            ("a stop before the start", told(good, b"stop\nstart\n")), ("zero bytes", told(good, bytes(100_000), b"\nstop\n"))]


def against_channel(options, program, write):
    host = {"server_sim": "a", "client_sim": "b", "encoder_sim": "a"}[program]
    why, code, memory = bounded([os.path.join(options.bin, program), "--scenario", "-", "--host", host, "--journal", "-"], 30, write)
    if not why and code not in (0, 1, 2, 3):
        why = f"exit code {code}"
    return why, f"exit code {code}, {memory // 1024} MiB"


FAKE = r"""#!/bin/sh
# reads what it is told in the background, so that the other end never waits
exec 3<&0
cat <&3 >/dev/null &
exec %s
"""

STARTED = '{"time":"2026-01-01T00:00:00.000000000Z","monotonic":1,"host":"%s","process":"%s","event":"%s"}'


def journal_rows():
    line = lambda event, host="a", process="server_sim": STARTED % (host, process, event)
    say = lambda *lines: "printf '%s\\n' " + " ".join("'" + one + "'" for one in lines)
    return [("says nothing and ends", "true"), ("says nothing and stays", "sleep 1000"),
            ("ends by a signal", "sh -c 'kill -SEGV $$'"), ("writes junk", "head -c 200000 /dev/urandom"),
            ("writes junk without an end", "cat /dev/urandom"), ("writes a line without an end", "cat /dev/zero"),
            ("writes lines without an end", "yes '" + line("pong") + "'"),
            ("is ready and then writes without an end", "sh -c \"" + say(line("started"), line("ready")).replace('"', '\\"') + "; exec yes '{\\\"event\\\":1}'\""),
            ("is ready and never stops", "sh -c \"" + say(line("started"), line("ready")).replace('"', '\\"') + "; exec sleep 1000\""),
            ("fills standard error", "sh -c 'cat /dev/zero >&2'"),
            ("speaks for another host", "sh -c \"" + say(line("started", "b", "client_sim"), line("ready", "b"), line("flow-ended", "b")).replace('"', '\\"') + "; exec sleep 1000\"")]


def against_runner(options, rows_body, directory):
    """wmlab with a simulator that is somebody else."""
    folder = tempfile.mkdtemp(dir=directory)
    os.chmod(folder, 0o755)
    for program in ("client_sim", "encoder_sim"):
        os.symlink(os.path.abspath(os.path.join(options.bin, program)), os.path.join(folder, program))
    with open(os.path.join(options.bin, "wmlab"), "rb") as source, open(os.path.join(folder, "wmlab"), "wb") as copy:
        copy.write(source.read())
    os.chmod(os.path.join(folder, "wmlab"), 0o755)
    fake = os.path.join(folder, "server_sim")
    with open(fake, "w") as out:
        out.write(FAKE % rows_body)
    os.chmod(fake, 0o755)
    scenario = os.path.join(folder, "s.yaml")
    with open(scenario, "wb") as out:
        out.write(SCENARIO.replace(b"127.0.0.0/25", b"10.0.0.0/24").replace(b"127.0.1.0/24", b"10.1.0.0/24").replace(b"127.0.0.9", b"10.0.0.2")
                  .replace(b"127.0.1.9", b"10.1.0.2"))
    why, code, memory = bounded([os.path.join(folder, "wmlab"), "run", scenario, "--quiet"], 60, memory_max=4 * MEMORY_MAX)
    if not why and code not in (1, 3, 4):
        why = f"exit code {code}"
    return why, f"exit code {code}, {memory // 1024} MiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, bad, count = random.Random(options.seed), 0, 0

    def tell(name, outcome):
        nonlocal bad, count
        why, what = outcome
        count += 1
        bad += bool(why)
        print(f"{'BAD ' if why else 'good'} {name}: {why or what}", flush=True)

    wanted = lambda name: options.only in name
    for kind, rows in table(rng).items():
        for what, behave in rows:
            name = f"{kind}: a server that {what}"
            if wanted(name):
                tell(name, (against_puller if kind.startswith("pull") else against_client)(options, kind, behave))
    for program in ("server_sim", "client_sim", "encoder_sim"):
        for what, write in channel_rows(rng):
            name = f"channel: {program} is told {what}"
            if wanted(name):
                tell(name, against_channel(options, program, write))
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for what, body in journal_rows():
            name = f"runner: a simulator that {what}"
            if wanted(name):
                tell(name, against_runner(options, body, directory))
    print(f"{count} tried, {bad} bad")
    sys.exit(1 if bad or not count else 0)


main()
