#!/usr/bin/env python3
"""Several firewalls: what `run` takes of them on the command line, and what each answer says.   several.py WMLAB"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

WMLAB = str(pathlib.Path(sys.argv[1]).resolve())
RIGHT = """table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip daddr 10.10.0.10 tcp dport 7007 accept
  }
}
"""
SCENARIO = """version: 1
zones:
  outside: { subnet: 10.20.0.0/24 }
  between: { subnet: 10.91.0.0/24 }
  inside:  { subnet: 10.10.0.0/24 }
hosts:
  player: { zone: outside, address: 10.20.0.10 }
  media:  { zone: inside,  address: 10.10.0.10 }
firewalls:
  - { name: edge, ruleset: edge.nft, zones: { outside: eth0, between: eth1 } }
  - { name: core, ruleset: core.nft, zones: [between, inside] }
flows:
  - { id: probe, type: probe, from: player, to: media, protocol: tcp, ports: 7007, deadline: 1s }
"""
failed = 0


def check(name, wanted, got):
    global failed
    if wanted == got:
        return
    failed = 1
    print(f"WRONG {name}\n  expected {wanted}\n  got      {got}")


def run(*arguments, command="run", scenario="scenario.yaml"):
    done = subprocess.run([WMLAB, command, scenario, *arguments], cwd=place, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def report(*arguments):
    (place / "report.json").unlink(missing_ok=True)
    code, _, words = run("--quiet", "--report", "json:report.json", *arguments)
    try:
        return code, json.loads((place / "report.json").read_text())
    except OSError:
        sys.exit(f"{arguments}: exit {code}: {words}")


with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    (place / "scenario.yaml").write_text(SCENARIO)
    for name in ("edge", "core"):
        (place / f"{name}.nft").write_text(RIGHT)
    (place / "shut.nft").write_text(RIGHT.replace("7007", "7008"))
    (place / "wide.nft").write_text(RIGHT.replace("7007", "7007-7009"))

    # Every rule of each firewall, and what it is for.
    code, told = report("--coverage")
    check("coverage: exit code", 0, code)
    check("coverage", [("edge", 4, "needed"), ("edge", 5, "needed"), ("core", 4, "needed"), ("core", 5, "needed")],
          [(use["box"], use["line"], use["use"]) for use in told["coverage"]])

    # Another ruleset for one of them; what a change of one or of both breaks and opens.
    code, told = report("--ruleset", "core=shut.nft")
    check("another ruleset", (1, "core", "shut.nft"), (code, told["flows"][0]["rule"]["box"], told["flows"][0]["rule"]["file"]))
    code, told = report("--ruleset", "core=shut.nft", "--baseline", "core=core.nft", "--bundle", "run.zip")
    change = told["baseline"]
    check("broken: exit code", 1, code)
    check("broken", (["probe"], "edge: edge.nft; core: core.nft"), (change["broken"], change["ruleset"]))
    check("what it opens and closes", ({("core", "outside", "inside", "7008")}, {("core", "outside", "inside", "7007")}),
          tuple({(row["box"], row["from_zone"], row["to_zone"], *row["ports"]) for row in change[which] if row["from_zone"] == "outside"} for which in ("opened", "closed")))
    run("--report", "json:again.json", command="replay", scenario="run.zip")
    check("the same from its bundle", told, json.loads((place / "again.json").read_text()))
    code, told = report("--ruleset", "edge=wide.nft", "--ruleset", "core=wide.nft", "--baseline", "edge=edge.nft", "--baseline", "core=core.nft", "--allow-open")
    check("both are wider, and may be", (0, {("edge", "--allow-open"), ("core", "--allow-open")}),
          (code, {(row["box"], row.get("accepted")) for row in told["baseline"]["opened"] if row["ports"] == ["7008-7009"]}))
    code, told = report("--baseline", "edge=core.nft")
    check("the same rules in another file change nothing", (0, [], []), (code, told["baseline"]["opened"], told["baseline"]["not_tried"]))

    # What is missing in both is one patch, proven, for the files of both.
    mended = place / "mended"
    mended.mkdir()
    for name in ("edge", "core"):
        (mended / f"{name}.nft").write_text((place / "shut.nft").read_text())
    (mended / "scenario.yaml").write_text(SCENARIO)
    place, before = mended, place
    code, told = report("--suggest", "fix.patch")
    check("suggested", (True, ["probe"], 2), (told["patch"]["proven"], told["patch"]["flows"], told["patch"]["rules"]))
    done = subprocess.run(["patch", "-s", "-p0", "-i", "fix.patch"], cwd=place, capture_output=True, text=True)
    check("applied", (0, ""), (done.returncode, done.stdout))
    check("the firewalls that it is for", True, all("7007" in (place / f"{name}.nft").read_text() for name in ("edge", "core")))
    check("mended", "pass", report()[1]["flows"][0]["verdict"])
    place = before

    # What cannot be meant.
    for arguments, words in (
        (["--ruleset", "core.nft"], r"several firewalls \(edge, core\): say whose rules core.nft is, --ruleset edge=core.nft"),
        (["--baseline", "core.nft"], r"say whose rules core.nft is, --baseline edge=core.nft"),
        (["--ruleset", "cor=core.nft"], r"no firewall `cor`; did you mean `core`\?"),
        (["--ruleset", "nobody=core.nft"], r"no firewall `nobody`; there are edge, core"),
        (["--ruleset", "core="], r"the file is missing"),
        (["--ruleset", "=core.nft"], r"no firewall ``"),
        (["--ruleset", "core=nowhere.nft"], r"nowhere.nft"),
        (["--ruleset", "core=core.nft", "--ruleset", "core=shut.nft"], r"gives firewall core two rulesets"),
        (["--baseline", "edge=edge.nft", "--live"], r"--live is about one firewall"),
        (["--firewall", "ssh root@gateway", "--launch", "player=sh", "--launch", "media=sh"], r"--firewall PREFIX .* is about one firewall"),
    ):
        code, _, said = run(*arguments)
        check(f"refused: {' '.join(arguments)}", (2, True), (code, re.search(words, said) is not None) if re.search(words, said) else (code, said))
    (place / "single.yaml").write_text(re.sub(r"firewalls:\n.*\n.*\n", "firewall: { ruleset: edge.nft }\n", SCENARIO))
    code, _, said = run("--ruleset", "edge.nft", "--ruleset", "core.nft", scenario="single.yaml")
    check("a single firewall has one ruleset", (2, True), (code, "--ruleset is given 2 times" in said))
    for command in ("audit", "rules"):
        code, _, said = run(command=command)
        check(f"{command} asks which", (2, True), (code, "say which one: --box edge or --box core" in said))
sys.exit(failed)
