#!/bin/bash
# The firewall is a device that writes a log: a file, a command, syslog. The log names the rule and changes no verdict.
#   device_log.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
rulesets "$source/scenarios/rules/kb189416.nft"
ip link set lo up
hosts_and_firewall
load_ruleset "$work/reject-media.nft"
launched=()
for host in media player studio edge; do launched+=(--launch "$host=nsenter --target ${pid[$host]} --net env PATH=$bin:$PATH"); done
scenario() { # scenario LOG
    sed "s|^firewall:|firewall:\n  log: $1|; s|\.\./\.\./scenarios|$source/scenarios|" "$source/tests/where/scenario.yaml" > "$work/logged.yaml"
}
run() { timeout 120 "$bin/wmlab" run "$work/logged.yaml" --no-color "${launched[@]}" "$@" > "$work/output" 2>&1 || true; }
rules() { python3 -c '
import json, sys
for flow in json.load(open(sys.argv[1]))["flows"]:
    rule = flow.get("rule") or {}
    print(flow["id"], rule.get("text", "-"), sep=": ")' "$1"; }
notes() { python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1])).get("notes", [])))' "$1"; }

# What an ASA would have written about the run, five seconds ahead, with another host's lines between.
cat > "$work/asa.py" <<'PY'
import json, sys, datetime, glob
report, journals, out = json.load(open(sys.argv[1])), sys.argv[2], open(sys.argv[3], "w")
times = {}
for name in glob.glob(journals + "/*.jsonl"):
    for line in open(name):
        event = json.loads(line)
        if event.get("flow"):
            times.setdefault(event["flow"], event["time"])
for flow in report["flows"]:
    at = datetime.datetime.fromisoformat(times[flow["id"]][:19]) + datetime.timedelta(seconds=5)
    stamp = at.strftime("%b %d %Y %H:%M:%S")
    for leg in flow["legs"]:
        if ":" not in leg["source"] or ":" not in leg["destination"]:
            continue
        source, destination = (leg[end].replace(":", "/") for end in ("source", "destination"))
        if leg["verdict"] == "blocked":
            print(f'{stamp} fw : %ASA-4-106023: Deny {leg["protocol"]} src a:{source} dst b:{destination} by access-group "LIST_{flow["id"]}" [0x0, 0x0]', file=out)
        else:
            print(f'{stamp} fw : %ASA-6-302013: Built inbound {leg["protocol"].upper()} connection 1 for a:{source} ({source}) to b:{destination} ({destination})', file=out)
    print(f'{stamp} fw : %ASA-4-106023: Deny tcp src a:10.20.0.99/1 dst b:10.10.0.10/1755 by access-group "OTHER" [0x0, 0x0]', file=out)
PY
: > "$work/asa.log"
scenario "{ format: asa, from: $work/asa.log }"
run --report "json:$work/plain.json" --journal "$work/journals"
verdicts_before=$(verdicts "$work/plain.json")
contains "an empty log is told" "$(notes "$work/plain.json")" "is empty"
python3 "$work/asa.py" "$work/plain.json" "$work/journals" "$work/asa.log"
got=0
"$bin/wmlab" judge "$work/logged.yaml" "$work/journals" --no-color --report "json:$work/judged.json" > "$work/output" 2>&1 || got=$?
check "judged with the log: verdicts" "$verdicts_before" "$(verdicts "$work/judged.json")"
contains "judged with the log: the rule" "$(rules "$work/judged.json")" 'unicast-udp: access-group "LIST_unicast-udp"'
contains "judged with the log: the clock" "$(notes "$work/judged.json")" "ahead of this machine"
contains "judged with the log: another host's line is nobody's" "$(rules "$work/judged.json" | grep -c OTHER || true)" 0
contains "judged with the log: advice in the device's language" "$(cat "$work/judged.json")" "extended permit udp host 10.10.0.10 host 10.20.0.10"

# Not what the scenario says it is.
sed -i 's/format: asa/format: fortios/' "$work/logged.yaml"
"$bin/wmlab" judge "$work/logged.yaml" "$work/journals" --no-color --report "json:$work/wrong.json" > "$work/output" 2>&1 || true
check "another format: verdicts" "$verdicts_before" "$(verdicts "$work/wrong.json")"
contains "another format: told" "$(notes "$work/wrong.json")" "no line of the firewall's log"

# A command, one that fails, and syslog.
scenario "{ format: asa, from: [cat, $work/asa.log] }"
run --only unicast-tcp --report "json:$work/command.json"
contains "a command's lines are read" "$(notes "$work/command.json")" "no line of the firewall's log cat"
run --only unicast-tcp --bundle "$work/logged.zip" --report "json:$work/command.json"
got=0
(cd / && PATH=/usr/bin:/bin "$bin/wmlab" replay "$work/logged.zip" --report "json:$work/again.json") > "$work/output" 2>&1 || got=$?
check "judged again with the log that was read: exit code" 0 "$got"
check "judged again with the log that was read" "$(cat "$work/command.json")" "$(cat "$work/again.json")"
scenario "{ format: asa, from: [sh, -c, 'echo no such device >&2; exit 1'] }"
run --only unicast-tcp --report "json:$work/command.json"
contains "a command that fails is told" "$(notes "$work/command.json")" "no such device"
check "a command that fails: verdict" "unicast-tcp pass - -" "$(verdicts "$work/command.json")"
scenario "{ format: asa, from: 'syslog://127.0.0.1:5514' }"
python3 - "$work/asa.log" <<'PY' &
import socket, sys, time
lines = open(sys.argv[1]).read().splitlines()
tcp = None
for _ in range(600):
    try:
        tcp = socket.create_connection(("127.0.0.1", 5514))
        break
    except OSError:
        time.sleep(0.05)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in lines:
    udp.sendto(("<166>" + line + "\n").encode(), ("127.0.0.1", 5514))
tcp.sendall(b"x" * 100000 + b"\n" + ("<166>" + lines[0] + "\n").encode() + b"\xff\x00 half a line")
PY
run --only unicast-tcp --report "json:$work/syslog.json"
wait $! || failed=1
contains "syslog is received" "$(notes "$work/syslog.json")" "no line of the firewall's log syslog://127.0.0.1:5514 is about a packet of this run"
exit $failed
