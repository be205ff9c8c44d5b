#!/bin/bash
# The pre-change gate and the captures, in the built-in lab.   gate.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
bin=$1 source=$2
scenario=$source/tests/where/scenario.yaml
rulesets "$source/scenarios/rules/kb189416.nft"

# A change that breaks one stream and opens another.
sed 's/tcp dport 1755 accept/tcp dport { 23, 1755 } accept/' "$work/no-media.nft" > "$work/new.nft"
"$bin/wmlab" run "$scenario" --baseline "$work/no-media.nft" --ruleset "$work/right.nft" --allow-open --no-color > "$work/repaired" &
got=0
"$bin/wmlab" run "$scenario" --baseline "$work/right.nft" --ruleset "$work/new.nft" --no-color --pcap "$work/pcap" \
    --report "text:$work/text" --report "junit:$work/junit" --report "markdown:$work/markdown" --report "json:$work/json" || got=$?
check "a change that breaks one stream and opens another: exit code" 1 $got
for report in text junit markdown json; do
    contains "$report names the stream" "$(cat "$work/$report")" "unicast-udp"
    contains "$report names what is open" "$(cat "$work/$report")" "no-telnet"
done
check "broken and newly open" "['unicast-udp'] ['no-telnet'] [] 2" "$(python3 -c '
import json, sys
change = json.load(open(sys.argv[1]))["baseline"]
print(change["broken"], change["newly_open"], change["repaired"], len(change["unchanged"]))' "$work/json")"
check "junit: as CI systems publish it" "$work/junit validates" "$(xmllint --noout --nonet --schema "$source/tests/lab/report/junit.xsd" "$work/junit" 2>&1)"
contains "junit: broken" "$(cat "$work/junit")" "broken by the change: before it was pass"
contains "junit: open" "$(cat "$work/junit")" "newly open by the change: before it was blocked"

got=0
wait $! || got=$?
check "a change that repairs: exit code" 0 $got
contains "a change that repairs" "$(cat "$work/repaired")" "repaired: unicast-udp"
contains "what it opens beside the stream is told" "$(cat "$work/repaired")" "needed by unicast-udp media"

check "one capture per host and firewall interface" \
    "edge.pcapng firewall.inside.pcapng firewall.outside.pcapng media.pcapng player.pcapng studio.pcapng" \
    "$(cd "$work/pcap" && echo *.pcapng)"
for file in "$work"/pcap/*.pcapng; do
    check "$(basename "$file"): no warning" "" "$({ tshark -r "$file" > "$work/packets"; capinfos "$file" > "$work/info"; } 2>&1 | grep -v "^Running as user")"
done
contains "the media packets say what became of them" \
    "$(tshark -r "$work/pcap/media.pcapng" -Y 'udp.srcport == 1755' -T fields -e frame.comment 2>&1 | sort -u)" \
    "unicast-udp, media: blocked: dropped (to->from)"

got=0
output=$("$bin/wmlab" run "$scenario" --ruleset <(cat "$work/right.nft") 2>&1) || got=$?
check "a ruleset that comes by a pipe: exit code" 0 $got

# What cannot be written is said before the run.
for option in "--report json:$work/none/x.json" "--journal /proc/none" "--pcap /proc/none"; do
    output=$("$bin/wmlab" run "$scenario" $option 2>&1) || true
    case $output in *"player -> media"*) failed=1; echo "WRONG $option: after the run" ;; esac
    contains "$option" "$output" "No such file or directory"
done

# A full disk: what could not be written is said, and the verdict is not another one because of it.
mkdir "$work/full"
full() { # full WHAT SIZE CODE OPTIONS...: on a disk of so many KiB
    local got=0 what=$1 want=$3
    mount -t tmpfs -o "size=$2k" none "$work/full" 2> /dev/null || return 0
    dd if=/dev/zero of="$work/full/rest" bs=1k count=8 2> /dev/null
    shift 3
    output=$("$bin/wmlab" run "$scenario" --only unicast-tcp --no-color "$@" 2>&1) || got=$?
    check "a full disk, $what: exit code" "$want" "$got"
    contains "a full disk, $what: it is said" "$output" "No space left on device"
    [ "$want" = 3 ] || contains "a full disk, $what: the verdict" "$output" "player -> media  pass"
    umount "$work/full"
}
full "captures, from the beginning" 16 3 --pcap "$work/full/pcap"
full "captures, while it runs" 64 0 --pcap "$work/full/pcap"
full "journals, while it runs" 40 0 --journal "$work/full/journals"
full "the report" 8 1 --report text --report "json:$work/full/report.json" # which was empty at the beginning: it can be written
exit $failed
