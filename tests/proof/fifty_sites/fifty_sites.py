#!/usr/bin/env python3
"""KB189416 at fifty sites, out of a template of at most 60 lines and a table, in one run: every stream of every site passes; with the studios of some sites left out
of the rules, just their streams are stopped, and the table of sites and streams says so.

    fifty_sites.py WMLAB [--sites N]

Prints a line for what is wrong, how long each run took, then `N passed, M failed`.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
OF_STUDIO = {"encoder", "configured", "webencoder", "admin"}
failed = passed = 0


def check(name, wanted, got):
    global failed, passed
    if wanted == got:
        passed += 1
    else:
        failed += 1
        print(f"WRONG {name}: {got!r}, not {wanted!r}")


def rules(sites, without):
    text = (HERE.parents[2] / "scenarios/rules/kb189416.nft").read_text()
    for name, number in (("studio", 11), ("edge", 12)):
        hosts = ", ".join(f"10.20.{site}.{number}" for site in range(1, sites + 1) if name == "edge" or site not in without)
        text = text.replace(f"define {name} = 10.20.0.{number} ", f"define {name} = {{ {hosts} }} ").replace(f"define {name}   = 10.20.0.{number} ", f"define {name} = {{ {hosts} }} ")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wmlab")
    parser.add_argument("--sites", type=int, default=50)
    options = parser.parse_args()
    wmlab = pathlib.Path(options.wmlab).resolve()
    template = (HERE / "kb189416.yaml").read_text()
    check("lines of the template, at most 60", True, len(template.splitlines()) <= 60)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "kb189416.yaml").write_text(template)
        sites = range(1, options.sites + 1)
        (place / "sites.csv").write_text("name,player,studio,edge\n" + "".join(f"s{n:02},10.20.{n}.10,10.20.{n}.11,10.20.{n}.12\n" for n in sites))
        for without in ((), (options.sites // 3, options.sites)):
            (place / "rules.nft").write_text(rules(options.sites, without))
            began = time.monotonic()
            done = subprocess.run([wmlab, "run", "kb189416.yaml", "--no-color", "--quiet", "--report", "json:report.json", "--report", "text"], cwd=place, capture_output=True, text=True)
            took = time.monotonic() - began
            what = "without " + ", ".join(f"s{n:02}" for n in without) if without else "all"
            check(f"{what}: exit code", 1 if without else 0, done.returncode)
            if done.returncode not in (0, 1):
                print(done.stderr[-2000:])
            if not (place / "report.json").exists():
                continue
            report = json.loads((place / "report.json").read_text())
            print(f"{what}: {len(report['flows'])} flows of {options.sites} sites in {took:.0f} s")
            for flow in report["flows"]:
                stream, _, site = flow["id"].rpartition("-")
                stopped = stream == "telnet" or (int(site[1:]) in without and stream in OF_STUDIO)
                check(f"{what}: {flow['id']}", "blocked" if stopped else "pass", flow["verdict"])
            table = [line.split() for line in done.stdout.splitlines()]
            check(f"{what}: a line for each site", options.sites, sum(1 for words in table if words and words[0] in {f"s{n:02}" for n in sites}))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
