#!/bin/bash
# A fleet with holes: many launched hosts, one of twenty away, made from a template and a table.   [FLEET=99] fleet.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1
ip link set lo up
ip addr add 10.10.0.10/32 dev lo
hosts=${FLEET:-39} # and the server
away=$(((hosts + 13) / 20))
{
    echo "name,address,away"
    for number in $(seq $hosts); do
        ip addr add "10.20.1.$number/32" dev lo
        [ $((number % 20)) = 7 ] && echo "h$number,10.20.1.$number,away" || echo "h$number,10.20.1.$number,"
    done
} > "$work/sites.csv"
# What reaches a host: the machines of the table that are away refuse.
cat > "$work/reach" <<REACH
#!/bin/sh
address=\$1
shift
grep -q ",\$address,away" "$work/sites.csv" && { echo "connect to \$address port 22: No route to host" >&2; exit 255; }
exec env PATH="$bin:\$PATH" "\$@"
REACH
chmod +x "$work/reach"
cat > "$work/fleet.yaml" <<SCENARIO
version: 1
name: A fleet
zones:
  inside:  { subnet: 10.10.0.0/24 }
  outside: { subnet: 10.20.0.0/16 }
launch: [$work/reach, "{address}"]
hosts:
  media: { zone: inside, address: 10.10.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { deadline: 20s }
for_each:
  in: sites.csv
  hosts: { "\${site.name}": { zone: outside, address: "\${site.address}" } }
  flows: [ { id: "telnet-\${site.name}", type: probe, from: "\${site.name}", to: media, protocol: tcp, ports: 7007 } ]
SCENARIO
got=0
timeout 280 "$bin/wmlab" run "$work/fleet.yaml" --no-color --report "json:$work/fleet.json" > "$work/output" 2>&1 || got=$?
check "a fleet with machines away: exit code" 4 $got
[ $got = 4 ] || tail -50 "$work/output"
check "the others are judged" "$((hosts - away)) $away" "$(verdicts "$work/fleet.json" | awk '$2 == "pass" { p++ } $2 == "inconclusive" { i++ } END { print p+0, i+0 }')"
contains "the words of the machine" "$(cat "$work/fleet.json")" "connect to 10.20.1.7 port 22: No route to host"
# Only machines that are away: nothing was tested.
got=0
timeout 60 "$bin/wmlab" run "$work/fleet.yaml" --no-color --tag site=h7 --tag site=h27 > "$work/output" 2>&1 || got=$?
check "nobody is there: exit code" 3 $got
contains "nobody is there: why" "$(cat "$work/output")" "No route to host"
# Some of the flows, by tag and by name.
got=0
timeout 60 "$bin/wmlab" run "$work/fleet.yaml" --no-color --tag site=h1 --tag site=h2 --report text --report "json:$work/some.json" > "$work/output" 2>&1 || got=$?
check "two sites: exit code" 0 $got
check "two sites: flows" "telnet-h1 telnet-h2" "$(verdicts "$work/some.json" | awk '{ print $1 }' | sort | xargs)"
contains "two sites: a table" "$(cat "$work/output")" "site  telnet"
exit $failed
