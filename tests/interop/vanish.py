"""vanish.py BIN_DIR WORK SEED SESSIONS: see vanish.sh. What is random follows from SEED, but for the scheduler's part."""
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

bin_dir, work, seed, sessions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SERVER, ENCODER, BETWEEN = "127.0.0.1", "127.0.0.2", "127.0.0.3"
wrong = []


def check(what, holds, seen=""):
    print(f"{'ok' if holds else 'WRONG':6}{what}{' (' + str(seen) + ')' if seen != '' else ''}", flush=True)
    if not holds:
        wrong.append(what)


# --- what peers say, step by step, whatever is answered

def text(words):
    return words.encode("utf-16le") + b"\0\0"


def mms_message(number, mid, body):
    message = struct.pack("<I", mid) + body
    message += b"\0" * (-(len(message) + 4) % 8)
    chunks = (len(message) + 4) // 8
    return struct.pack("<IIIIIHHQ", 1, 0xB00BFACE, 16 + 8 * chunks, 0x20534D4D, chunks + 2, number, 0, 0) + struct.pack("<I", chunks) + message


def mms_steps(name, udp_port):
    funnel = f"\\\\127.0.0.1\\UDP\\{udp_port}" if udp_port else "\\\\127.0.0.1\\TCP\\1037"
    bodies = [(0x30001, struct.pack("<III", 0xF0F0F0EF, 0x4000B, 0x3001C) + text("NSPlayer/7.0.0.1956; {33715801-BAB3-9D85-24E9-03B90328270A}; Host: x")),
              (0x30018, struct.pack("<II", 0xF0F0F0EF, 0)),
              (0x30002, struct.pack("<IIIII", 0, 0xFFFFFFFF, 0, 0x989680, 2) + text(funnel)),
              (0x30005, struct.pack("<IIII", 1, 0, 0, 0) + text(name)),
              (0x30015, struct.pack("<IIIIIIddII", 1, 0, 0, 0x8000, 0xFFFFFFFF, 0, 0.0, 3600.0, 2, 0)),
              (0x30033, struct.pack("<I", 1) + struct.pack("<HHH", 0xFFFF, 1, 0)),
              (0x30007, struct.pack("<IIdIIII", 1, 0, 0.0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 4)),
              (0x30009, struct.pack("<II", 1, 4)), (0x3000D, struct.pack("<II", 1, 1))]
    return [mms_message(number, mid, body) for number, (mid, body) in enumerate(bodies)]


def http_steps(name, agent="NSPlayer/4.1.0.3856"):
    describe = f"GET /{name} HTTP/1.0\r\nUser-Agent: {agent}\r\nHost: x\r\nPragma: no-cache\r\n"
    play = f"GET /{name} HTTP/1.0\r\nUser-Agent: {agent}\r\nHost: x\r\nPragma: no-cache,rate=1.0\r\nPragma: xPlayStrm=1\r\n"
    play += "Pragma: stream-switch-count=1\r\nPragma: stream-switch-entry=ffff:1:0\r\n"
    return [random_of.choice((describe, play)).encode(), b"\r\n", b"GET /"]


def msbd_steps(_):
    return [b"MSB \x06\x01\x07\0" + struct.pack("<III", 34, 0, 1) + "NetShow".encode("utf-16le"),
            b"MSB \x06\x01\x03\0" + struct.pack("<II", 16, 0), b"MSB \x06\x01\x02\0" + struct.pack("<II", 16, 0)]


def dcom_steps(_):
    epm, ndr = bytes.fromhex("0883afe11f5dc91191a408002b14a0fa03000000"), bytes.fromhex("045d888aeb1cc9119fe808002b10486002000000")
    bind = struct.pack("<BBBBIHHIHHIBBH", 5, 0, 11, 3, 0x10, 72, 0, 1, 5840, 5840, 0, 1, 0, 0) + struct.pack("<HBB", 0, 1, 0) + epm + ndr
    lookup = struct.pack("<IIIIIII", 0, 0, 0, 0, 1, 0, 0) + b"\0" * 12 + struct.pack("<I", 500)
    return [bind, struct.pack("<BBBBIHHIIHH", 5, 0, 0, 3, 0x10, 24 + len(lookup), 0, 2, len(lookup), 0, 2) + lookup]


def vanish(port, steps, udp=None, how=None):
    """Says some of it, reads some of what comes, and is gone: with a FIN, a RST, half closed, or without reading."""
    dice = random.Random(how)
    try:
        tcp = socket.create_connection((SERVER if port != 7008 else ENCODER, 7007 if port == 7008 else port), timeout=5)
    except OSError:
        return
    reads, last = dice.random() < 0.7, dice.randint(0, len(steps))
    try:
        if not reads:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for step in steps[:last]:
            cut = dice.randint(1, len(step)) if dice.random() < 0.1 else len(step)
            tcp.sendall(step[:cut])
            if cut < len(step):
                break
            if reads:
                tcp.settimeout(dice.choice((0.001, 0.02, 0.1)))
                try:
                    tcp.recv(65536)
                except socket.timeout:
                    pass
            elif dice.random() < 0.3:
                time.sleep(dice.random() * 0.1)
        if dice.random() < 0.4:
            time.sleep(dice.random() * 0.8)
        end = dice.choice(("fin", "rst", "half", "rst"))
        if end == "rst":
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end == "half":
            tcp.shutdown(socket.SHUT_WR)
            tcp.settimeout(dice.random())
            while tcp.recv(65536):
                pass
    except OSError:
        pass
    finally:
        tcp.close()
        if udp:
            udp.close()  # its port answers with ICMP from now on


# --- processes with journals

def start(program, journal, *options):
    process = subprocess.Popen([f"{bin_dir}/{program}", *options, "--journal", f"{work}/{journal}"], stdout=subprocess.DEVNULL,
                               stderr=open(f"{work}/{journal}.log", "w"))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and '"ready"' not in open_text(journal) and process.poll() is None:
        time.sleep(0.02)
    return process


def open_text(journal):
    try:
        return open(f"{work}/{journal}", encoding="utf-8").read()
    except FileNotFoundError:
        return ""


def ended_well(program, process, journal, codes=(0,)):
    try:
        code = process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "hangs"
    log = open(f"{work}/{journal}.log", encoding="utf-8", errors="replace").read()
    check(f"{program} ends when it is told, and not before", code in codes, code if code in codes else f"{code}: {log[-1500:]}")
    events = [json.loads(line) for line in open_text(journal).splitlines()]
    check(f"{program}: the journal has its end", bool(events) and events[-1]["event"] == "stopped")
    told = collections.Counter()
    for event in events:
        if event["event"] in ("accepted", "closed") and "connection" in event:
            told[event["connection"], event["event"]] += 1
    accepted = {connection for connection, what in told if what == "accepted"}
    odd = [connection for connection in accepted if told[connection, "closed"] != 1]
    check(f"{program}: each of {len(accepted)} conversations has one end in the journal", not odd, odd[:5] or "")
    check(f"{program}: no fault", "Bad file descriptor" not in log and "bad_weak_ptr" not in log)
    return len(accepted)


def sober(url, scheme="mmst"):
    """A player that behaves: whether it got what it asked for."""
    played = subprocess.run([f"{bin_dir}/client_sim", f"{scheme}://{url}", "--duration", "0.3", "--deadline", "5"], capture_output=True, text=True)
    return played.returncode == 0, "" if played.returncode == 0 else played.stdout[:300]


def told_no():
    """A client that was answered to the end and does not close."""
    tcp = socket.create_connection((SERVER, 80), timeout=5)
    tcp.sendall(b"GET /none HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nHost: x\r\n\r\n")
    while tcp.recv(65536):
        pass
    return tcp


def wave(count, dice):
    jobs = []
    for _ in range(count):
        name = dice.choice(("clip", "live", "pulled", "none"))
        kind = dice.choice(("mms", "mms", "udp", "http", "http", "msbd", "encoder", "dcom"))
        if kind in ("mms", "udp"):
            udp = None
            if kind == "udp":
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                udp.bind((SERVER, 0))
            jobs.append((1755, mms_steps(name, udp.getsockname()[1] if udp else 0), udp))
        elif kind == "http":
            jobs.append((80, http_steps(name, dice.choice(("NSPlayer/4.1.0.3856", "NSServer/4.1.0.3923", "curl/8", "Mozilla/4.0")))))
        else:
            jobs.append(({"msbd": 7007, "encoder": 7008, "dcom": 135}[kind], (dcom_steps if kind == "dcom" else msbd_steps)(name)))
    with concurrent.futures.ThreadPoolExecutor(40) as crowd:
        for job in jobs:
            crowd.submit(vanish, *job[:2], udp=job[2] if len(job) > 2 else None, how=dice.random())


# --- servers and encoders whose peers vanish; each round ends in the middle of a wave

random_of = random.Random(seed)
rounds, conversations = 4, 0
for number in range(rounds):
    dice = random.Random(seed * 1000 + number)
    encoder_options = ("--content", f"{work}/clip.wmv", "--bind", ENCODER, "--quiet", "--http-port", "80")
    encoder = start("encoder_sim", f"encoder{number}", *encoder_options)
    server = start("server_sim", f"server{number}", "--bind", SERVER, "--content", f"clip={work}/clip.wmv", "--content", "live=synthetic:2000k",
                   "--pull", f"pulled=msbd://{ENCODER}/", "--pull", f"web=http://{ENCODER}/clip", "--msbd-port", "7007", "--reserved-ports", "3001-3040",
                   "--station", "live=239.1.2.3:8080,ttl=0", "--queue", "256", "--close-after-end", "0.2", "--pull-timeout", "2")
    wave(sessions // rounds // 2, dice)
    if number == 1:  # the source vanishes, too, and comes again
        encoder.kill()
        encoder.wait()
        encoder = start("encoder_sim", f"encoder{number}b", *encoder_options)
    for name in ("clip", "live"):
        for scheme in ("mmst", "mmsu", "mmsh"):
            check(f"round {number}: who behaves is served: {scheme} {name}", *sober(f"{SERVER}/{name}", scheme))
    crowd = threading.Thread(target=wave, args=(sessions // rounds // 2, dice))
    crowd.start()
    time.sleep(dice.random() * 1.5)
    answered = [told_no() for _ in range(5)]  # the server waits for these to close: it must not forget them over its own end
    server.send_signal(dice.choice((signal.SIGTERM, signal.SIGINT)))
    conversations += ended_well("server_sim", server, f"server{number}")
    encoder.send_signal(signal.SIGTERM)
    conversations += ended_well("encoder_sim", encoder, f"encoder{number}b" if number == 1 else f"encoder{number}")
    crowd.join()
    for tcp in answered:
        tcp.close()
check("there was something to vanish", conversations > sessions // 4, conversations)

# --- client_sim, whose server vanishes behind a relay that cuts after any byte

server = start("server_sim", "behind", "--bind", SERVER, "--content", f"clip={work}/clip.wmv", "--content", "live=synthetic:256k")
over = threading.Event()


def relay(port):
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((BETWEEN, port))
    door.listen(64)
    door.settimeout(0.2)
    dice = random.Random(seed + port)

    def both(client, most, hard, whole):
        with client, socket.create_connection((SERVER, port)) as there:
            def up():
                try:
                    while data := client.recv(65536):
                        there.sendall(data)
                except OSError:
                    pass
            threading.Thread(target=up, daemon=True).start()
            try:
                while most > 0 and (data := there.recv(min(most, 65536))):
                    client.sendall(data)
                    most -= len(data)
            except OSError:
                pass
            if hard:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif not whole:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    while not over.is_set():
        try:
            client, _ = door.accept()
        except socket.timeout:
            continue
        most = dice.choice((0, 1, 40, dice.randint(1, 600), dice.randint(1, 6000), dice.randint(1, 60000)))
        threading.Thread(target=both, args=(client, most, dice.random() < 0.5, dice.random() < 0.3), daemon=True).start()


for port in (1755, 80):
    threading.Thread(target=relay, args=(port,), daemon=True).start()


def cut_off(number):
    dice = random.Random(seed * 7 + number)
    url = f"{dice.choice(('mmst', 'mmsh', 'mms', 'mmsu', 'http'))}://{BETWEEN}/{dice.choice(('clip', 'live'))}"
    journal = f"{work}/client{number}"
    played = subprocess.Popen([f"{bin_dir}/client_sim", url, "--duration", "1", "--deadline", "0.5", "--journal", journal],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if dice.random() < 0.3:
        time.sleep(dice.random())
        played.send_signal(signal.SIGTERM)
    try:
        _, said = played.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        played.kill()
        return f"{url} hangs"
    if played.returncode == -signal.SIGTERM and not os.path.exists(journal):
        return None  # the signal came before it had begun
    events = [json.loads(line) for line in open(journal, encoding="utf-8")]
    names = [event["event"] for event in events]
    if played.returncode in (-signal.SIGTERM, 0, 1) and "Bad file descriptor" not in said:
        if played.returncode < 0 and "ready" not in names:
            return None  # the signal came before it was ready
        if names[-1:] == ["stopped"] and ("flow-started" not in names or "flow-ended" in names):
            return None
    return f"{url}: exit {played.returncode}, journal ends with {names[-2:]}: {said[-300:]}"


with concurrent.futures.ThreadPoolExecutor(12) as crowd:
    faults = [fault for fault in crowd.map(cut_off, range(sessions // 5)) if fault]
check(f"client_sim: {sessions // 5} players whose server vanishes end, and tell it", not faults, faults[:3] or "")
over.set()
server.send_signal(signal.SIGTERM)
ended_well("server_sim", server, "behind")
print("wrong: " + "; ".join(sorted(set(wrong))) if wrong else "all hold")
sys.exit(1 if wrong else 0)
