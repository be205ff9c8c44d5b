#!/usr/bin/env python3
"""wmlab alg on an inspector that is right and on the same one with a planted fault each: every fault is found and by which announcement,
and nothing is said of the right one. Usage: faults.py WMLAB [FAULT...]; without one: the right inspector and those named in QUICK; `all`: every one."""
import json, pathlib, subprocess, sys, tempfile

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parents[1]))
import two_zones

WMLAB = str(pathlib.Path(sys.argv[1]).resolve())
RULES = """flush ruleset
table inet filter {
    set mms { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    set mapper { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    set mapper_udp { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    chain forward { type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "fw-out" oifname "fw-in" tcp dport { 80, 135, 1755, 7007 } accept
        iifname "fw-out" oifname "fw-in" udp dport 135 accept
        ip saddr . ip daddr . udp dport @mms accept
        ip saddr . ip daddr . tcp dport @mapper accept
        ip saddr . ip daddr . udp dport @mapper_udp accept
    }
}
"""
TOO_MUCH, NO_HELP = "opens too much", "does not help"
# The fault: what is to be said, and of which announcements at least.
FOUND = {
    "any-source": (TOO_MUCH, ["correct"]), "any-player": (TOO_MUCH, ["correct"]), "next-port-too": (TOO_MUCH, ["correct"]), "whole-range": (TOO_MUCH, ["correct"]),
    "believes-address": (TOO_MUCH, ["another-player"]), "any-port": (TOO_MUCH, ["below-1024", "above-5000"]), "below-1024": (TOO_MUCH, ["below-1024"]),
    "never-closes": (TOO_MUCH, ["after-close"]), "any-connection": (TOO_MUCH, ["elsewhere"]), "searches": (TOO_MUCH, ["inside"]),
    "ignores-length": (TOO_MUCH, ["wrong-length"]), "either-direction": (TOO_MUCH, ["by-server"]), "no-reassembly": (NO_HELP, ["split-2", "split-3"]),
    "first-message-only": (NO_HELP, ["joined"]), "case": (NO_HELP, ["lower-case"]), "both-ways": (TOO_MUCH, ["correct"]), "short-lived": (NO_HELP, ["idle"]),
    "mapper-any-client": (TOO_MUCH, ["mapper-correct"]), "mapper-next-port": (TOO_MUCH, ["mapper-correct"]), "mapper-believes-address": (TOO_MUCH, ["mapper-foreign"]),
    "mapper-unasked": (TOO_MUCH, ["mapper-unasked"]), "mapper-no-status": (TOO_MUCH, ["mapper-not-found"]), "mapper-by-client": (TOO_MUCH, ["mapper-by-client"]),
    "mapper-any-connection": (TOO_MUCH, ["mapper-elsewhere"]), "mapper-no-reassembly": (NO_HELP, ["mapper-split-2"]), "helps-nobody": (NO_HELP, ["correct"]),
    "fixed-life": (NO_HELP, ["kept"]), "msbd-range": (TOO_MUCH, ["msbd-connected"]), "msbd-refused-range": (TOO_MUCH, ["msbd-refused"]),
    "mapper-udp-any-client": (TOO_MUCH, ["mapper-udp-correct"]), "mapper-udp-next-port": (TOO_MUCH, ["mapper-udp-correct"]), "mapper-udp-believes-address": (TOO_MUCH, ["mapper-udp-foreign"]),
    "mapper-udp-unasked": (TOO_MUCH, ["mapper-udp-unasked"]), "mapper-udp-no-status": (TOO_MUCH, ["mapper-udp-not-found"]), "mapper-udp-by-client": (TOO_MUCH, ["mapper-udp-by-client"]),
    "mapper-udp-first-fragment": (NO_HELP, ["mapper-udp-fragments"]),
}
QUICK = ["no-reassembly", "mapper-unasked", "mapper-udp-first-fragment"]
wrong, found = [], 0


def run(*faults, arguments=()):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "s.yaml").write_text(two_zones.scenario("inspected", "  - { id: one, type: mms-udp, from: player, to: media, content: one }\n", "content: { one: { synthetic: audio } }\n"))
        (folder / "rules.nft").write_text(RULES)
        inspector = " ".join([sys.executable, str(here / "inspector.py"), "fw-out", "fw-in", *faults])
        done = subprocess.run([WMLAB, "alg", "s.yaml", "--ruleset", "rules.nft", "--inspector", inspector, "--report", "json", *arguments],
                              cwd=folder, capture_output=True, text=True, timeout=300)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            return {"announcements": [], "verdict": f"exit {done.returncode}: {done.stderr.strip()}", "notes": []}
        if any("ended meanwhile" in note for note in report["notes"]):
            wrong.append(f"{faults}: {report['notes']}")
        return report


chosen = sys.argv[2:] or QUICK
# Every format is well-formed; what cannot be is refused in words.
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / "s.yaml").write_text(two_zones.scenario("inspected", two_zones.PROBE_80))
    (folder / "rules.nft").write_text(RULES)
    reports = [word for format in ("text", "json", "junit", "html", "markdown") for word in ("--report", f"{format}:{format}")]
    done = subprocess.run([WMLAB, "alg", "s.yaml", "--ruleset", "rules.nft", "--only", "correct", "--only", "mapper-correct", "--pcap", "wires", *reports], cwd=folder,
                          capture_output=True, text=True, timeout=100)
    if done.returncode != 1 or json.loads((folder / "json").read_text())["verdict"] != "does not help" or not (folder / "wires/player.pcapng").exists():
        wrong.append(f"without an inspector: exit {done.returncode}: {done.stderr}")
    checked = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", str(here.parent / "report/junit.xsd"), "junit"], cwd=folder, capture_output=True, text=True)
    if checked.returncode:
        wrong.append(f"junit: {checked.stderr}")
    for format in ("text", "html", "markdown", "junit"):
        if "stays shut" not in (folder / format).read_text():
            wrong.append(f"{format} does not say that the port stays shut")
    for arguments, code, says in ((["--protocol", "ftp"], 2, "mapper-udp or msbd, not `ftp`"), (["--lifetime", "0"], 2, "from 0.1 to 3600"), (["--report", "sarif"], 2, "not `sarif`"), (["--inspector", "false"], 3, "exit status 1"),
                                  (["--inspector", ""], 2, "names no program"), (["--ruleset", "none.nft"], 2, "none.nft")):
        done = subprocess.run([WMLAB, "alg", "s.yaml", *(arguments if "--ruleset" in arguments else ["--ruleset", "rules.nft", *arguments])], cwd=folder, capture_output=True, text=True, timeout=100)
        if done.returncode != code or says not in done.stderr:
            wrong.append(f"{arguments}: exit {done.returncode}, expected {code}: {done.stderr}")
if chosen == ["all"]:
    chosen = list(FOUND)
report = run(arguments=[word for kind in ("mms", "mapper", "mapper-udp", "msbd") for word in ("--protocol", kind)])
print(f"the right one: {report['verdict']}: " + ", ".join(f"{one['id']} {one['verdict']}" for one in report["announcements"] if one["verdict"] != "conforming"), flush=True)
if report["verdict"] != "conforming":
    wrong.append(f"the right inspector: {report['verdict']}: " + "; ".join(f"{one['id']}: {one['verdict']} {one['through']} {one.get('why', '')}" for one in report["announcements"] if one["verdict"] != "conforming"))
for fault in chosen:
    verdict, ids = FOUND[fault]
    report = run(fault, arguments=("--protocol", next((kind for kind in ("mapper-udp", "mapper", "msbd") if fault.startswith(kind)), "mms")))
    said = {one["id"]: one["verdict"] for one in report["announcements"]}
    right = report["verdict"] == verdict and all(said.get(id) == verdict for id in ids)
    found += right
    print(f"{fault}: {report['verdict']}: " + ", ".join(f"{id} {word}" for id, word in said.items() if word != "conforming"), flush=True)
    if not right:
        wrong.append(f"{fault}: {report['verdict']}, expected {verdict} of {ids}: {said}")
print(f"{found} of {len(chosen)} planted faults found, {sum('right inspector' in line for line in wrong)} on the right inspector")
for line in wrong:
    print("WRONG", line)
sys.exit(bool(wrong))
