#!/usr/bin/env python3
"""one_door.py WMLAB: every command that takes a ruleset, given what cannot be one, refuses it in the same words with exit 2; given a pipe
it does what it does with the file."""
import json, os, pathlib, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import two_zones

WMLAB = os.path.abspath(sys.argv[1])
RULES = """table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip daddr 10.10.0.10 tcp dport { 1755, 8080 } accept
  }
}
"""
SCENARIO = two_zones.scenario("one door", """  - { id: tcp, type: mms-tcp, from: player, to: media }
  - { id: telnet, type: probe, from: player, to: media, protocol: tcp, ports: 23, expect: blocked }
""", """content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 200ms, content: lecture }
""", two_zones.INTERFACES)
wrong = 0


def check(what, holds, got=""):
    global wrong
    if not holds:
        wrong += 1
        print(f"WRONG {what}: {got}")


def call(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, **more)
    return done.returncode, done.stdout, done.stderr


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    scenario = folder / "s.yaml"
    scenario.write_text(SCENARIO)
    good = folder / "good.nft"
    good.write_text(RULES)
    unshared = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    commands = {
        "run": lambda file: [WMLAB, "run", scenario, "--ruleset", file, "--no-color", "--quiet", "--report", "json"],
        "baseline": lambda file: [WMLAB, "run", scenario, "--ruleset", good, "--baseline", file, "--no-color", "--quiet"],
        "exec": lambda file: [WMLAB, "exec", scenario, "--ruleset", file, "player", "--", "true"],
        "audit": lambda file: [WMLAB, "audit", scenario, "--ruleset", file, "--quiet", "--report", "json"],
        "firewall": lambda file: [*unshared, WMLAB, "firewall", file, "--journal", folder / "journal"],
    }
    bad = {
        "missing": (folder / "none.nft", "cannot be read: No such file or directory"),
        "a directory": (folder, "is a directory"),
        "empty": (folder / "empty.nft", "is empty"),
        "blank": (folder / "blank.nft", "is empty"),
        "a named pipe": (folder / "fifo", "is a named pipe"),
        "a device": (pathlib.Path("/dev/zero"), "is a device"),
        "UTF-16": (folder / "utf16.nft", "is UTF-16 text"),
        "a byte order mark": (folder / "bom.nft", "begins with a byte order mark"),
    }
    (folder / "empty.nft").write_text("")
    (folder / "blank.nft").write_text("\n \t\n")
    os.mkfifo(folder / "fifo")
    (folder / "utf16.nft").write_bytes(RULES.encode("utf-16"))
    (folder / "bom.nft").write_bytes(b"\xef\xbb\xbf" + RULES.encode())
    if os.geteuid() != 0:
        (folder / "closed.nft").write_text(RULES)
        (folder / "closed.nft").chmod(0)
        bad["unreadable"] = (folder / "closed.nft", "cannot be read: Permission denied")

    for kind, (file, words) in bad.items():
        said = {}
        for name, command in commands.items():
            if (name, kind) == ("firewall", "unreadable"):
                continue  # as an ordinary user it runs in a namespace where it is root, who may read anything of that user
            code, _, err = call(command(file), stdin=subprocess.DEVNULL)
            check(f"{name}, {kind}: exit code", code == 2, f"{code}: {err}")
            lines = [line for line in err.splitlines() if words in line]
            check(f"{name}, {kind}: the words", len(lines) == 1, err)
            said[name] = lines[0] if lines else None
        check(f"{kind}: the same words everywhere", len(set(said.values())) == 1, said)
        if words not in ("is a directory", "cannot be read: No such file or directory"):  # these the scenario's reader has a place for
            named = folder / "named.yaml"
            named.write_text(SCENARIO.replace("content:", f"firewall: {{ ruleset: {json.dumps(str(file))} }}\ncontent:", 1))
            code, _, err = call([WMLAB, "check", named])
            check(f"check, {kind}: exit code", code == 2, f"{code}: {err}")
            check(f"check, {kind}: the words", words in err, err)

    # Another ruleset in the place of the scenario's own, which is not there.
    absent = folder / "absent.yaml"
    absent.write_text(SCENARIO.replace("content:", "firewall: { ruleset: gone.nft }\ncontent:", 1))
    for name in ("run", "exec", "audit"):
        words = [absent if word == scenario else word for word in commands[name](good)]
        code, _, err = call(words)
        check(f"{name}: --ruleset in place of one that is gone", code in (0, 1) and "gone.nft" not in err, f"{code}: {err}")
        at = words.index("--ruleset")
        code, _, err = call(words[:at] + words[at + 2:])
        check(f"{name}: the scenario's ruleset is gone", code == 2 and "ruleset not found: `gone.nft`" in err, f"{code}: {err}")

    # What a ruleset brings with it: nft itself would wait for a pipe for ever.
    brought = {
        "an include of a named pipe": ("pipe.nft", f'include "{folder}/fifo"\n' + RULES, "fifo is not a file"),
        "an include of a device": ("device.nft", 'include "/dev/zero"\n' + RULES, "/dev/zero is not a file"),
        "an include within a chain": ("inner.nft", RULES.replace("    ct state", '    include "fifo"\n    ct state'), "fifo is not a file"),
    }
    for kind, (name, text, words) in brought.items():
        (folder / name).write_text(text)
        for command in ("run", "baseline", "exec", "audit", "firewall"):
            code, _, err = call(commands[command](folder / name), stdin=subprocess.DEVNULL)
            check(f"{command}, {kind}: exit code", code == 2, f"{code}: {err}")
            check(f"{command}, {kind}: the words", words in err, err)
    (folder / "sets.rules").write_text("*filter\n-A FORWARD -m set --match-set x src -j ACCEPT\nCOMMIT\n")
    os.mkfifo(folder / "sets.ipset")
    code, _, err = call(commands["run"](folder / "sets.rules"), stdin=subprocess.DEVNULL)
    check("ipsets in a named pipe", code in (2, 3) and ("is not a file" in err or "ipset is not installed" in err), f"{code}: {err}")

    refused = folder / "refused.yaml"
    (folder / "refused.nft").write_text(RULES.replace("policy drop", "policy dorp"))
    refused.write_text(SCENARIO.replace("content:", "firewall: { ruleset: refused.nft }\ncontent:", 1))
    code, _, err = call([WMLAB, "check", refused])
    check("check says what nft says: exit code", code == 2, code)
    check("check says what nft says", "refused.nft:3:" in err, err)

    def by_pipe(command):
        file = "/dev/fd/77"
        reading, writing = os.pipe()
        os.write(writing, RULES.encode())
        os.close(writing)
        os.dup2(reading, 77)
        os.close(reading)
        try:
            return call(command(file), input="", pass_fds=[77])
        finally:
            os.close(77)

    for name in ("run", "baseline", "exec", "audit"):
        by_file, piped = call(commands[name](good), stdin=subprocess.DEVNULL), by_pipe(commands[name])
        check(f"{name} by a pipe: exit code", by_file[0] == piped[0], (by_file[0], *piped))
        if name == "run":
            flows = [[(f["id"], f["verdict"], (f.get("rule") or {}).get("line")) for f in json.loads(out[1])["flows"]] for out in (by_file, piped)]
            check("run by a pipe: the verdicts and lines", flows[0] == flows[1], flows)
        if name == "audit":
            opened = [[(pair["protocol"], row["ports"], (row.get("rule") or {}).get("line")) for pair in json.loads(out[1])["pairs"] for row in pair["open"]]
                      for out in (by_file, piped)]
            check("audit by a pipe: the openings", opened[0] == opened[1] and opened[0], opened if opened[0] else by_file[1][:1500])
    code, out, err = by_pipe(commands["firewall"])
    check("firewall by a pipe", code == 0 and "ready" in out, (code, out, err))
    journal = folder / "journal" / "wmlab.jsonl"
    check("firewall by a pipe: loaded", '"file":"/dev/fd/77"' in journal.read_text().replace(" ", ""), journal.read_text())

print("one door:", "all right" if wrong == 0 else f"{wrong} wrong")
sys.exit(1 if wrong else 0)
