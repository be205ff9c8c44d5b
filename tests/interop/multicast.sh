#!/usr/bin/env bash
# multicast.sh WHAT BIN_DIR: a station of server_sim behind a multicast router of its own lab, seen by programs that are not ours.
#   ffmpeg  decodes the file that client_sim rebuilt from the datagrams to exactly as many samples as the original, and the same ones
#   tshark  dissects the player's IGMP of both versions, and the stream's addresses and time to live
#   vlc     reads the station file completely
set -euo pipefail
what=$1 bin=$2
if [ "${WMLAB_IN_NAMESPACE:-}" != yes ]; then
    export WMLAB_IN_NAMESPACE=yes
    if [ "$(id -u)" = 0 ]; then exec unshare -n -- "$0" "$@"; fi
    exec unshare -rn -- "$0" "$@"
fi
work=$(mktemp -d)
chmod 755 "$work"
jobs_=()
finish() {
    for pid in "${jobs_[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$work"
}
trap finish EXIT
fail() {
    echo "FAILED: $*" >&2
    tail -c 3000 "$work"/*.log >&2 || true
    exit 1
}
await() {
    local tries=300
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "waited in vain for: $*"
        read -rt 0.1 <> <(:) || true
    done
}
ip link set lo up
ip link set lo multicast on
ip route add 224.0.0.0/4 dev lo
group=239.192.48.179 port=19009

ffmpeg -nostdin -v error -y -f lavfi -i sine=frequency=440:duration=3 -c:a wmav2 -b:a 64k -packet_size 1400 "$work/clip.wma"
serve() { # nothing is sent before somebody waits for it: the player starts first, with the station file of a first run
    "$bin/server_sim" --content "clip=$work/clip.wma" --bind 127.0.0.1 --no-http --mms-port 11755 \
        --station "clip=$group:$port,ttl=5,interface=127.0.0.1" --nsc-out "$work/clip.nsc" --journal "$work/media.jsonl" \
        >/dev/null 2>"$work/server.log" &
    jobs_+=($!)
}
capture() { # FILTER
    dumpcap -q -i lo -f "$1" -w "$work/session.pcapng" >"$work/dumpcap.log" 2>&1 &
    jobs_+=($!)
    await grep -qs "Capturing on\|File:" "$work/dumpcap.log"
}
joined() { grep -q '"event":"announced"' "$work/player.jsonl" 2>/dev/null; }

case $what in
    ffmpeg)
        serve
        await test -s "$work/clip.nsc"
        kill "${jobs_[0]}" && wait "${jobs_[0]}" || true
        jobs_=() && rm "$work/media.jsonl"
        timeout 30 "$bin/client_sim" "$work/clip.nsc" --interface 127.0.0.1 --duration 2.5 --save "$work/got.asf" \
            --journal "$work/player.jsonl" >"$work/player.log" 2>&1 &
        player=$!
        await joined
        serve
        wait "$player" || fail "client_sim did not play the station"
        # The original as far as it was received: what a decoder makes of the last packet depends on what follows it.
        packets=$(sed -n 's/.*"event":"media-ended".*"packets":\([0-9]*\).*/\1/p' "$work/player.jsonl")
        data=$(LC_ALL=C grep -obUaP '\x36\x26\xb2\x75\x8e\x66\xcf\x11' "$work/clip.wma" | head -1 | cut -d: -f1)
        head -c $((data + 50 + packets * 1400)) "$work/clip.wma" >"$work/part.asf"
        for file in part.asf got.asf; do
            timeout 30 ffmpeg -nostdin -v error -i "$work/$file" -f s16le -y "$work/$file.raw" 2>"$work/ffmpeg.log" ||
                fail "ffmpeg does not decode $file"
            [ ! -s "$work/ffmpeg.log" ] || fail "ffmpeg complains about $file"
        done
        size=$(stat -c %s "$work/got.asf.raw")
        # 2 bytes a sample, 44100 a second, one channel
        [ "$size" -ge $((2 * 44100 * 2)) ] || fail "only $size bytes of samples"
        cmp "$work/got.asf.raw" "$work/part.asf.raw" || fail "other samples than the original's" ;;
    tshark)
        capture "igmp or udp"
        for version in 2 3; do
            echo $version >/proc/sys/net/ipv4/conf/all/force_igmp_version
            rm -f "$work/player.jsonl"
            timeout 30 "$bin/client_sim" "$group:$port" --interface 127.0.0.1 --deadline 8 --duration 0.5 \
                --journal "$work/player.jsonl" >"$work/player.log" 2>&1 &
            player=$!
            await joined
            [ $version = 3 ] || serve
            wait "$player" || fail "client_sim did not receive $group:$port with IGMPv$version"
        done
        dissected() { tshark -r "$work/session.pcapng" -Y "$1" 2>/dev/null | grep -q .; }
        # the second of two IGMPv3 reports comes within a second
        await dissected "igmp.type == 0x16 && igmp.maddr == $group && ip.ttl == 1"
        await dissected "igmp.type == 0x17 && igmp.maddr == $group && ip.dst == 224.0.0.2"
        await dissected "igmp.type == 0x22 && igmp.maddr == $group && igmp.record_type == 4 && ip.dst == 224.0.0.22"
        await dissected "igmp.type == 0x22 && igmp.maddr == $group && igmp.record_type == 3"
        await dissected "udp.dstport == $port && ip.dst == $group && ip.ttl == 5"
        ! dissected "igmp && (_ws.malformed || igmp.checksum.status == 0)" || fail "tshark finds malformed IGMP" ;;
    vlc)
        serve
        await test -s "$work/clip.nsc"
        # VLC does not run as root.
        as=(runuser -u nobody --)
        "${as[@]}" true 2>/dev/null || as=(unshare -U --map-user=65534 --map-group=65534 --)
        mkdir "$work/vlc"; chmod 777 "$work/vlc"
        HOME="$work/vlc" timeout -k 2 20 "${as[@]}" cvlc -vv --no-dbus --play-and-exit --no-interact "$work/clip.nsc" vlc://quit \
            >"$work/vlc.log" 2>&1 || true
        for said in "IP Address = $group" "IP Port = $port" "Time To Live = 5" "Format1 = asf header"; do
            grep -q "nsc demux.*$said" "$work/vlc.log" || fail "VLC did not read: $said"
        done ;;
    *) fail "unknown: $what" ;;
esac
