#!/usr/bin/python3
"""The files for CI systems: each step of action.yml, of templates/wmlab.yml and of .pre-commit-hooks.yaml is run, as its system runs it.   ci_files.py BIN SOURCE

sudo and apt-get are stand-ins (tests/package/deb.sh installs the package); wmlab and git are the real ones."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

import yaml

BIN, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
RULES = (SOURCE / "scenarios/rules/kb189416.nft").read_text()
WITHOUT_MEDIA = "".join(line for line in RULES.splitlines(True) if "MMS over UDP: media" not in line)
SCENARIO = re.sub("ruleset:.*", "ruleset: rules.nft", (SOURCE / "tests/where/scenario.yaml").read_text())


def shell(command, directory, environment, arguments=("-e",)):
    return subprocess.run(["bash", "--noprofile", "--norc", *arguments, "-o", "pipefail", "-c", command], cwd=directory, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)


def world(directory):
    """A repository's base branch and a change of it, with stand-ins for what needs another machine."""
    directory.mkdir()
    os.chmod(directory, 0o755)
    (directory / "bin").mkdir()
    for name, text in (("sudo", 'exec "$@"'), ("apt-get", f'printf "%s\\n" "apt-get $*" >> "{directory}/apt"')):
        (directory / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / "bin" / name).chmod(0o755)
    return {"PATH": f"{directory}/bin:{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory), "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
            **{f"GIT_{who}_{what}": "x@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}}


def action(directory, inputs):
    """The composite action with these inputs: GitHub's rules for `if`, `env` and ${{ }}; (exit code, output, words of the steps that are another's action)."""
    description = yaml.safe_load((SOURCE / "action.yml").read_text())
    assert description["runs"]["using"] == "composite" and set(inputs) <= set(description["inputs"]), inputs
    for name, of in description["inputs"].items():
        assert of["description"] and (name in inputs or not of["required"]), name
    values = {name: str(of.get("default", "")) for name, of in description["inputs"].items()} | inputs

    def filled(text):
        left = re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: values[found.group(1)], str(text))
        assert "${{" not in left, text
        return left

    def wanted(step, failed):
        condition = str(step.get("if", "success()"))
        always = condition.startswith("always()")
        words = re.sub(r"^always\(\)( && )?|^success\(\)$", "", condition)
        known = re.fullmatch(r"inputs\.([a-z-]+) (==|!=) '([^']*)'", words) if words else None
        assert known or not words, condition
        holds = not known or (values[known[1]] == known[3]) == (known[2] == "==")
        return holds and (always or not failed)

    environment = world(directory / "runner") | {"GITHUB_STEP_SUMMARY": str(directory / "summary.md"), "GITHUB_ACTIONS": "true"}
    code, output, uses = 0, "", []
    for step in description["runs"]["steps"]:
        if not wanted(step, code != 0):
            continue
        if "uses" in step:
            assert re.fullmatch(r"[a-z-]+/[a-z/-]+@v\d+", step["uses"]), step
            uses.append((step["uses"].split("@")[0], {name: filled(value) for name, value in step["with"].items()}))
            continue
        assert step["shell"] == "bash" and "${{" not in step["run"], "what is put into a script's text is run"
        ran = shell(step["run"], directory, environment | {name: filled(value) for name, value in step.get("env", {}).items()})
        output += ran.stdout + ran.stderr
        code = code or ran.returncode
    return code, output, uses


def repository(directory, ruleset):
    for name, rules in (("base", RULES), ("change", ruleset)):
        (directory / name / "firewall").mkdir(parents=True)
        (directory / name / "firewall/rules.nft").write_text(rules)
        (directory / name / "firewall/scenario.yaml").write_text(SCENARIO)
    os.chmod(directory, 0o755)


def check_action(directory):
    inputs = {"scenario": "base/firewall/scenario.yaml", "ruleset": "change/firewall/rules.nft", "baseline": "base/firewall/rules.nft",
              "package": "./base/ci/wmlab_*_amd64.deb", "code-scanning": "true"}
    for name, ruleset, want in (("breaks", WITHOUT_MEDIA, 1), ("remark", RULES + "# a remark\n", 0)):
        place = directory / name
        place.mkdir()
        repository(place, ruleset)
        code, output, uses = action(place, inputs)
        assert code == want, (code, output)
        reports = place / "wmlab-reports"
        assert ("::error" in output) == (want == 1), output
        assert xml.parse(reports / "junit.xml").getroot().tag == "testsuites"
        assert json.loads((reports / "wmlab.sarif").read_text())["version"] == "2.1.0"
        assert (place / "summary.md").read_text() == (reports / "report.md").read_text() and "unicast-udp" in (place / "summary.md").read_text()
        assert {one for one, _ in uses} == {"github/codeql-action/upload-sarif", "actions/upload-artifact"} and uses[0][1]["sarif_file"] == "wmlab-reports/wmlab.sarif"
        assert (place / "runner/apt").read_text().splitlines() == ["apt-get update", "apt-get install -y --no-install-recommends -- ./base/ci/wmlab_*_amd64.deb"]
        replayed = subprocess.run([BIN / "wmlab", "replay", reports / "evidence.zip"], capture_output=True, text=True)
        assert replayed.returncode == want, replayed
    # What a name may do to a script: nothing. And programs of a scenario are not started unless that is asked for.
    place = directory / "hostile"
    place.mkdir()
    repository(place, RULES)
    for name in ("$(touch pwned).nft", "`touch pwned`", "; touch pwned", '"; touch pwned; "', "-h"):
        shutil.rmtree(place / "runner", ignore_errors=True)
        code, output, _ = action(place, {"scenario": "base/firewall/scenario.yaml", "ruleset": name})
        assert code == 2 and not (place / "pwned").exists(), (name, code, output)
    (place / "base/firewall/scenario.yaml").write_text(SCENARIO + "  - { id: own, type: command, from: player, to: media, ports: 80, protocol: tcp, run: [touch, pwned] }\n")
    shutil.rmtree(place / "runner")
    code, output, uses = action(place, {"scenario": "base/firewall/scenario.yaml"})
    assert code == 2 and not (place / "pwned").exists() and [one for one, _ in uses] == ["actions/upload-artifact"], (code, output, uses)


def component(directory, inputs, environment):
    description, jobs = yaml.safe_load_all((SOURCE / "templates/wmlab.yml").read_text())
    values = {name: of["default"] for name, of in description["spec"]["inputs"].items()} | inputs
    assert set(inputs) <= set(description["spec"]["inputs"])

    def filled(node):
        if isinstance(node, dict):
            return {filled(name): filled(value) for name, value in node.items()}
        if isinstance(node, list):
            return [filled(one) for one in node]
        return re.sub(r"\$\[\[ inputs\.([a-z-]+) \]\]", lambda found: values[found.group(1)], node) if isinstance(node, str) else node

    (name, job), = filled(jobs).items()
    environment = dict(environment)
    for variable, value in job["variables"].items():
        environment[variable] = value
    for line in job["before_script"] + job["script"]:
        assert "$[[" not in line, line
        ran = shell(line, directory, environment)
        if ran.returncode != 0:
            break
    return name, job, ran


def check_component(directory):
    for name, ruleset, want in (("breaks", WITHOUT_MEDIA, 1), ("remark", RULES + "# a remark\n", 0)):
        place = directory / name
        place.mkdir()
        environment = world(place / "runner")
        repository(place, ruleset)
        os.rename(place / "base", place / "origin")

        def git(where, *words):
            subprocess.run(["git", "-C", where, *words], env=environment, check=True, capture_output=True)

        git(place / "origin", "init", "-q", "-b", "main")
        git(place / "origin", "add", ".")
        git(place / "origin", "commit", "-qm", "rules")
        git(place, "clone", "-q", "origin", "clone")
        # The merge request also has a scenario that expects nothing: it is not the one that is run.
        for part in ("rules.nft", "scenario.yaml"):
            shutil.copy(place / "change/firewall" / part, place / "clone/firewall" / part)
        (place / "clone/firewall/scenario.yaml").write_text("version: 1\n")
        git(place / "clone", "commit", "-qam", "change")
        job_name, job, ran = component(place / "clone", {"job-name": "streams"}, environment | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"})
        assert job_name == "streams" and job["stage"] == "test" and ran.returncode == want, ran
        assert xml.parse(place / "clone" / job["artifacts"]["reports"]["junit"]).getroot().tag == "testsuites"
        for path in job["artifacts"]["paths"]:
            assert (place / "clone" / path).stat().st_size > 0
        assert "install -y --no-install-recommends -- ./.wmlab-base/ci/wmlab_*_amd64.deb" in (place / "runner/apt").read_text()


def check_hook(directory):
    hook, = yaml.safe_load((SOURCE / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "system" and hook["id"] == "wmlab-check"
    environment = world(directory / "runner")
    repository(directory, RULES)
    (directory / "bad.scenario.yaml").write_text(SCENARIO.replace("mms-udp", "mms-upd").replace("rules.nft", "base/firewall/rules.nft"))
    (directory / "compose.yaml").write_text("services: {}\n")
    found = [str(path.relative_to(directory)) for path in sorted(directory.rglob("*.yaml")) if re.search(hook["files"], str(path.relative_to(directory)))]
    assert found == ["bad.scenario.yaml", "base/firewall/scenario.yaml", "change/firewall/scenario.yaml"], found
    for files, want in ((found[1:], 0), (found, 2)):  # pre-commit gives the names of files behind the entry
        ran = subprocess.run([*hook["entry"].split(), *files], cwd=directory, env=environment, capture_output=True, text=True)
        assert ran.returncode == want and ("mms-upd" in ran.stderr) == (want != 0), ran


def main():
    for check in (check_action, check_component, check_hook):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            check(pathlib.Path(directory))
        print("ok   ", check.__name__.removeprefix("check_"))


main()
