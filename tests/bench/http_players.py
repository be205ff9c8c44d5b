#!/usr/bin/env python3
"""http_players.py BIN_DIR [--players 1000] [--rounds 3] [--seconds 10]: live HTTP players of 64 kbit/s, server_sim beside icecast2.

In each round all players are first with the one, then with the other, each a fresh process, so that what else this machine
does meets both. Told per player: processor time of the server while all players listen, and the memory it took
for them. Both get the same bytes a second in pieces of the same size. A round counts only if every player got its stream.
Needs icecast2 and ffmpeg, which makes the stream: 1400-byte packets, as icecast2 has its own pieces. No part of ctest: numbers of a shared machine pass or fail nothing.
"""
import argparse, os, selectors, signal, socket, statistics, subprocess, sys, tempfile, threading, time

SECONDS = 60  # of the stream, over and over
PIECE = 1400  # an ASF packet, and what icecast2 reads of its source at a time


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_for(port, process):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended: see its output above")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not listen on {port}")


ICECAST = """<icecast>
  <limits><clients>{clients}</clients><sources>2</sources><queue-size>524288</queue-size><client-timeout>60</client-timeout>
    <header-timeout>60</header-timeout><source-timeout>60</source-timeout><burst-size>0</burst-size></limits>
  <authentication><source-password>bench</source-password><admin-user>admin</admin-user><admin-password>bench</admin-password>
  </authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths><basedir>{dir}</basedir><logdir>{dir}</logdir><webroot>{dir}</webroot><adminroot>{dir}</adminroot></paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>1</loglevel></logging>
  <security><chroot>0</chroot></security>
</icecast>
"""


def start_icecast(directory, port, clients, rate):
    path = os.path.join(directory, "icecast.xml")
    with open(path, "w") as file:
        file.write(ICECAST.format(clients=clients, port=port, dir=directory))
    os.chmod(directory, 0o777)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    process = subprocess.Popen(as_nobody + ["icecast2", "-c", path])
    wait_for(port, process)
    feed = socket.create_connection(("127.0.0.1", port))
    feed.sendall(b"SOURCE /live HTTP/1.0\r\nAuthorization: Basic c291cmNlOmJlbmNo\r\nContent-Type: application/octet-stream\r\n\r\n")
    if b"200" not in feed.recv(1000):
        sys.exit("icecast2 does not take the source")

    def push():
        start, sent = time.monotonic(), 0
        while True:
            sent += 1
            time.sleep(max(0, start + sent * PIECE / rate - time.monotonic()))
            try:
                feed.sendall(bytes(PIECE))
            except OSError:
                return

    threading.Thread(target=push, daemon=True).start()
    return process


def listen(port, request, players, seconds, process, warm_up=3):
    """All players at once; what they got, and what it cost the server."""
    memory = resident(process.pid)
    selector = selectors.DefaultSelector()
    got = {}
    for _ in range(players):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(request)
        s.setblocking(False)
        selector.register(s, selectors.EVENT_READ)
        got[s] = 0
    lost = reads = 0
    end = time.monotonic() + warm_up
    began = None
    while True:
        now = time.monotonic()
        if now >= end:
            if began is not None:
                break
            began, cpu = now, cpu_seconds(process.pid)
            got = dict.fromkeys(got, 0)
            reads = 0
            end = now + seconds
        for key, _ in selector.select(end - now):
            try:
                piece = key.fileobj.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                piece = b""
            if not piece:
                selector.unregister(key.fileobj)
                lost += 1
            got[key.fileobj] += len(piece)
            reads += 1
    took = time.monotonic() - began
    result = {
        "cpu": (cpu_seconds(process.pid) - cpu) / took / players,
        "memory": (resident(process.pid) - memory) / players,
        "least": min(got.values()) * 8 / took,
        "median": statistics.median(got.values()) * 8 / took,
        "reads": reads / took / players,
        "lost": lost,
    }
    for s in got:
        s.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--players", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    ports = {"server_sim": 18080, "icecast2": 18000}
    requests = {
        "server_sim": b"GET /live HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3857\r\nPragma: no-cache,xPlayStrm=1,stream-switch-count=1,stream-switch-entry=ffff:1:0\r\n\r\n",
        "icecast2": b"GET /live HTTP/1.0\r\nUser-Agent: bench\r\n\r\n",
    }
    processes, results = {}, {name: [] for name in ports}
    with tempfile.TemporaryDirectory() as directory:
        try:
            media = os.path.join(directory, "live.wma")
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"anoisesrc=duration={SECONDS}:sample_rate=44100", "-c:a", "wmav2", "-b:a",
                            "56k", "-packet_size", str(PIECE), "-f", "asf", media], check=True, stdin=subprocess.DEVNULL)
            rate = os.path.getsize(media) / SECONDS  # bytes a second
            # Fresh processes: what one round freed would be the next one's memory for nothing.
            for number in range(options.rounds):
                for name in ports:
                    if name == "icecast2":
                        process = start_icecast(directory, ports[name], options.players + 100, rate)
                    else:
                        process = subprocess.Popen(
                            [os.path.join(options.bin, "server_sim"), "--content", f"live={media}", "--loop", "--bind", "127.0.0.1",
                             "--mms-port", "0", "--http-port", str(ports[name]), "--max-sessions-per-peer", str(options.players + 100),
                             "--log-level", "error"], stdout=subprocess.DEVNULL)
                        wait_for(ports[name], process)
                    processes[name] = process
                    result = listen(ports[name], requests[name], options.players, options.seconds, process)
                    process.send_signal(signal.SIGTERM)
                    process.wait(20)
                    results[name].append(result)
                    print(f"round {number + 1} {name}: {result['cpu'] * 1e6:.0f} us of processor a second and player, "
                          f"{result['memory'] / 1024:.1f} KiB a player, {result['median'] / 1000:.1f} kbit/s "
                          f"(least {result['least'] / 1000:.1f}) in {result['reads']:.1f} pieces a second, {result['lost']} lost", flush=True)
        finally:
            for process in processes.values():
                if process.poll() is None:
                    process.kill()
    for key, unit, scale in (("cpu", "us of processor a second and player", 1e6), ("memory", "KiB a player", 1 / 1024)):
        medians = {name: statistics.median(r[key] for r in rounds) * scale for name, rounds in results.items()}
        spans = {name: f"{min(r[key] for r in rounds) * scale:.1f}-{max(r[key] for r in rounds) * scale:.1f}"
                 for name, rounds in results.items()}
        print(f"{unit}: server_sim {medians['server_sim']:.1f} ({spans['server_sim']}), "
              f"icecast2 {medians['icecast2']:.1f} ({spans['icecast2']}), ratio "
              f"{medians['server_sim'] / max(medians['icecast2'], 1e-9):.2f}")
    bad = [name for name, rounds in results.items() for r in rounds if r["lost"] or r["least"] < 0.8 * rate * 8]
    if bad:
        sys.exit(f"not every player got its stream from {', '.join(sorted(set(bad)))}: the numbers do not count")


main()
