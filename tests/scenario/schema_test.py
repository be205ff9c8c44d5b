#!/usr/bin/env python3
"""scenarios/schema.json: takes every scenario that the loader takes, refuses what a schema can see.

What only the loader can see (references between parts, files, sums) is listed here; a refused file that is in neither
group fails the test, so that loader and schema stay in step."""
import json
import pathlib
import sys

import jsonschema
import yaml

ROOT = pathlib.Path(sys.argv[1])

ONLY_THE_LOADER_SEES = {
    # names that are not there, or are there twice
    "duplicate-flow", "duplicate-host", "duplicate-key", "duplicate-option", "unknown-content", "content-of-a-flow", "unknown-host", "unknown-zone", "anyone-zone",
    # addresses in relation to each other
    "address-of-the-firewall", "address-of-the-gateway", "address-of-the-network", "address-outside-the-subnet", "address-twice", "address-auto-by-address",
    "gateway-outside",
    # the content a flow falls back to, sums, files on disk
    "content-missing", "content-ambiguous", "too-many", "ruleset-missing", "ruleset-a-directory", "registry",
    # how many players have ports, what has a rate of its own, what says the same twice
    "load-relations",
    # zones, addresses and folders of the gateway's surroundings
    "surroundings",
    # firewalls in relation to each other and to the zones, and what cannot be done to several
    "firewalls-not-joined", "firewalls-zone-alone", "firewalls-gateway", "firewalls-in-a-circle", "firewalls-and-events",
    # the notation of the file itself
    "two-documents", "yaml-alias", "yaml-quote", "yaml-syntax", "yaml-tag", "tabs",
}


def problems_of(validator, path):
    document = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    return [error.message for error in validator.iter_errors(document)]


def main():
    schema = json.loads((ROOT / "scenarios/schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = []
    good = sorted([*ROOT.glob("scenarios/*.yaml"), *ROOT.glob("tests/scenario/accepted/*.yaml")])
    for path in good:
        for problem in problems_of(validator, path):
            wrong.append(f"{path}: refused by the schema: {problem}")
    refused = sorted(ROOT.glob("tests/scenario/refused/*.yaml"))
    for path in refused:
        try:
            problems = problems_of(validator, path)
        except yaml.YAMLError as error:
            problems = [str(error)] if path.stem not in ONLY_THE_LOADER_SEES else []
        if path.stem in ONLY_THE_LOADER_SEES:
            if problems:
                wrong.append(f"{path}: listed as seen by the loader only, but: {problems[0]}")
        elif not problems:
            wrong.append(f"{path}: refused by the loader, accepted by the schema")
    missing = ONLY_THE_LOADER_SEES - {path.stem for path in refused}
    if missing:
        wrong.append(f"no such refused files: {sorted(missing)}")
    print("\n".join(wrong) or f"{len(good)} scenarios accepted, {len(refused)} looked at as refused")
    sys.exit(1 if wrong or not good or len(refused) < 70 else 0)


main()
