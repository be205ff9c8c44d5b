#!/usr/bin/env python3
"""Plays scenarios/broadcast-day.yaml in the lab and proves from the journals that what every player and every server of the chain got is what the
encoder sent.

    chain.py WMLAB SCENARIO [--play 10m] [--keep DIR]

Each packet's checksum must be one of the encoder's, the header the encoder's, and nothing lost, damaged or late. Exit 0 when all of it holds.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LISTED_MAX = 4096  # of checksums in one media-ended line
GAP_MAX = 2000     # ms between two packets; a loaded machine is not a broken chain


def events(directory, pattern):
    for path in sorted(pathlib.Path(directory).glob(pattern)):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def checks(directory):
    """(problems, receivers, packets of all of them)"""
    sent, headers, problems = set(), set(), []
    for event in events(directory, "*.encoder_sim.jsonl"):
        if event["event"] == "media-ended":
            sent.update(crc for _, crc in event["digests"])
            headers.add(event["header_digest"])
    if not sent:
        return ["the encoder left no account of what it sent"], 0, 0
    receivers = packets = 0
    for pattern in ("*.client_sim.jsonl", "*.server_sim.jsonl"):
        for event in events(directory, pattern):
            if event["event"] in ("malformed", "media-silent", "retry", "media-resumed", "connect-failed"):
                problems.append(f"{event['host']}: {event.get('flow', '')}: {event['event']}: {event.get('reason', '')}")
            if event["event"] != "media-ended" or "lost" not in event:
                continue
            receivers += 1
            packets += event["packets"]
            who = f"{event['host']}: {event['flow']}"
            if event["header_digest"] not in headers:
                problems.append(f"{who}: the header is not the encoder's")
            strange = [number for number, crc in event["digests"] if crc not in sent]
            # Of a long broadcast both ends list the first packets only; a player who came later lists some that the encoder no longer does.
            known = len(event["digests"]) - len(strange)
            if strange and (event["packets"] < LISTED_MAX or known < LISTED_MAX * 3 // 4):
                problems.append(f"{who}: packets that the encoder did not send: {strange[:10]}")
            for field in ("lost", "damaged"):
                if event[field]:
                    problems.append(f"{who}: {field}: {event[field]}")
            if event["longest_gap"] > GAP_MAX:
                problems.append(f"{who}: a gap of {event['longest_gap']} ms")
    return problems, receivers, packets


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("scenario", type=pathlib.Path)
    parser.add_argument("--play")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    text = arguments.scenario.read_text()
    if arguments.play:
        text = re.sub(r"play: \w+", f"play: {arguments.play}", text)
    rules = arguments.scenario.resolve().parent / "rules"
    text = text.replace("ruleset: rules/", f"ruleset: {rules}/")
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(arguments.keep or temporary)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "chain.yaml").write_text(text)
        run = subprocess.run([arguments.wmlab, "run", directory / "chain.yaml", "--journal", directory / "journals"],
                             stdout=subprocess.PIPE, text=True)
        problems, receivers, packets = checks(directory / "journals")
        print(run.stdout)
    if run.returncode != 0:
        problems.append(f"wmlab run: exit {run.returncode}")
    for problem in problems:
        print(problem)
    print(f"{receivers} receivers, {packets} packets, " + ("every one as the encoder sent it" if not problems else f"{len(problems)} problems"))
    return 1 if problems or receivers == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
