#!/bin/bash
# lab/compose.yaml with a real engine: a correct ruleset gives exit code 0, a wrong one 1, one that cannot be loaded 2.
#   run.sh BIN SOURCE
# Uses the running engine, or starts one of its own as root (docker.io, docker-compose, debootstrap). The image takes
# the programs of BIN; with WMLAB_BUILD_IMAGE=1 the whole lab/Dockerfile is built.
set -eu
bin=$1 source=$2
work=$(mktemp -d /tmp/wmlab-compose-XXXXXX)
project=wmlabtest
engine=
compose() { docker-compose -p $project -f "$source/lab/compose.yaml" "$@"; }
cleanup() {
    compose down -v --timeout 1 > /dev/null 2>&1 || true
    docker rm -f "$project"-{firewall,media,player,studio,edge} > /dev/null 2>&1 || true
    docker network rm "$project"-{inside,outside} > /dev/null 2>&1 || true
    [ -z "$engine" ] || stop_engine
    umount "$work"/exec/netns/* 2> /dev/null || true
    rm -rf --one-file-system "$work" || true
}
trap cleanup EXIT

start_engine() { # start_engine [WORD...] : a dockerd of our own, started by these words and with these options
    "$@" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" > "$work/dockerd.log" 2>&1 &
    engine=$!
    for _ in $(seq 300); do
        docker version > /dev/null 2>&1 && return
        kill -0 $engine || break
        sleep 0.2
    done
    cat "$work/dockerd.log"
    exit 1
}
stop_engine() {
    kill "$engine"
    wait "$engine" 2>/dev/null || true
    engine=
}

# An engine of our own leaves this machine's network alone: it builds without bridge and filter rules, then runs the
# containers in a network namespace of its own.
own_engine=
if ! docker version > /dev/null 2>&1; then
    own_engine=yes
    export DOCKER_HOST=unix://$work/docker.sock
    start_engine dockerd --iptables=false --bridge=none --ip-forward=false
fi
if ! docker image inspect debian:bookworm-slim > /dev/null 2>&1 && ! docker pull -q debian:bookworm-slim; then
    debootstrap --variant=minbase bookworm "$work/root" > /dev/null
    [ ! -d /etc/apt ] || cp -r /etc/apt/. "$work/root/etc/apt/"
    tar -C "$work/root" -c . | docker import - debian:bookworm-slim
fi

export WMLAB_IMAGE=wmlab:test DOCKER_BUILDKIT=0
if [ -n "${WMLAB_BUILD_IMAGE:-}" ]; then
    docker build -q --network host -f "$source/lab/Dockerfile" -t $WMLAB_IMAGE "$source"
else
    docker build -q --network host -f "$source/lab/Dockerfile" --target runtime -t wmlab:runtime "$source"
    mkdir "$work/image"
    for program in wmlab server_sim client_sim encoder_sim; do strip -o "$work/image/$program" "$bin/$program"; done
    cat > "$work/image/Dockerfile" <<'IMAGE'
FROM wmlab:runtime
COPY wmlab server_sim client_sim encoder_sim /usr/local/bin/
ENTRYPOINT ["wmlab"]
IMAGE
    docker build -q -t $WMLAB_IMAGE "$work/image"
fi
if [ -n "$own_engine" ]; then
    stop_engine
    start_engine unshare --net sh -c 'ip link set lo up; exec dockerd "$@"' dockerd
fi

failed=0
rules=$source/scenarios/rules/kb189416.nft
sed '/comment "MMS over UDP: media, server to player"/d' "$rules" > "$work/no-media.nft"
sed 's/tcp dport 1755 accept/tcp dport 1756 accept/' "$rules" > "$work/wrong-port.nft"
sed 's/udp dport 1024-5000 accept/udp dport 1024-5000 reject/' "$rules" > "$work/reject-media.nft"
echo 'table inet filter { chain nonsense' > "$work/broken.nft"
cp "$rules" "$work/right.nft"

trial() { # trial RULESET CODE
    local got=0
    mkdir -p "$work/reports-$1"
    RULESET=$work/$1.nft REPORTS=$work/reports-$1 compose up --exit-code-from judge > "$work/$1.log" 2>&1 || got=$?
    compose down -v --timeout 1 > /dev/null 2>&1 || true
    if [ "$got" = "$2" ]; then echo "ok    $1: exit code $got"; return; fi
    failed=1
    echo "WRONG $1: exit code $got, not $2"
    tail -n 150 "$work/$1.log"
}
same() { # same REPORTS RULESET: the verdicts of every other setting
    local got
    got=$(python3 -c '
import json, sys
for flow in json.load(open(sys.argv[1]))["flows"]:
    print(flow["id"], flow["verdict"], flow["leg"] or "-", flow["cause"] or flow.get("reason") or "-")' "$work/reports-$1/report.json") || true
    if [ "$got" = "$(cat "$source/tests/where/expected/$2.txt")" ]; then echo "ok    $1, $2: verdicts"; return; fi
    failed=1
    printf 'WRONG %s, %s: verdicts\n%s\n' "$1" "$2" "$got"
}

export SCENARIO=where/scenario.yaml SCENARIO_DIR=$source/tests
for ruleset in right no-media wrong-port reject-media; do
    trial $ruleset $([ $ruleset = right ] && echo 0 || echo 1)
    same $ruleset $ruleset
done
trial broken 2

# The same hosts as containers that `docker exec` reaches: wmlab starts the simulators there.
exec_hosts() { echo "media inside 10.10.0.10 10.20.0.0/24" "player outside 10.20.0.10 10.10.0.0/24" "studio outside 10.20.0.11 10.10.0.0/24" "edge outside 10.20.0.12 10.10.0.0/24" | xargs -n4; }
container() { docker run -d --name "$project-$1" --network "$project-$2" --ip "$3" --cap-add NET_ADMIN --entrypoint sh "${@:4}"; }
{
    for zone in inside:10.10.0 outside:10.20.0; do
        docker network create --subnet "${zone#*:}.0/24" --gateway "${zone#*:}.254" -o com.docker.network.bridge.enable_ip_masquerade=false "$project-${zone%%:*}"
    done
    container firewall inside 10.10.0.1 --sysctl net.ipv4.ip_forward=1 --sysctl net.ipv4.icmp_ratelimit=0 -v "$work:/rules:ro" $WMLAB_IMAGE -c 'exec sleep 1000'
    docker network connect --ip 10.20.0.1 "$project-outside" "$project-firewall"
    docker exec "$project-firewall" sh -c 'for pair in inside=10.10.0.1 outside=10.20.0.1; do
        device=$(ip -o -4 addr show to "${pair#*=}" | sed -n "s/^[0-9]*: \([^ ]*\) .*/\1/p")
        ip link set "$device" down; ip link set "$device" name "${pair%=*}"; ip link set "${pair%=*}" up
    done'
    while read -r name zone address other; do
        container "$name" "$zone" "$address" $WMLAB_IMAGE -c "ip route del default; ip route add $other via ${address%.*}.1 && exec sleep 1000"
    done < <(exec_hosts)
} > "$work/exec.log" 2>&1 || { cat "$work/exec.log"; exit 1; }
launched=()
for name in media player studio edge; do launched+=(--launch "$name=docker exec -i $project-$name"); done
for ruleset in right no-media wrong-port reject-media; do
    docker exec "$project-firewall" sh -c "nft -f /rules/$ruleset.nft; conntrack -F" > /dev/null 2>&1
    got=0
    mkdir -p "$work/reports-exec"
    "$bin/wmlab" run "$source/tests/where/scenario.yaml" "${launched[@]}" --no-color --report text --report "json:$work/reports-exec/report.json" > "$work/exec-$ruleset.log" 2>&1 || got=$?
    if [ $got = $([ $ruleset = right ] && echo 0 || echo 1) ]; then echo "ok    docker exec, $ruleset: exit code $got"; else
        failed=1
        echo "WRONG docker exec, $ruleset: exit code $got"
        cat "$work/exec-$ruleset.log"
    fi
    same exec $ruleset
done
docker rm -f "$project"-{firewall,media,player,studio,edge} > /dev/null
docker network rm "$project"-{inside,outside} > /dev/null
# A container that is not up.
got=0
output=$("$bin/wmlab" run "$source/tests/where/scenario.yaml" "${launched[@]}" --no-color 2>&1) || got=$?
case "$got $output" in
    "3 "*"No such container"*) echo "ok    docker exec, no container: exit code 3" ;;
    *) failed=1; echo "WRONG docker exec, no container: exit code $got: $output" ;;
esac

# One container with the built-in lab, with the least that works.
for grant in "--security-opt seccomp=unconfined" "--security-opt seccomp=unconfined --user 65534" "--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined"; do
    for ruleset in right no-media; do
        got=0
        docker run --rm $grant -v "$source:/src:ro" -v "$work/$ruleset.nft:/rules.nft:ro" $WMLAB_IMAGE run /src/tests/where/scenario.yaml --ruleset /rules.nft --no-color > "$work/one.log" 2>&1 || got=$?
        if [ $got = $([ $ruleset = right ] && echo 0 || echo 1) ]; then echo "ok    one container ($grant), $ruleset: exit code $got"; continue; fi
        failed=1
        echo "WRONG one container ($grant), $ruleset: exit code $got"
        cat "$work/one.log"
    done
done
got=0
output=$(docker run --rm -v "$source:/src:ro" $WMLAB_IMAGE run /src/tests/where/scenario.yaml 2>&1) || got=$?
case "$got $output" in
    "3 "*"seccomp=unconfined"*) echo "ok    one container without the privileges: exit code 3, and what to grant" ;;
    *) failed=1; echo "WRONG one container without the privileges: exit code $got: $output" ;;
esac
unset SCENARIO SCENARIO_DIR
[ -z "${WMLAB_COMPOSE_ALL:-}" ] || trial right 0 # scenarios/kb189416.yaml as a whole
exit $failed
