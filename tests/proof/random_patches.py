#!/usr/bin/env python3
"""What `wmlab run --suggest` writes, for random rulesets: patch(1) applies it, the flows that it is for then pass and none does worse, no line and
no value of a list that it adds can be spared, and it opens nothing else.

    random_patches.py WMLAB [--count N] [--seed N] [--kind nft|iptables|nft-lists|iptables-lists] [--jobs N] [--trials N] [--seconds N] [--keep DIR]

A quarter of the count is of each kind: rulesets of every sort (random_rules/nft.py, iptables.py), and such whose rules lack a value of a set, list,
range or define (random_rules/lists.py). What else is open is asked of a firewall that knows nothing of the lab (random_rules/oracle.py): the same
packets, between all hosts and strangers, to every port that either file speaks of, before and after; and of `wmlab audit --baseline`. A patch
that is called not proven has to say why, and a flow that got no rule has to be told. Prints one line per wrong answer, then `N passed, M failed`;
--seed, --count 1 and --kind make the same ruleset again.
"""
import argparse
import collections
import concurrent.futures
import difflib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is left in the source tree
from random_rules import iptables, lab_site, lists, nft, oracle

KINDS = ("nft", "iptables", "nft-lists", "iptables-lists")
STRANGERS = {"inside": "10.10.0.77", "outside": "10.20.0.77", "dmz": "10.30.0.77"}
SPOKEN_AT_MOST = 60  # ports of a ruleset that are tried


def scenario(hosts, flows, stopped):
    lines = ["version: 1", "name: random", "zones:"]
    lines += [f"  {zone}: {{ subnet: {net}.0/24, interface: {interface} }}" for zone, (interface, net) in lab_site.ZONES.items()]
    lines += ["hosts:"] + [f"  {host}: {{ zone: {zone}, address: {address} }}" for host, (zone, address) in hosts.items()]
    lines += ["defaults: { deadline: 500ms }", "flows:"]
    lines += [f"  - {{ id: {p.id}, type: probe, from: {p.source}, to: {p.destination}, protocol: {p.protocol}, ports: {p.port}{', expect: blocked' if p.id in stopped else ''} }}" for p in flows]
    return "\n".join(lines) + "\n"


def generate(kind, seed):
    """(hosts, flows, those that are to be stopped, text)"""
    rng = random.Random(f"patches {kind} {seed}")
    if kind.endswith("lists"):
        flows, text = lists.Generator(rng).generate(kind.partition("-")[0])
        return lists.HOSTS, flows, {flow.id for flow in flows if flow.id.startswith("n")}, text
    flows = lab_site.probes(rng, 10)
    ruleset = {"nft": nft, "iptables": iptables}[kind].Generator(rng, flows).generate()
    return lab_site.HOSTS, flows, {flow.id for flow in flows if rng.random() < 0.2}, ruleset.text


class Truth:
    """Which packets a firewall lets through that knows nothing of the lab, and where they come to: translation may lead them to a flow's end."""

    def __init__(self):
        addresses = {address for hosts in (lab_site.HOSTS, lists.HOSTS) for _, address in hosts.values()} | set(lab_site.NOWHERE) | set(STRANGERS.values())
        self.firewall = oracle.Firewall(lab_site.ZONES, sorted(addresses))

    def passing(self, file, is_iptables, packets):
        firewall = self.firewall
        firewall.nft.run("flush ruleset")
        firewall.forget()
        if is_iptables:
            firewall.place.run("iptables-nft-restore", text=file.read_text())
        else:
            firewall.place.run("nft", "-f", str(file))
        found = {}
        for number, (protocol, zone, source, destination, port) in enumerate(packets):
            more = dict(flags=oracle.SYN, seq=1000) if protocol == "tcp" else dict(payload=b"wmlab-probe 0123456789abcdef\n")
            data = oracle.packet(protocol, (source, 33000 + number % 20000), (destination, port), number % 60000 + 1, **more)
            for one in firewall.send(zone, data):
                if one.kind == "forwarded":
                    found[protocol, source, destination, port] = (protocol, source, *one.destination)
        return found


truth = None  # of this process


def packets_of(rng, hosts, flows, texts):
    spoken = sorted({port for text in texts for port in lists.ports_in(text)})
    spoken = rng.sample(spoken, min(len(spoken), SPOKEN_AT_MOST)) + [flow.port for flow in flows] + [rng.randint(1, 65535) for _ in range(3)]
    ends = [*hosts.values(), *STRANGERS.items()]
    found = [(protocol, zone, source, destination, port) for zone, source in ends for far, destination in hosts.values() if far != zone
             for port in sorted(set(spoken)) for protocol in ("tcp", "udp")]
    rng.shuffle(found)
    needed = [(flow.protocol, *hosts[flow.source], hosts[flow.destination][1], flow.port) for flow in flows]
    return needed + found[:2500]


def run(wmlab, folder, *more, ruleset):
    done = subprocess.run([wmlab, "run", "scenario.yaml", "--ruleset", ruleset, "--report", "json:-", "--quiet", *more], cwd=folder, capture_output=True, text=True, timeout=300)
    try:
        return json.loads(done.stdout), done
    except json.JSONDecodeError:
        return None, done


WORD = re.compile(r'"[^"]*"|[^\s,{};]+|[,{};]')


def without_word(line, index):
    """The line without its word of this number, and without the comma that led to it."""
    found = list(WORD.finditer(line))
    start, end = found[index].span()
    if index > 0 and found[index - 1].group() == ",":
        start = found[index - 1].start()
    elif index + 1 < len(found) and found[index + 1].group() == ",":
        end = found[index + 1].end()
    else:
        return None  # the only one
    return line[:start] + line[end:]


def variants(before, after):
    """(what was left out, the text without it), for every line that is new and every value that is."""
    old, new = before.splitlines(), after.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag not in ("insert", "replace"):
            continue
        for number in range(c, d):
            line = new[number]
            code = line.partition("#")[0]
            near = difflib.get_close_matches(line, old[a:b], 1, 0.4) if tag == "replace" else []
            if not near and re.search(r" accept\b|^accept|-j ACCEPT|dnat |DNAT", code):
                yield line.strip(), "\n".join(new[:number] + new[number + 1:]) + "\n"
            words = [match.group() for match in WORD.finditer(code)]
            fresh = set(range(len(words)))
            if near:
                had = WORD.findall(near[0].partition("#")[0])
                fresh = {j for op, _, _, j1, j2 in difflib.SequenceMatcher(None, had, words, autojunk=False).get_opcodes() if op in ("insert", "replace") for j in range(j1, j2)}
            for index in sorted(fresh):
                if re.match(r"[\d$]", words[index]):
                    shorter = without_word(line, index)
                    if shorter is not None:
                        yield f"{words[index]} in {line.strip()}", "\n".join(new[:number] + [shorter] + new[number + 1:]) + "\n"


def judge(wmlab, folder, kind, seed, trials, figures):
    """Everything that is wrong about the patch."""
    global truth
    hosts, flows, stopped, text = generate(kind, seed)
    file = folder / f"rules.{kind.partition('-')[0]}"
    file.write_text(text)
    (folder / "scenario.yaml").write_text(scenario(hosts, flows, stopped))
    is_iptables = kind.startswith("iptables")
    rng = random.Random(f"trials {kind} {seed}")
    report, done = run(wmlab, folder, "--suggest", "fix.patch", ruleset=file.name)
    if report is None:
        if done.returncode == 2 and not kind.endswith("lists"):  # two protocols in one rule, for instance
            figures["invalid"] += 1
            return
        yield f"no report, exit {done.returncode}: {done.stderr.strip()[-400:]}"
        return
    patch, found = report.get("patch"), {flow["id"]: flow for flow in report["flows"]}
    wanting = [flow for flow in report["flows"] if not flow["as_expected"] and flow["id"] not in stopped]
    figures["rulesets"] += 1
    figures["stopped"] += len(wanting)
    if not wanting:
        figures["nothing stopped"] += 1
        if patch and patch["diff"]:
            yield "a patch, and every flow was as it should be"
        return
    if patch is None:
        yield "no patch in the report"
        return
    (folder / "fix.json").write_text(json.dumps(report))
    said = " ".join(patch["notes"])
    for flow in wanting:
        if flow["id"] not in patch["flows"] and not re.search(rf"\b{flow['id']}\b", said) and flow["suggestion"] and any(key in flow["suggestion"] for key in ("nft", "iptables")):
            yield f"nothing is said of {flow['id']}, which is not mended"
        if bool((flow["suggestion"] or {}).get("proven")) != (flow["id"] in patch["flows"]):
            yield f"{flow['id']}: its suggestion says {flow['suggestion']}, the patch is for {patch['flows']}"
    if (folder / "fix.patch").read_text() != patch["diff"]:
        yield "the file is not what the report holds"
    figures["mended"] += len(patch["flows"])
    if not patch["diff"]:
        figures["no patch"] += 1
        if patch["proven"] or patch["flows"] or not patch["notes"] and any((flow["suggestion"] or {}).keys() & {"nft", "iptables"} for flow in wanting):
            yield f"an empty patch: {dict(patch)}"
        return
    figures["patches"] += 1
    figures["proven"] += patch["proven"]
    figures["lines"] += patch["rules"]
    figures["widened"] += len(re.findall(r"^-(?!--)", patch["diff"], re.M))
    if not patch["proven"] and not patch["notes"]:
        yield "not proven, and no word why"
    if not patch["proven"]:
        figures["why: " + re.sub(r"\d+", "N", patch["notes"][-1])[:60]] += 1
    (folder / "before").write_text(text)
    applied = subprocess.run(["patch", "-p0", "-i", "fix.patch"], cwd=folder, capture_output=True, text=True)
    if applied.returncode != 0 or "fuzz" in applied.stdout or "offset" in applied.stdout:
        yield f"patch(1): {applied.stdout}{applied.stderr}"
        return
    after = file.read_text()
    mended = set(patch["flows"])
    again, done = run(wmlab, folder, ruleset=file.name)
    if again is None:
        yield f"no report with the patch, exit {done.returncode}: {done.stderr.strip()[-400:]}"
        return
    for flow in again["flows"]:
        if flow["id"] in mended and not flow["as_expected"]:
            yield f"{flow['id']} is not mended: {flow['explanation']}\n{patch['diff']}"
        if patch["proven"] and found[flow["id"]]["as_expected"] and not flow["as_expected"]:
            yield f"{flow['id']} does worse: {flow['explanation']}\n{patch['diff']}"
    # Minimal.
    only = [option for flow in sorted(mended) for option in ("--only", flow)]
    shorter = list(variants(text, after))
    for left_out, less in rng.sample(shorter, min(trials, len(shorter))):
        (folder / f"less-{file.name}").write_text(less)
        report, done = run(wmlab, folder, *only, ruleset=f"less-{file.name}")
        figures["left out"] += 1
        if report is not None and all(flow["as_expected"] for flow in report["flows"]):
            yield f"not needed: {left_out}\n{patch['diff']}"
    # Nothing else open.
    if not patch["proven"]:
        return
    truth = truth or Truth()
    packets = packets_of(rng, hosts, flows, (text, after))
    needed = {(flow.protocol, hosts[flow.source][1], hosts[flow.destination][1], flow.port) for flow in flows if flow.id not in stopped}
    now, was = truth.passing(file, is_iptables, packets), truth.passing(folder / "before", is_iptables, packets)
    opened = [packet for packet, arrival in now.items() if packet not in was and not {packet, arrival} & needed]
    figures["packets"] += len(packets)
    if opened:
        yield f"it opens {sorted(opened)[:5]}\n{patch['diff']}"
    audit = subprocess.run([wmlab, "audit", "scenario.yaml", "--baseline", "before", "--ruleset", file.name, "--report", "json:-", "--quiet"], cwd=folder, capture_output=True, text=True, timeout=300)
    if audit.returncode == 1 and "with a flow's answers they let through" not in said or audit.returncode not in (0, 1, 4):
        yield f"the audit of the change: exit {audit.returncode}, {audit.stdout[:600]} {audit.stderr[-300:]}\n{patch['diff']}"


def one(wmlab, kind, seed, trials, keep, until):
    figures = collections.Counter()
    if until and time.monotonic() > until:
        figures["left out for want of time"] += 1
        return figures, []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(keep) / f"{kind}-{seed}" if keep else pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            wrong = list(judge(wmlab, folder, kind, seed, trials, figures))
        except Exception as failure:  # of this proof itself
            wrong = [f"{type(failure).__name__}: {failure}"]
    return figures, wrong


def main():
    ask = argparse.ArgumentParser(description="patches that wmlab suggests for random rulesets")
    ask.add_argument("wmlab")
    ask.add_argument("--count", type=int, default=200)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--kind", choices=KINDS)
    ask.add_argument("--jobs", type=int, default=6)
    ask.add_argument("--trials", type=int, default=5, help="lines and values that are left out by turns, at most, of each patch")
    ask.add_argument("--seconds", type=float, help="begin no further ruleset after this time")
    ask.add_argument("--keep")
    options = ask.parse_args()
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--map-root-user", "--net", sys.executable, *sys.argv])
    kinds = [options.kind] if options.kind else KINDS
    cases = [(kinds[number % len(kinds)], options.seed + number // len(kinds)) for number in range(options.count)]
    start, figures, failed = time.monotonic(), collections.Counter(), 0
    wmlab = str(pathlib.Path(options.wmlab).resolve())
    with concurrent.futures.ProcessPoolExecutor(max_workers=options.jobs) as pool:
        until = start + options.seconds if options.seconds else None
        waiting = {pool.submit(one, wmlab, *case, options.trials, options.keep, until): case for case in cases}
        for done in concurrent.futures.as_completed(waiting):
            counts, wrong = done.result()
            figures.update(counts)
            failed += bool(wrong)
            for why in wrong:
                print(f"WRONG {waiting[done][0]} {waiting[done][1]}: {why}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(figures.items())))
    passed = len(cases) - failed - figures["invalid"] - figures["left out for want of time"]
    print(f"{passed} passed, {failed} failed, {time.monotonic() - start:.0f} s")
    return 1 if failed or not figures["patches"] else 0


if __name__ == "__main__":
    sys.exit(main())
