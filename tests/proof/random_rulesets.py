#!/usr/bin/env python3
"""Random rulesets, through the lab and through a firewall that knows nothing of the lab (random_rules/oracle.py): both have to say the same of every
flow - whether it passes, which way and how it was stopped, and by which line.

    random_rulesets.py WMLAB [--seed N] [--count N] [--dialect nft|iptables] [--no-suggestions] [--keep DIR]

Without root it becomes the root of a user namespace. The oracle loads the same rules with a counter in each, sends the packets of each probe alone and reads the counters between; the kernel is
always right. Every third ruleset is also run with --apply-suggestions: what was stopped by a rule has to pass then. A near miss has to be a rule
that accepts, or leads to where the packet is accepted, and from which it differs in one condition or none, where it comes too late. Prints one line per disagreement, then `N passed, M failed`; `--seed` and the number
in the line make the same ruleset again.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is left in the source tree
from random_rules import iptables, lab_site, nft, oracle

STOPPING = ("drop", "reject")


@dataclasses.dataclass
class Truth:
    """What the kernel did with a flow."""
    verdict: str
    cause: str = None
    direction: str = None
    line: int = None  # of the rule that decided; None: not known, or none
    code: int = None  # of the ICMP message
    step: oracle.Step = None
    base: lab_site.Base = None
    translated: bool = False
    also: int = None  # the line that stopped what was sent after that
    mendable: bool = True  # by a rule: without the rules that stop anything it passes


def hits_of(step, ruleset):
    """(line, rule kind, base) of every rule that the packet hit."""
    for comment in step.hits:
        if comment.startswith("L"):
            line, _, alternative = comment[1:].partition("/")
            rule, base = ruleset.rules[int(line)]
            yield int(line), rule.alternatives[int(alternative)][2] if alternative else rule.kind, base


def stopped_at(step, ruleset):
    """(line, base) of what stopped the packet. What a firewall itself says of it passes the hooks output and postrouting only."""
    hits = list(hits_of(step, ruleset))
    for line, kind, base in hits:
        if kind in STOPPING and base.hook in ("prerouting", "input", "forward"):
            return line, base
    local = any(kind == "nat" and ruleset.rules[line][0].verdict.lower().startswith("redirect") for line, kind, _ in hits)
    hooks = ("prerouting", "input") if local else ("prerouting", "forward", "postrouting")
    for line, kind, base in hits:
        if kind in STOPPING and base.hook in hooks:
            return line, base
    entered = [base for hook in hooks for base in ruleset.in_hook(hook) if f"E:{base.id}" in step.hits]
    accepted = any(kind == "accept" and base is entered[-1] for _, kind, base in hits)  # and then stopped by no rule
    if entered and entered[-1].policy.lower() == "drop" and not accepted:
        return entered[-1].policy_line, entered[-1]
    return None, None


def accepted_at(step, ruleset):
    """The line that let a packet through: of the last rule that accepted it when forwarding, else of the last policy."""
    line = None
    for base in ruleset.in_hook("forward"):
        found = [hit for hit, kind, of in hits_of(step, ruleset) if kind == "accept" and of is base]
        line = found[0] if found else line
    entered = [base for base in ruleset.in_hook("forward") if f"E:{base.id}" in step.hits]
    return line or (entered[-1].policy_line if entered else None)


def translator(step, ruleset, hook):
    return next((line for line, kind, base in hits_of(step, ruleset) if kind == "nat" and base.hook == hook), None)


def truth_of(flow, flows, steps, ruleset):
    first, last = steps[0], steps[-1]
    destination = (lab_site.HOSTS[flow.destination][1], flow.port)
    out = next((one for one in first.seen if one.kind == "forwarded"), None)
    there, back = translator(first, ruleset, "prerouting"), translator(first, ruleset, "postrouting")
    translated = bool(there or back)
    if out and out.destination != destination:
        taken = any((lab_site.HOSTS[other.destination][1], other.port, other.protocol) == (*out.destination, flow.protocol) for other in flows)
        if not (taken and out.destination[0] == destination[0]):
            return Truth("blocked", "translated", "from->to", there, step=first, translated=True)
    if out and flow.protocol == "tcp" and out.source[0].rpartition(".")[0] == destination[0].rpartition(".")[0] and not out.source[0].endswith(".1"):
        return Truth("blocked", "translated", "to->from", back, step=first, translated=True)  # nobody answers to that address
    if any(one.kind == "forwarded" for one in last.seen):
        return Truth("pass", line=accepted_at(first, ruleset), step=first, translated=translated)
    line, base = stopped_at(last, ruleset)
    if line is None and there:
        return Truth("blocked", "translated", "from->to", there, step=first, translated=True)  # to the firewall itself
    told = [one for one in last.seen + (last.after.seen if last.after else []) if one.kind in ("icmp", "rst")]
    cause = {"icmp": "rejected", "rst": "reset"}[told[0].kind] if told else "dropped" if last.name in ("syn", "syn-ack", "ack", "datagram") else "starved"
    also = stopped_at(last.after, ruleset)[0] if last.after else None
    return Truth("blocked", cause, last.direction, line, told[0].code if cause == "rejected" else None, last, base, translated, also)


def near_miss_wrong(near, truth, ruleset):
    """Why this is no near miss of the packet that was stopped; nothing if it is, or if it cannot be told."""
    if pathlib.Path(near["file"]).name != f"rules.{ruleset.dialect}" or near["line"] not in ruleset.rules:
        return f"the near miss is at {near['file']}:{near['line']}, where no rule is"
    rule, base = ruleset.rules[near["line"]]
    if rule.kind not in ("accept", "jump", "goto", "vmap"):  # or leads to where it would be accepted
        return f"the near miss of line {near['line']} does not accept"
    if base is not truth.base:
        return f"the near miss of line {near['line']} is in another chain than what stopped the packet"
    if truth.translated:
        return None
    step, zones = truth.step, lab_site.ZONES
    ways = [zones[step.packet["zone"]][0], next(interface for interface, net in zones.values() if step.packet["daddr"].startswith(net + "."))]
    packet = dict(step.packet, **{"in": ways[0], "out": ways[1], "state": None})
    turned = dict(packet, **{"in": ways[1], "out": ways[0], "saddr": packet["daddr"], "daddr": packet["saddr"]})
    held = [match.holds(packet) for match in rule.matches]
    wrong, unknown = held.count(False), held.count(None)
    behind = wrong == 0 and near["differs"].startswith("it stands behind")
    if wrong == 1 or (wrong == 0 and unknown) or behind or rule.kind == "vmap" or all(match.holds(turned) is not False for match in rule.matches):
        return None
    return f"the packet differs from the near miss of line {near['line']} in {wrong} conditions"


def problems(flow, found, truth, ruleset, suggested):
    """Everything in the report of a flow that is not so."""
    got = dict(verdict=found["verdict"], cause=found["cause"], direction=found["direction"])
    want = dict(verdict=truth.verdict, cause=truth.cause, direction=truth.direction)
    if got != want:
        yield f"expected {want} at line {truth.line} ({truth.step.name}), got {got}: {found['explanation']}"
        return
    rule = found["rule"] if truth.verdict != "pass" else found["legs"][0].get("rule")
    line = rule["line"] or None if rule else None
    block = ruleset.rules[truth.line][0].block if truth.line in ruleset.rules else 0  # nft tells nothing of the rules of a chain without a name
    if line != truth.line and not (line and line == truth.also) and not (block and line == block):
        yield f"expected line {truth.line} for {want} ({truth.step.name}), got {rule}"
    if truth.code is not None and (found.get("icmp") or {}).get("code") != truth.code:
        yield f"expected ICMP code {truth.code}, got {found.get('icmp')}"
    if truth.verdict == "pass":
        return
    if found["near_miss"]:
        wrong = near_miss_wrong(found["near_miss"], truth, ruleset)
        if wrong:
            yield f"{wrong}: {found['near_miss']}"
    suggestion = found["suggestion"] or {}
    if truth.cause == "translated":
        if not suggestion.get("change"):
            yield f"nothing is said of what must change: {suggestion}"
    elif truth.line is not None and not any(key in suggestion for key in ("nft", "iptables")):
        yield f"nothing is suggested: {suggestion}"
    elif truth.line is not None and suggested and truth.mendable and suggestion.get("proven") is not True:
        yield f"the suggestion does not mend it: {suggestion}"


def generate(dialect, seed):
    rng = random.Random(f"{dialect} {seed}")
    flows = lab_site.probes(rng)
    return flows, {"nft": nft, "iptables": iptables}[dialect].Generator(rng, flows).generate()


def compare(wmlab, firewall, dialect, seed, suggested, directory):
    """Returns (flows compared, passing, disagreements)."""
    flows, ruleset = generate(dialect, seed)
    (directory / f"rules.{dialect}").write_text(ruleset.text)
    (directory / f"counted.{dialect}").write_text(ruleset.counted)
    (directory / "scenario.yaml").write_text(lab_site.scenario(flows))
    try:
        firewall.load(ruleset.counted, dialect == "iptables")
    except RuntimeError:  # two protocols in one rule, for instance
        return 0, 0, []
    prober = oracle.Prober(firewall)

    def probe_all():
        found = {}
        for flow in flows:
            zone, source = lab_site.HOSTS[flow.source]
            steps = prober.probe(flow.protocol, zone, source, (lab_site.HOSTS[flow.destination][1], flow.port))
            found[flow.id] = truth_of(flow, flows, steps, ruleset)
        return found
    truths = probe_all()
    if ruleset.translating and suggested:
        firewall.load(ruleset.translating, dialect == "iptables")
        for flow, open_ in probe_all().items():
            truths[flow].mendable = open_.verdict == "pass"
    command = [wmlab, "run", directory / "scenario.yaml", "--ruleset", directory / f"rules.{dialect}", "--report", "json:-", "--quiet"] + (["--apply-suggestions"] if suggested else [])
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        return 0, 0, [f"no report, exit {done.returncode}: {done.stderr.strip()[-500:]}"]
    (directory / "report.json").write_text(done.stdout)
    found = {flow["id"]: flow for flow in report["flows"]}
    wrong = [f"{flow.id} {flow.protocol} {flow.source}->{flow.destination}:{flow.port}: {why}" for flow in flows
             for why in problems(flow, found[flow.id], truths[flow.id], ruleset, suggested)]
    return len(flows), sum(truth.verdict == "pass" for truth in truths.values()), wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--dialect", choices=("nft", "iptables"))
    parser.add_argument("--no-suggestions", action="store_true")
    parser.add_argument("--suggestions", action="store_true", help="for every ruleset, not every third")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--map-root-user", "--net", sys.executable, *sys.argv])
    addresses = [address for _, address in lab_site.HOSTS.values()] + lab_site.NOWHERE
    firewall = oracle.Firewall(lab_site.ZONES, addresses)
    start, rulesets, refused, compared, passing, disagreements = time.monotonic(), 0, 0, 0, 0, 0
    for dialect in [arguments.dialect] if arguments.dialect else ["nft", "iptables"]:
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            with tempfile.TemporaryDirectory() as temporary:
                directory = pathlib.Path(arguments.keep) / f"{dialect}-{seed}" if arguments.keep else pathlib.Path(temporary)
                directory.mkdir(parents=True, exist_ok=True)
                suggested = (seed % 3 == 0 or arguments.suggestions) and not arguments.no_suggestions
                flows, passed, wrong = compare(arguments.wmlab, firewall, dialect, seed, suggested, directory)
            refused += flows == 0 and not wrong
            rulesets, compared, passing, disagreements = rulesets + 1, compared + flows, passing + passed, disagreements + len(wrong)
            for why in wrong:
                print(f"WRONG {dialect} {seed}: {why}", flush=True)
    print(f"{compared - disagreements} passed, {disagreements} failed: {rulesets - refused} rulesets ({refused} more are no valid ones), {compared} flows, of which {passing} pass, {time.monotonic() - start:.0f} s")
    return 1 if disagreements or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
