#!/bin/bash
# lab/compose.yaml with a real engine: a correct ruleset gives exit code 0, a wrong one 1, one that cannot be loaded 2.
#   run.sh BIN SOURCE
# Uses the running engine, or starts one of its own as root. The image takes the programs of BIN; with WMLAB_BUILD_IMAGE=1
# the whole lab/Dockerfile is built.
set -eu
bin=$1 source=$2
work=$(mktemp -d /tmp/wmlab-compose-XXXXXX)
project=wmlabtest
engine=
compose() { docker-compose -p $project -f "$source/lab/compose.yaml" "$@"; }
cleanup() {
    compose down -v --timeout 1 > /dev/null 2>&1 || true
    if [ -n "$engine" ]; then kill "$engine"; wait "$engine" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT

if ! docker version > /dev/null 2>&1; then
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" > "$work/dockerd.log" 2>&1 &
    engine=$!
    for _ in $(seq 300); do
        docker version > /dev/null 2>&1 && break
        kill -0 $engine || { cat "$work/dockerd.log"; exit 1; }
        sleep 0.2
    done
fi
if ! docker image inspect debian:bookworm-slim > /dev/null 2>&1 && ! docker pull -q debian:bookworm-slim; then
    debootstrap --variant=minbase bookworm "$work/root" > /dev/null
    tar -C "$work/root" -c . | docker import - debian:bookworm-slim
fi

export WMLAB_IMAGE=wmlab:test DOCKER_BUILDKIT=0
if [ -n "${WMLAB_BUILD_IMAGE:-}" ]; then
    docker build -q --network host -f "$source/lab/Dockerfile" -t $WMLAB_IMAGE "$source"
else
    docker build -q --network host -f "$source/lab/Dockerfile" --target runtime -t wmlab:runtime "$source"
    mkdir "$work/image"
    for program in wmlab server_sim client_sim encoder_sim; do strip -o "$work/image/$program" "$bin/$program"; done
    printf 'FROM wmlab:runtime\nCOPY . /usr/local/bin/\nENTRYPOINT ["wmlab"]\n' > "$work/Dockerfile"
    docker build -q -f "$work/Dockerfile" -t $WMLAB_IMAGE "$work/image"
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
same() { # same RULESET: the verdicts of every other setting
    local got
    got=$(python3 -c '
import json, sys
for flow in json.load(open(sys.argv[1]))["flows"]:
    print(flow["id"], flow["verdict"], flow["leg"] or "-", flow["cause"] or flow.get("reason") or "-")' "$work/reports-$1/report.json")
    if [ "$got" = "$(cat "$source/tests/where/expected/$1.txt")" ]; then echo "ok    $1: verdicts"; return; fi
    failed=1
    printf 'WRONG %s: verdicts\n%s\n' "$1" "$got"
}

export SCENARIO=where/scenario.yaml SCENARIO_DIR=$source/tests
for ruleset in right no-media wrong-port reject-media; do
    trial $ruleset $([ $ruleset = right ] && echo 0 || echo 1)
    same $ruleset
done
trial broken 2
unset SCENARIO SCENARIO_DIR
[ -z "${WMLAB_COMPOSE_ALL:-}" ] || trial right 0 # scenarios/kb189416.yaml as a whole
exit $failed
