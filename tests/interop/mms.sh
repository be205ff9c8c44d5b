#!/usr/bin/env bash
# mms.sh PROGRAM BIN_DIR: a real player against server_sim on port 1755 of a network namespace of its own, live synthetic
# content and a real .wmv that ffmpeg made; the captured session must be one that Wireshark dissects without complaint.
# Every program is bounded: some players loop for ever at the end of a stream.
set -euo pipefail
program=$1 bin=$2
if [ "${WMLAB_IN_NAMESPACE:-}" != yes ]; then
    export WMLAB_IN_NAMESPACE=yes
    if [ "$(id -u)" = 0 ]; then exec unshare -n -- "$0" "$@"; fi
    exec unshare -rn -- "$0" "$@"
fi
ip link set lo up
work=$(mktemp -d)
chmod 755 "$work"
server= capture=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$capture" ] || kill "$capture" 2>/dev/null || true
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

ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x120:rate=10:duration=4 -f lavfi -i sine=duration=4 \
    -c:v wmv2 -b:v 100k -c:a wmav2 -b:a 32k -packet_size 1400 "$work/clip.wmv"
dumpcap -q -i lo -w "$work/session.pcapng" >"$work/dumpcap.log" 2>&1 &
capture=$!
await grep -qs "Capturing on\|File:" "$work/dumpcap.log"
"$bin/server_sim" --content "$work/clip.wmv" --content live=synthetic:64k --bind 127.0.0.1 --close-after-end 1 \
    --journal "$work/media.jsonl" >/dev/null 2>"$work/server.log" &
server=$!
await journal_has '"ready"'

case $program in
    ffmpeg)
        for name in clip.wmv live; do
            timeout -k 2 20 ffmpeg -nostdin -hide_banner -v error -t 3 -i "mmst://127.0.0.1/$name" -f null - 2>&1 |
                head -c 50000 >"$work/ffmpeg.log" || fail "ffmpeg does not play $name: $(cat "$work/ffmpeg.log")"
        done
        # refused, as a real server would
        ! timeout -k 2 20 ffmpeg -nostdin -v quiet -t 3 -i mmst://127.0.0.1/none -f null - 2>/dev/null || fail "none was played"
        [ "$(grep -c LinkViewerToMacCloseFile "$work/media.jsonl")" -ge 2 ] || fail "ffmpeg did not close its files" ;;
    libmms)
        timeout -k 2 30 "$bin/libmms_dump" mms://127.0.0.1/clip.wmv "$work/got.asf" || fail "libmms_dump"
        same_beginning "$work/got.asf" "$work/clip.wmv" || fail "libmms got other bytes than the file's"
        await journal_has '"event":"media-ended"'
        packets=$(sed -n 's/.*"event":"media-ended".*"packets":\([0-9]*\).*/\1/p' "$work/media.jsonl")
        [ "$packets" -gt 40 ] || fail "only $packets packets were sent"
        [ "$(stat -c %s "$work/got.asf")" -ge $(((packets - 1) * 1400)) ] || fail "libmms did not get all packets"
        # Live content has no end: so much of it, then the reader is ended.
        timeout -k 2 20 "$bin/libmms_dump" mms://127.0.0.1/live "$work/live.asf" 50000 || fail "libmms does not play live content"
        ffmpeg -nostdin -v error -i "$work/live.asf" -f null - 2>"$work/decode.log" || fail "what libmms got live does not decode"
        [ ! -s "$work/decode.log" ] || fail "what libmms got live: $(cat "$work/decode.log")" ;;
    mplayer)
        timeout -k 2 40 mplayer -really-quiet -noconfig all -nolirc -nocache -dumpstream -dumpfile "$work/got.asf" \
            mmst://127.0.0.1/clip.wmv </dev/null >"$work/mplayer.log" 2>&1 || fail "mplayer: $(cat "$work/mplayer.log")"
        same_beginning "$work/got.asf" "$work/clip.wmv" || fail "MPlayer got other bytes than the file's" ;;
    vlc)
        # VLC does not run as root.
        as=(runuser -u nobody --)
        "${as[@]}" true 2>/dev/null || as=(unshare -U --map-user=65534 --map-group=65534 --)  # root of a user namespace only
        mkdir "$work/vlc"; chmod 777 "$work/vlc"
        for scheme in mmsu mmst; do
            HOME="$work/vlc" timeout -k 2 40 "${as[@]}" cvlc -q --play-and-exit --no-dbus --no-interact \
                --sout "#std{access=file,mux=asf,dst=$work/vlc/$scheme.asf}" "$scheme://127.0.0.1/clip.wmv" vlc://quit \
                >"$work/vlc.log" 2>&1 || fail "vlc: $(tail -c 2000 "$work/vlc.log")"
            frames=$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$work/vlc/$scheme.asf")
            [ "${frames//[^0-9]/}" -ge 35 ] || fail "VLC got only $frames of 40 pictures over $scheme"
        done
        await journal_has '"leg":"media".*"event":"media-ended"' ;;
    client_sim)
        size=$(stat -c %s "$work/clip.wmv")
        for url in mmsu://127.0.0.1/clip.wmv mmst://127.0.0.1/clip mms://127.0.0.1/clip; do
            timeout 30 "$bin/client_sim" "$url" --save "$work/got.asf" --ask-again >"$work/client.log" 2>&1 ||
                fail "client_sim $url: $(cat "$work/client.log")"
            same_beginning "$work/got.asf" "$work/clip.wmv" || fail "client_sim $url saved other bytes than the file's"
            # all of it but an index after the packets
            [ "$(stat -c %s "$work/got.asf")" -gt $((size - 2000)) ] || fail "client_sim $url saved only a part"
            rm "$work/got.asf"
        done
        timeout 30 "$bin/client_sim" mmsu://127.0.0.1/live --duration 1 >"$work/client.log" 2>&1 || fail "live: $(cat "$work/client.log")"
        grep -q "every packet proved intact" "$work/client.log" || fail "$(cat "$work/client.log")" ;;
    *) fail "unknown program $program" ;;
esac

kill -TERM "$server"
wait "$server" || fail "server_sim ended with $?"
server=
grep -q '"event":"stopped"' "$work/media.jsonl" || fail "the journal has no end"
kill -INT "$capture"
wait "$capture" || true
capture=
malformed=$(tshark -r "$work/session.pcapng" -Y _ws.malformed 2>/dev/null)
[ -z "$malformed" ] || fail "Wireshark calls frames malformed: $malformed"
frames=$(tshark -r "$work/session.pcapng" -Y msmms 2>/dev/null | wc -l)
[ "$frames" -ge 12 ] || fail "Wireshark sees only $frames MSMMS frames"
echo "ok: $program, $frames MSMMS frames dissected, none malformed"
