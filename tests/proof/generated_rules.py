#!/usr/bin/env python3
"""`wmlab rules` proven in the lab, for nft and iptables: with the generated rules all flows are as expected, without any one of them at
least one is not, and the audit finds nothing open that no flow needs. The iptables rules are the same
ones, so they are not left out one by one.

    generated_rules.py WMLAB SCENARIO
"""
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile


def wmlab(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300)


def is_rule(line):
    return line.strip().endswith("accept") or line.startswith("-A ")


def main():
    program, scenario = sys.argv[1:3]
    passed, failed = 0, 0
    jobs = []
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for dialect in ("nft", "iptables"):
            lines = wmlab(program, "rules", scenario, "--dialect", dialect).stdout.splitlines()
            rules = [number for number, line in enumerate(lines) if is_rule(line)]
            for left_out in [None] + (rules if dialect == "nft" else []):
                file = pathlib.Path(temporary) / f"{dialect}-{left_out}"
                file.write_text("\n".join(line for number, line in enumerate(lines) if number != left_out) + "\n")
                what = f"{dialect} without {lines[left_out].strip()}" if left_out else f"{dialect} whole"
                jobs.append((what, 1 if left_out else 0, pool.submit(wmlab, program, "run", scenario, "--ruleset", file, "--quiet", "--no-trace")))
            jobs.append((f"{dialect} audited", 0, pool.submit(wmlab, program, "audit", scenario, "--ruleset",
                                                             pathlib.Path(temporary) / f"{dialect}-None", "--quiet")))
        for what, expected, job in jobs:
            done = job.result()
            if done.returncode == expected:
                passed += 1
                continue
            failed += 1
            print(f"WRONG {what}: exit {done.returncode}, expected {expected}\n{done.stdout[-2500:]}{done.stderr[-500:]}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
