# Shared by the interoperability tests: a namespace of its own, a real .wmv that ffmpeg made, server_sim with its journal, patience.
# Every program is bounded: some players loop for ever at the end of a stream. To be sourced with the test's arguments.
set -euo pipefail
if [ "${WMLAB_IN_NAMESPACE:-}" != yes ]; then
    export WMLAB_IN_NAMESPACE=yes
    if [ "$(id -u)" = 0 ]; then exec unshare -mn -- "$0" "$@"; fi
    exec unshare -rmn -- "$0" "$@"
fi
mount -t tmpfs none /dev/shm  # squid's shared memory has a fixed name
ip link set lo up
work=$(mktemp -d)
chmod 755 "$work"
started=()
finish() {
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait || true
    rm -rf "$work"
}
trap finish EXIT
fail() {
    echo "FAILED: $*" >&2
    cut -c1-400 "$work/media.jsonl" >&2 || true
    tail -c 2000 "$work/server.log" >&2 || true
    exit 1
}
# Until a condition holds; a broken build must not hang.
await() {
    local tries=300
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "waited in vain for: $*"
        read -rt 0.1 <> <(:) || true
    done
}
journal_has() { grep -q "$1" "$work/media.jsonl" 2>/dev/null; }
same_beginning() { # FILE ORIGINAL: all of FILE is how ORIGINAL begins
    [ -s "$1" ] && cmp -n "$(stat -c %s "$1")" "$1" "$2"
}
make_clip() {
    ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x120:rate=10:duration=4 -f lavfi -i sine=duration=4 \
        -c:v wmv2 -b:v 100k -c:a wmav2 -b:a 32k -packet_size 1400 "$work/clip.wmv"
}
start_server() { # MORE_OPTIONS...
    "$bin/server_sim" --content "$work/clip.wmv" --content live=synthetic:64k --bind 127.0.0.1 --close-after-end 1 \
        --journal "$work/media.jsonl" "$@" >/dev/null 2>"$work/server.log" &
    server=$!
    started+=("$server")
    await journal_has '"ready"'
}
stop_server() {
    kill -TERM "$server"
    wait "$server" || fail "server_sim ended with $?"
    grep -q '"event":"stopped"' "$work/media.jsonl" || fail "the journal has no end"
}
# VLC does not run as root: `"${as_nobody[@]}" cvlc ...`, with $work/vlc to write to.
find_nobody() {
    as_nobody=(runuser -u nobody --)
    "${as_nobody[@]}" true 2>/dev/null ||
        as_nobody=(unshare -U --map-user=65534 --map-group=65534 --)  # root of a user namespace only
    mkdir "$work/vlc"; chmod 777 "$work/vlc"
}
