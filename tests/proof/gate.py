#!/usr/bin/env python3
"""The gate, as CI uses it: two changes that must not go live end with exit code 1, and every format names the line; a dimension that is left
out is said and ends with 4; what is accepted does not count, what has expired does; a host that is published is never called shut.

    gate.py WMLAB"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("gate", "", """content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 300ms, content: lecture }
""", two_zones.INTERFACES)
AUTO = SCENARIO + "  - { id: auto, type: mms-auto, from: player, to: media }\n"
PROBE = SCENARIO + "  - { id: stream, type: probe, from: player, to: media, ports: 1755 }\n"
OPEN = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 80, 1755 } accept
    ip saddr 10.20.0.10 ip daddr 10.10.0.10 udp dport 1755 accept
    ip saddr 10.10.0.10 ip daddr 10.20.0.10 udp dport 1024-5000 accept
  }
}
"""
MORE = OPEN.replace("  }\n}", "    iifname outside tcp dport 1-65535 accept\n    meta nfproto ipv6 accept\n  }\n}")
SHUT = OPEN.replace("    ct state", "    udp dport 1024-5000 drop\n    tcp dport 1755 drop\n    ct state")
PUBLISHED = SCENARIO.replace("address: 10.10.0.10 }", "address: 10.10.0.10, published: 198.51.100.5 }") + """  - { id: stream, type: probe, from: player, to: media, ports: 1755 }
"""
FORWARDED = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ip saddr 10.20.0.10 ct status dnat accept
  }
}
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat;
    ip daddr 198.51.100.5 tcp dport 1755 dnat to 10.10.0.10
  }
}
"""


def main():
    wmlab = str(pathlib.Path(sys.argv[1]).resolve())
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "old.nft").write_text(OPEN)

        def run(scenario, ruleset, arguments):
            (folder / "scenario.yaml").write_text(scenario)
            (folder / "new.nft").write_text(ruleset)
            return subprocess.run([wmlab, arguments[0], "scenario.yaml", "--ruleset", "new.nft", *arguments[1:]], cwd=folder, capture_output=True,
                                  text=True, timeout=300)

        def judged(what, done, out, code, words, not_words=()):
            nonlocal wrong
            problems = [f"exit {done.returncode}, not {code}"] if done.returncode != code else []
            problems += [f"does not say {word!r}" for word in words if word not in out]
            problems += [f"says {word!r}" for word in not_words if word in out]
            if problems:
                wrong += 1
                print(f"WRONG {what}: {'; '.join(problems)}\n{out[:3000]}", flush=True)

        def case(what, scenario, ruleset, arguments, code, words, not_words=()):
            done = run(scenario, ruleset, arguments)
            judged(what, done, done.stdout + done.stderr, code, words, not_words)

        # One run, written in every format.
        def in_every_format(what, scenario, ruleset, arguments, code, words):
            done = run(scenario, ruleset, [*arguments, "--no-color", *(word for form in words for word in ("--report", f"{form}:out.{form}"))])
            for form, said in words.items():
                file = folder / f"out.{form}"
                judged(f"{what}, {form}", done, file.read_text() if file.exists() else done.stderr, code, said)
                file.unlink(missing_ok=True)

        in_every_format("opens much", PROBE, MORE, ["run", "--baseline", "old.nft"], 1,
                        {"text": ("new.nft:8", "new.nft:9"), "json": ('"line": 8', '"line": 9'), "junit": ("new.nft:8", "new.nft:9"),
                         "markdown": ("new.nft:8", "new.nft:9"), "sarif": ('"startLine":8', '"startLine":9'), "github": ("line=8", "line=9"),
                         "tap": ("new.nft:8", "new.nft:9"), "html": ("new.nft:8", "new.nft:9")})
        in_every_format("falls back to http", AUTO, SHUT, ["run", "--baseline", "old.nft"], 1,
                        {"text": ("transport udp -> http", "new.nft:5"), "json": ('"worse"', "transport udp -> http"),
                         "junit": ("transport udp -", "new.nft:5"), "markdown": ("**worse**", "new.nft:5"),
                         "sarif": ('"ruleId":"worse"', '"startLine":5')})
        case("nothing changes", PROBE, OPEN, ["run", "--baseline", "old.nft"], 0, ["opens nothing, closes nothing"])
        case("allowed by the option", PROBE, MORE, ["run", "--baseline", "old.nft", "--allow-open"], 0, ["new.nft:8"])
        allowed = PROBE + 'allow_open:\n  - { rule: "tcp dport 1-65535", reason: tests }\n  - { rule: "new.nft:9", reason: six }\n'
        case("allowed by the scenario", allowed, MORE, ["run", "--baseline", "old.nft"], 0, ["accepted: tests"])
        quiet = OPEN.replace("  }\n}", "    ip saddr 10.20.0.99 ip daddr 10.10.0.10 tcp dport 22 accept\n  }\n}")
        case("an opening", AUTO, quiet, ["audit"], 1, ["new.nft:8", "10.20.0.99"])
        in_every_format("an opening", AUTO, quiet, ["audit"], 1, {form: ["8"] for form in ("junit", "sarif", "markdown", "html", "github", "tap")})
        accepted = AUTO + "accepted:\n  - { from: 10.20.0.99, ports: 22, reason: administration, until: 2999-12-31 }\n"
        case("accepted", accepted, quiet, ["audit"], 0, ["administration"])
        case("accepted, expired", accepted.replace("2999", "2001"), quiet, ["audit"], 1, ["expired", "new.nft:8"])
        for dimension in ["source-ports", "tcp-flags", "addresses", "own-addresses", "firewall-itself", "protocols", "icmp-types", "shapes", "ipv6"]:
            case(f"without {dimension}", AUTO, OPEN, ["audit", "--leave-out", dimension], 4, ["left out"])
        case("all tried", AUTO, OPEN, ["audit"], 0, ["not tried: nothing"])
        case("published, not shut", PUBLISHED, FORWARDED, ["audit"], 0, [], ["needed, but shut"])
        mark = OPEN.replace("  }\n}", "    meta mark 7 tcp dport 22 accept\n  }\n}")
        case("a mark", AUTO, mark, ["audit"], 4, ["new.nft:8", "mark", "not tried"])
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
