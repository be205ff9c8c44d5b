#!/bin/bash
# lab/compose.yaml with a real Docker engine, the commands of docs/how-to/compose.md word by word: a correct ruleset gives exit
# code 0, wrong ones 1, one that cannot be loaded 2. Then the same hosts by `docker exec`, and the built-in lab in one container.
#   run.sh BIN SOURCE
# It starts an engine of its own, as root (packages docker.io, docker-compose, debootstrap), in namespaces of its own: nothing
# of it is left, and the machine's own engine and network are not touched. The image takes the programs of BIN; with
# WMLAB_BUILD_IMAGE=1 the whole lab/Dockerfile is built. WMLAB_WITHOUT_DOCKER=1 leaves all of it out.
set -eu
here=$(dirname "$(readlink -f "$0")")
. "$here/../real_root.sh"
. "$here/../bare_root.sh"
. "$here/engine.sh"
with_engine "$@"
bin=$(readlink -f "$1") source=$(readlink -f "$2")
. "$here/../where/lib.sh"

prepare_image
networks_of_its_own
rulesets "$source/scenarios/rules/kb189416.nft"
echo 'table inet filter { chain nonsense' > "$work/broken.nft"

# Each trial has a copy of what it needs, with addresses of its own (10.1N.0, 10.2N.0), so that they run at the same time.
renumber() { sed -i "s/10\\.10\\.0\\./10.1$1.0./g; s/10\\.20\\.0\\./10.2$1.0./g" "${@:2}"; }
tree() { # tree NUMBER: $work/NUMBER
    mkdir -p "$work/$1/lab"
    cp "$source/lab/compose.yaml" "$work/$1/lab/"
    cp -r "$source/scenarios" "$work/$1/"
    cp "$source/tests/where/scenario.yaml" "$work/$1/scenarios/short.yaml"
    sed -i 's|\.\./\.\./scenarios/||' "$work/$1/scenarios/short.yaml"
    [ -z "${2:-}" ] || cp "$work/$2.nft" "$work/$1/new.nft"
    local files
    mapfile -t files < <(find "$work/$1/lab" "$work/$1/scenarios" "$work/$1"/*.nft -type f 2> /dev/null)
    renumber "$1" "${files[@]}"
}
rules_of() { # rules_of REPORT: the rule that decided about each leg, and what is suggested
    python3 -c '
import json, sys
for flow in json.load(open(sys.argv[1]))["flows"]:
    for leg in flow["legs"]:
        rule = leg.get("rule") or {}
        print(flow["id"], leg["name"], leg["verdict"], rule.get("file", "-").rsplit("/", 1)[-1], rule.get("line", "-"), rule.get("text", "-"))
    print(flow["id"], [(s["line"], s["rule"]) for s in flow.get("suggestions", [])])' "$1"
}
ended() { # ended WHAT WANTED GOT LOG
    [ "$3" = "$2" ] && { echo "ok    $1: exit code $3"; return; }
    failed=1
    echo "WRONG $1: exit code $3, not $2"
    tail -n 100 "$4"
}
# COMMAND into LOG, again where the engine itself failed: many containers start at once, and it is not under test here.
again() { # again LOG COMMAND...
    local got tries=3
    while :; do
        got=0
        "${@:2}" > "$1" 2>&1 || got=$?
        tries=$((tries - 1))
        { [ $tries -gt 0 ] && grep -h -A5 -e 'Error response from daemon' -e 'OCI runtime' -e '^ERROR: for ' "$1"; } || return $got
        docker-compose -f lab/compose.yaml down -v --timeout 0 > /dev/null 2>&1 || true
    done
}
want() { [ "$1" = right ] && echo 0 || { [ "$1" = broken ] && echo 2 || echo 1; }; }

whole() { # the documented command: all of kb189416.yaml through the correct ruleset
    local got=0
    tree 0
    cd "$work/0"
    COMPOSE_PROJECT_NAME=whole
    export COMPOSE_PROJECT_NAME
    again log docker-compose -f lab/compose.yaml up --exit-code-from judge || got=$?
    ended "compose, kb189416.yaml" 0 $got log
    for report in report.json junit.xml report.md; do check "compose, kb189416.yaml: $report" yes "$([ -s reports/$report ] && echo yes)"; done
    docker-compose -f lab/compose.yaml down -v --timeout 0 > /dev/null 2>&1
}
composed() { # composed NUMBER RULESET
    local got=0
    tree "$1" "$2"
    cd "$work/$1"
    export SCENARIO=short.yaml COMPOSE_PROJECT_NAME=trial$1
    again log env RULESET=$PWD/new.nft docker-compose -f lab/compose.yaml up --exit-code-from judge || got=$?
    ended "compose, $2" "$(want "$2")" $got log
    if [ "$2" != broken ]; then
        check "compose, $2: verdicts" "$(cat "$source/tests/where/expected/$2.txt")" "$(verdicts reports/report.json)"
        "$bin/wmlab" run scenarios/short.yaml --ruleset new.nft --report json:built-in.json > built-in.log 2>&1 || true
        check "compose, $2: rules, as the built-in lab names them" "$(rules_of built-in.json)" "$(rules_of reports/report.json)"
    fi
    docker-compose -f lab/compose.yaml down -v --timeout 0 > /dev/null 2>&1
}

# The same hosts as containers that `docker exec` reaches: wmlab starts the simulators there. The proxy of kb189416.yaml, too.
executed() {
    local name zone address other got ruleset launched=() report
    container() { docker run -d --name "exec-$1" --network "exec-$2" --ip "$3" --cap-add NET_ADMIN --entrypoint sh "${@:4}"; }
    tree 7
    {
        for zone in inside:10.17.0 outside:10.27.0; do
            docker network create --subnet "${zone#*:}.0/24" --gateway "${zone#*:}.254" -o com.docker.network.bridge.enable_ip_masquerade=false "exec-${zone%%:*}"
        done
        container firewall inside 10.17.0.1 --sysctl net.ipv4.ip_forward=1 --sysctl net.ipv4.icmp_ratelimit=0 wmlab:local -c 'exec sleep 1000'
        docker network connect --ip 10.27.0.1 exec-outside exec-firewall
        docker exec exec-firewall sh -c 'for pair in inside=10.17.0.1 outside=10.27.0.1; do
            device=$(ip -o -4 addr show to "${pair#*=}" | sed -n "s/^[0-9]*: \([^ ]*\) .*/\1/p")
            ip link set "$device" down; ip link set "$device" name "${pair%=*}"; ip link set "${pair%=*}" up
        done'
        while read -r name zone address other; do
            container "$name" "$zone" "$address" wmlab:local -c "ip route del default; ip route add $other via ${address%.*}.1 && exec sleep 1000"
        done <<< "media inside 10.17.0.10 10.27.0.0/24
booth inside 10.17.0.11 10.27.0.0/24
player outside 10.27.0.10 10.17.0.0/24
studio outside 10.27.0.11 10.17.0.0/24
edge outside 10.27.0.12 10.17.0.0/24"
    } > "$work/exec.log" 2>&1 || { cat "$work/exec.log"; failed=1; return; }
    for name in media player studio edge; do launched+=(--launch "$name=docker exec -i exec-$name"); done
    for ruleset in right no-media wrong-port reject-media; do
        sed "s/10\\.10\\.0\\./10.17.0./g; s/10\\.20\\.0\\./10.27.0./g" "$work/$ruleset.nft" |
            docker exec -i exec-firewall sh -c 'nft -f -; conntrack -F' > /dev/null 2>&1
        got=0
        timeout 60 "$bin/wmlab" run "$work/7/scenarios/short.yaml" "${launched[@]}" --no-color --report text --report "json:$work/exec.json" > "$work/exec.log" 2>&1 || got=$?
        ended "docker exec, $ruleset" "$(want $ruleset)" $got "$work/exec.log"
        check "docker exec, $ruleset: verdicts" "$(cat "$source/tests/where/expected/$ruleset.txt")" "$(verdicts "$work/exec.json")"
    done
    # A host killed in the middle: nothing of it is blocked, others keep their verdict.
    sed "s/10\\.10\\.0\\./10.17.0./g; s/10\\.20\\.0\\./10.27.0./g" "$work/right.nft" | docker exec -i exec-firewall sh -c 'nft -f -; conntrack -F' > /dev/null 2>&1
    with_others "$work/7/scenarios/short.yaml" "$work/right.nft" | sed 's/play: 1s/play: 6s/; s/10\.10\.0\./10.17.0./' > "$work/7/others.yaml"
    got=0
    timeout 60 "$bin/wmlab" run "$work/7/others.yaml" "${launched[@]}" --launch "booth=docker exec -i exec-booth" --no-color --journal "$work/killed" \
        --report text --report "json:$work/exec.json" > "$work/exec.log" 2>&1 &
    until grep -qs ViewerToMacReadBlock "$work/killed/"media.server_sim*.jsonl || ! kill -0 $! 2> /dev/null; do sleep 0.05; done
    docker kill exec-media > /dev/null
    wait $! || got=$?
    ended "docker exec, a host killed in the middle" 4 $got "$work/exec.log"
    for report in "unicast-udp inconclusive" "unicast-tcp inconclusive" "others pass"; do
        contains "docker exec, a host killed in the middle: $report" "$(verdicts "$work/exec.json")" "$report"
    done
    docker rm -f exec-{firewall,media,booth,player,studio,edge} > /dev/null
    got=0
    timeout 60 "$bin/wmlab" run "$work/7/scenarios/short.yaml" "${launched[@]}" --no-color > "$work/exec.log" 2>&1 || got=$?
    ended "docker exec, a container that is not up" 3 $got "$work/exec.log"
    contains "docker exec, a container that is not up" "$(cat "$work/exec.log")" "No such container"
}

# One container with the built-in lab, with the least that works.
one() { # one RULESET CODE OPTIONS...
    local got=0 log
    log=$(mktemp "$work/one-XXXX")
    for _ in 1 2 3; do # 125: the engine's own failure
        got=0
        docker run --rm "${@:3}" -v "$source:/src:ro" -v "$work/$1.nft:/rules.nft:ro" wmlab:local run /src/tests/where/scenario.yaml --ruleset /rules.nft --no-color > "$log" 2>&1 || got=$?
        [ $got = 125 ] || break
        cat "$log"
    done
    ended "one container (${*:3}), $1" "$2" $got "$log"
}
contained() {
    one right 0 --security-opt seccomp=unconfined
    one no-media 1 --security-opt seccomp=unconfined
    one right 0 --security-opt seccomp=unconfined --user 65534
    one no-media 1 --security-opt seccomp=unconfined --user 65534
    one right 0 --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined
    one no-media 1 --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined
    # Nobody can give a container what he does not have himself.
    if [ "$(sed -n 's/^CapBnd:\t//p' /proc/self/status)" = "$(printf '%016x' $(((1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1)))" ]; then
        one right 0 --privileged
        one no-media 1 --privileged
    else
        echo "not run: --privileged, as root has not all capabilities here (CapBnd in /proc/self/status)"
    fi
    local got=0
    docker run --rm wmlab:local doctor > "$work/doctor.log" 2>&1 || got=$?
    ended "one container without the privileges, doctor" 3 $got "$work/doctor.log"
    contains "doctor says what to grant" "$(cat "$work/doctor.log")" "seccomp=unconfined"
    got=0
    docker run --rm -v "$source:/src:ro" wmlab:local run /src/tests/where/scenario.yaml > "$work/bare.log" 2>&1 || got=$?
    ended "one container without the privileges" 3 $got "$work/bare.log"
    contains "what to grant" "$(cat "$work/bare.log")" "seccomp=unconfined"
}

job() {
    case $1 in
        compose-[1-9]) set -- $(echo "$1 right no-media wrong-port reject-media broken"); composed "${1#*-}" "${@:$((${1#*-} + 1)):1}" ;;
        *) "$1" ;;
    esac
}
in_parallel job executed whole contained
in_parallel job compose-1 compose-2 compose-3 compose-4 compose-5
exit $failed
