#!/usr/bin/env python3
"""mms_sessions.py BIN_DIR SOURCE_DIR [--sessions 200] [--play 10s]: MMS players over UDP at once through the lab's firewall.

One live stream of 64 kbit/s for each player. Told: packets sent and lost, and per session the processor time and memory
of server_sim, of client_sim (all players of a host are one process) and of everything together. The limit to compare with is
this machine's: how many seconds of its processors the run took for each second it lasted. Not part of ctest.
"""
import argparse, glob, json, os, resource, subprocess, sys, tempfile, threading, time

SCENARIO = """version: 1
name: MMS sessions
zones:
  inside:  {{ subnet: 10.10.0.0/24, interface: inside }}
  outside: {{ subnet: 10.20.0.0/24, interface: outside }}
hosts:
  media:  {{ zone: inside,  address: 10.10.0.10 }}
  player: {{ zone: outside, address: 10.20.0.10 }}
firewall: {{ ruleset: {rules} }}
content: {{ live: {{ synthetic: audio, bitrate: 64k }} }}
flows:
  - {{ id: load, type: mms-udp, from: player, to: media, content: live, count: {sessions}, play: {play} }}
"""


def processes(parent):
    """Processes below `parent`: name by pid."""
    children = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            text = open(stat).read()
        except OSError:
            continue
        pid, rest = int(text.split(" ", 1)[0]), text.rsplit(")", 1)[1].split()
        children.setdefault(int(rest[1]), []).append((pid, text[text.index("(") + 1 : text.rindex(")")]))
    found, todo = {}, [parent]
    while todo:
        for pid, name in children.get(todo.pop(), []):
            found[pid] = name
            todo.append(pid)
    return found


def watch(parent, done, most):
    """The largest memory and processor time of each simulator, while they live."""
    while not done.wait(0.1):
        for pid, name in processes(parent).items():
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                private = sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Private_"))
            except OSError:
                continue
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            known = most.setdefault((name, pid), [0, 0])
            most[name, pid] = [max(known[0], seconds), max(known[1], private)]


def measure(options, sessions):
    with tempfile.TemporaryDirectory() as directory:
        scenario = os.path.join(directory, "load.yaml")
        rules = os.path.join(options.source, "scenarios/rules/kb189416.nft")
        with open(scenario, "w") as file:
            file.write(SCENARIO.format(sessions=sessions, play=options.play, rules=rules))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        run = subprocess.Popen([os.path.join(options.bin, "wmlab"), "run", scenario, "--report", "json:-"],
                               stdout=subprocess.PIPE, text=True)
        done, most = threading.Event(), {}
        watcher = threading.Thread(target=watch, args=(run.pid, done, most))
        watcher.start()
        report = json.loads(run.communicate()[0])
        took = time.monotonic() - began
        done.set()
        watcher.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        verdicts = [flow["verdict"] for flow in report["flows"]]
        sent = sum(flow["media"]["packets_sent"] for flow in report["flows"])
        received = sum(flow["media"]["packets_received"] for flow in report["flows"])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        simulators = {}
        for (name, _), (seconds, private) in most.items():
            if name.startswith(("server_sim", "client_sim")):
                simulators[name] = max(simulators.get(name, (0, 0)), (seconds, private))
        return {"verdicts": verdicts, "lost": sent - received, "sent": sent, "received": received, "took": took, "cpu": cpu, "by": simulators}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("source")
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--play", default="10s")
    options = parser.parse_args()
    one, all_of_them = measure(options, 1), measure(options, options.sessions)
    for sessions, result in ((1, one), (options.sessions, all_of_them)):
        passed = result["verdicts"].count("pass")
        print(f"{sessions} sessions: {passed} pass, {result['sent']} packets sent, {result['received']} received, {result['lost']} lost; "
              f"{result['took']:.1f} s, {result['cpu'] / result['took'] / os.cpu_count() * 100:.0f} % of {os.cpu_count()} processors")
    for name, (seconds, private) in sorted(all_of_them["by"].items()):
        alone = one["by"].get(name, (0, 0))
        more = options.sessions - 1
        print(f"{name}: {(seconds - alone[0]) / more * 1000:.1f} ms of processor and {(private - alone[1]) / more:.1f} KiB a session")
    if all_of_them["lost"] or set(all_of_them["verdicts"]) != {"pass"}:
        sys.exit("not every session passed without loss")


main()
