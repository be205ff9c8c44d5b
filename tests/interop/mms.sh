#!/usr/bin/env bash
# mms.sh PROGRAM BIN_DIR: a real player against server_sim on port 1755 of a network namespace of its own, live synthetic
# content and a real .wmv that ffmpeg made; the captured session must be one that Wireshark dissects without complaint.
program=$1 bin=$2
. "$(dirname "$0")/common.sh"

make_clip
dumpcap -q -i lo -w "$work/session.pcapng" >"$work/dumpcap.log" 2>&1 &
capture=$!
started+=("$capture")
await grep -qs "Capturing on\|File:" "$work/dumpcap.log"
start_server --no-http

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
        find_nobody
        for scheme in mmsu mmst; do
            HOME="$work/vlc" timeout -k 2 40 "${as_nobody[@]}" cvlc -q --play-and-exit --no-dbus --no-interact \
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

stop_server
kill -INT "$capture"
wait "$capture" || true
malformed=$(tshark -r "$work/session.pcapng" -Y _ws.malformed 2>/dev/null)
[ -z "$malformed" ] || fail "Wireshark calls frames malformed: $malformed"
frames=$(tshark -r "$work/session.pcapng" -Y msmms 2>/dev/null | wc -l)
[ "$frames" -ge 12 ] || fail "Wireshark sees only $frames MSMMS frames"
echo "ok: $program, $frames MSMMS frames dissected, none malformed"
