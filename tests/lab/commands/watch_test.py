#!/usr/bin/env python3
"""wmlab run --watch: what is saved is run again, first what the edit touches, then all.   watch_test.py WMLAB

Nothing here waits for a time: each step ends with a line that the watch says."""
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time

WMLAB = os.path.abspath(sys.argv[1])
LIMIT = 120  # seconds in which a line must come on a busy machine

SCENARIO = """version: 1
name: watched
include: hosts.yaml
firewall: { ruleset: rules.nft }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 300ms, content: lecture }
flows:
  - { id: tcp, type: mms-tcp, from: player, to: media }
  - { id: http, type: http, from: player, to: media }
  - { id: web, type: http, from: player, to: media, port: 8080 }
"""
HOSTS = """zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
"""
RULES = """flush ruleset
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        jump outside
    }
    chain outside {
        tcp dport 1755 accept
        tcp dport 80 accept
        tcp dport 8080 accept
    }
}
include "conf.d/*.nft"
"""


class Watch:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([WMLAB, "run", *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.ready = selectors.DefaultSelector()
        self.ready.register(self.process.stderr, selectors.EVENT_READ)
        self.text, self.lines = b"", []

    def line(self, limit=LIMIT):
        """The next line; none: nothing came."""
        while b"\n" not in self.text:
            if not self.ready.select(limit):
                return None
            more = os.read(self.process.stderr.fileno(), 65536)
            assert more, f"it ended with {self.process.wait()} after {self.lines}"
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        self.lines.append(line.decode())
        return self.lines[-1]

    def until(self, words):
        """The lines up to one with these words."""
        seen = []
        while True:
            line = self.line()
            assert line is not None, f"no `{words}` in {self.lines}"
            seen.append(line)
            if words in line:
                return seen

    def ticks(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12]), fields[0]


def save(file, text):  # as editors do: another file takes the name
    part = file.with_name("." + file.name + ".swp")
    part.write_text(text)
    os.replace(part, file)


def main():
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        os.chmod(directory, 0o755)
        os.chdir(directory)
        site, rules, hosts, report = (directory / name for name in ("site.yaml", "rules.nft", "hosts.yaml", "out.json"))
        site.write_text(SCENARIO), rules.write_text(RULES), hosts.write_text(HOSTS)
        (directory / "conf.d").mkdir()

        def verdicts():
            return {flow["id"]: flow["verdict"] for flow in json.loads(report.read_text())["flows"]}

        watch = Watch("site.yaml", "--watch", "--report", f"json:{report}")
        begun = watch.until("waiting for a change")
        assert "hosts.yaml" in begun[-1] and "rules.nft" in begun[-1] and "site.yaml" in begun[-1], begun
        assert set(verdicts().values()) == {"pass"}, verdicts()
        assert "coverage" not in json.loads(report.read_text()), "nobody asked for the coverage"

        # nothing to do: next to no processor time (one tick of the clock may fall on it), and it sleeps
        while watch.ticks()[1] != "S":  # it has said its line and is on its way to sleep
            assert watch.line(0.05) is None, watch.lines
        before = watch.ticks()[0]
        assert watch.line(1.5) is None, watch.lines
        assert watch.ticks()[0] - before <= 1 and watch.ticks()[1] == "S", (before, watch.ticks())

        # an edit: first what it touches, then all
        save(rules, RULES.replace("tcp dport 8080 accept", "tcp dport 8080 drop"))
        said = watch.until("waiting for a change")
        assert said[0] == "wmlab: changed: rules.nft:11", said
        assert said[1] == "wmlab: first what the edit touches or was not as expected: web" and "wmlab: and now all flows" in said, said
        assert verdicts() == {"tcp": "pass", "http": "pass", "web": "blocked"}, verdicts()

        # what is not as expected comes first too, wherever the edit is; it mends it here
        save(rules, RULES)
        said = watch.until("waiting for a change")
        assert "as expected: web" in said[1] and set(verdicts().values()) == {"pass"}, (said, verdicts())

        # saved again with the same text, and files that nobody asked for: nothing. A burst: one run, where this process is not
        # stopped in the middle of it for longer than the watch waits; then it sees the parts, and ends at the same.
        save(rules, RULES)
        (directory / "notes.txt").write_text("x")
        begun = time.monotonic()
        for part in range(20):
            site.write_text(SCENARIO[: part * 10])
        save(site, SCENARIO.replace("name: watched", "name: watched well"))
        save(hosts, HOSTS + "# a remark\n")
        in_one = time.monotonic() - begun < 0.1
        said = watch.until("waiting for a change")
        while not in_one and json.loads(report.read_text())["scenario"] != "watched well":
            said += watch.until("waiting for a change")
        assert not in_one or [line for line in said if "changed" in line] == ["wmlab: changed: hosts.yaml:7, site.yaml:2"], said
        assert json.loads(report.read_text())["scenario"] == "watched well"

        # one flow of the scenario is edited
        save(site, SCENARIO.replace("port: 8080", "port: 8081"))
        said = watch.until("waiting for a change")
        assert verdicts()["web"] == "blocked", verdicts()
        save(site, SCENARIO)
        said = watch.until("waiting for a change")
        assert "wmlab: first what the edit touches or was not as expected: web" in said, said

        # a file that an include's pattern brings is new; its rules are not known, so all flows are run at once
        (directory / "conf.d/new.nft").write_text("add rule inet filter outside tcp dport 9 accept\n")
        said = watch.until("waiting for a change")
        assert said[0].startswith("wmlab: changed: new.nft:1") and not any("first" in line for line in said), said
        (directory / "conf.d/new.nft").unlink()
        assert watch.until("waiting for a change")[0].startswith("wmlab: changed: new.nft:1")

        # what cannot be loaded is said, and it waits for better
        for file, good, bad in ((rules, RULES, RULES.replace("accept", "acept")), (site, SCENARIO, SCENARIO.replace("mms-tcp", "mms-tpc")),
                                (hosts, HOSTS, "zones: [")):
            save(file, bad)
            said = watch.until("waiting for a change")
            assert any(file.name + ":" in line and "changed" not in line for line in said), said
            save(file, good)
            said = watch.until("waiting for a change")
            assert set(verdicts().values()) == {"pass"}, (said, verdicts())

        # gone and back
        rules.unlink()
        watch.until("waiting for a change")
        rules.write_text(RULES)
        watch.until("waiting for a change")

        # an edit while it runs: that run is over
        save(site, SCENARIO.replace("play: 300ms", "play: 100s").replace("deadline: 1s", "deadline: 110s"))
        watch.until("changed: ")
        begun = time.monotonic()
        save(site, SCENARIO)
        watch.until("changed: ")
        watch.until("waiting for a change")
        assert time.monotonic() - begun < 90, "it waited for the end of the run"

        # Ctrl-C, while it waits and while it runs
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(LIMIT) == 130
        watch = Watch("site.yaml", "--watch", "--quiet")
        watch.until("waiting")
        save(site, SCENARIO.replace("play: 300ms", "play: 100s").replace("deadline: 1s", "deadline: 110s"))
        watch.until("changed: ")
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(LIMIT) == 130

        # what cannot be watched
        for arguments, words in ((["-"], "- is none"), (["site.yaml", "--keep"], "--keep")):
            ran = subprocess.run([WMLAB, "run", *arguments, "--watch"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
            assert ran.returncode == 2 and words in ran.stderr, ran
        print("ok")


main()
