#!/usr/bin/env bash
# http.sh PROGRAM BIN_DIR: real players and real web proxies between server_sim and client_sim on port 80 of a network namespace of
# its own, with synthetic live content and a real .wmv; and client_sim as the player of VLC's own server. Judged by what
# arrived, never by exit statuses: ffmpeg's is 0 also when the stream broke off.
program=$1 bin=$2
. "$(dirname "$0")/common.sh"
scenarios=$(dirname "$0")/../../scenarios

listens() { ss -Hltn "sport = :$1" | grep -q .; }
# VLC listens before it has made an ASF header, and answers with nothing then.
vlc_serves() { curl -s --max-time 5 -A NSPlayer/4.1.0.3857 http://127.0.0.1:8080/live | head -c 2 | grep -q '^\$H'; }
start_squid() { # the shipped configuration, for players on this machine
    sed 's/10\.10\.0\.0\/24/127.0.0.0\/8/' "$scenarios/proxies/squid.conf" >"$work/squid.conf"
    unshare -U --map-user=13 --map-group=13 squid -N -f "$work/squid.conf" >"$work/squid.log" 2>&1 &
    started+=("$!")
    await listens 3128
}
start_tinyproxy() {
    sed 's/^Port .*/Port 8888/; s/10\.10\.0\.0\/24/127.0.0.0\/8/' "$scenarios/proxies/tinyproxy.conf" >"$work/tinyproxy.conf"
    tinyproxy -d -c "$work/tinyproxy.conf" >"$work/tinyproxy.log" 2>&1 &
    started+=("$!")
    await listens 8888
}
# The packets of a file or URL with their checksums, as ffmpeg's demuxer has them.
packets_of() { # INPUT [OPTIONS...]
    timeout -k 2 20 ffmpeg -nostdin -v error -i "$@" -c copy -f framemd5 - 2>"$work/ffmpeg.log" | grep -v '^#' || true
}
same_packets() { # WHAT: what arrived is the file's, packet for packet
    local got wanted
    got=$(wc -l <"$work/got.md5") wanted=$(wc -l <"$work/clip.md5")
    [ "$got" = "$wanted" ] || fail "$1: $got of $wanted packets arrived: $(head -c 2000 "$work/ffmpeg.log")"
    cmp -s "$work/got.md5" "$work/clip.md5" || fail "$1: other packets arrived than the file has"
}
plays_file() { # URL, with the environment as it is
    packets_of "$1" >"$work/got.md5"
    same_packets "$1 ${http_proxy:+by $http_proxy}"
}
plays_live() { # URL: two seconds of sound, decoded
    timeout -k 2 20 ffmpeg -nostdin -v error -i "$1" -t 2 -f s16le -y "$work/live.raw" 2>"$work/ffmpeg.log" || true
    [ "$(stat -c %s "$work/live.raw" 2>/dev/null || echo 0)" -ge 30000 ] ||
        fail "$1 ${http_proxy:+by $http_proxy}: no two seconds of live sound: $(head -c 2000 "$work/ffmpeg.log")"
}
client_saves_file() { # OPTIONS...
    rm -f "$work/got.asf"
    timeout 30 "$bin/client_sim" http://127.0.0.1/clip --save "$work/got.asf" "$@" >"$work/client.log" 2>&1 ||
        fail "client_sim $*: $(cat "$work/client.log")"
    same_beginning "$work/got.asf" "$work/clip.wmv" || fail "client_sim $*: other bytes than the file's"
    # all of it but an index after the packets
    [ "$(stat -c %s "$work/got.asf")" -gt $(($(stat -c %s "$work/clip.wmv") - 2000)) ] || fail "client_sim $*: only a part"
}
client_plays_live() { # OPTIONS...
    timeout 30 "$bin/client_sim" http://127.0.0.1/live --duration 1 "$@" >"$work/client.log" 2>&1 ||
        fail "client_sim $*: $(cat "$work/client.log")"
    grep -q "every packet proved intact" "$work/client.log" || fail "client_sim $*: $(cat "$work/client.log")"
}

if [ "$program" != vlc-server ]; then
    make_clip
    start_server
    packets_of "$work/clip.wmv" >"$work/clip.md5"
    [ "$(wc -l <"$work/clip.md5")" -gt 60 ] || fail "ffmpeg's own clip has $(wc -l <"$work/clip.md5") packets only"
fi
case $program in
    ffmpeg)
        plays_file mmsh://127.0.0.1/clip.wmv
        plays_file http://127.0.0.1/clip.wmv
        plays_live mmsh://127.0.0.1/live
        plays_live http://127.0.0.1/live ;;
    ffmpeg-by-squid)
        start_squid
        export http_proxy=http://127.0.0.1:3128
        plays_file mmsh://127.0.0.1/clip.wmv
        plays_file http://127.0.0.1/clip.wmv
        plays_live mmsh://127.0.0.1/live
        plays_live http://127.0.0.1/live
        journal_has squid || fail "the requests did not come through squid" ;;
    curl)
        curl -sS --max-time 10 -o "$work/got.asf" http://127.0.0.1/clip.wmv
        same_beginning "$work/got.asf" "$work/clip.wmv" || fail "curl got other bytes than the file's"
        [ "$(stat -c %s "$work/got.asf")" -gt $(($(stat -c %s "$work/clip.wmv") - 2000)) ] || fail "curl got only a part"
        curl -sS --max-time 10 -A Mozilla/4.0 http://127.0.0.1/clip.wmv | grep -q '^Ref1=http://127.0.0.1/clip.wmv?MSWMExt=' ||
            fail "no redirector for a browser"
        curl -sS --max-time 10 http://127.0.0.1/live.asx | grep -qi '<ref href="mms://127.0.0.1/live"' || fail "no ASX document"
        [ "$(curl -sS --max-time 10 -o "$work/none" -w '%{http_code}' http://127.0.0.1/none)" = 404 ] || fail "no 404" ;;
    client_sim)
        client_saves_file
        client_plays_live ;;
    client_sim-by-squid)
        start_squid
        client_saves_file --proxy 127.0.0.1:3128
        client_plays_live --proxy 127.0.0.1:3128 ;;
    client_sim-by-tinyproxy)
        start_tinyproxy
        client_saves_file --proxy 127.0.0.1:8888
        client_plays_live --proxy 127.0.0.1:8888
        # tinyproxy keeps the first Pragma line only, and ffmpeg says xPlayStrm in a later one: it cannot get through, by nobody's fault here.
        http_proxy=http://127.0.0.1:8888 packets_of mmsh://127.0.0.1/clip.wmv >"$work/got.md5"
        [ ! -s "$work/got.md5" ] || fail "ffmpeg got through tinyproxy: docs/protocols/http.md says it cannot" ;;
    nmap)
        # Of the seal "MMS " nmap's own probe for 1755 lacks the blank, which every server refuses: put right here.
        sed 's/^\(Probe TCP WMSRequest .*\)MMS\\x14/\1MMS \\x14/' /usr/share/nmap/nmap-service-probes >"$work/probes"
        ! cmp -s "$work/probes" /usr/share/nmap/nmap-service-probes || fail "nmap's probe has no slip to be put right"
        timeout -k 2 90 nmap -n -Pn -sV --versiondb "$work/probes" -p 80,1755 127.0.0.1 >"$work/nmap.log" 2>&1 || fail "$(cat "$work/nmap.log")"
        for line in '80/tcp +open +http +Microsoft Windows Media Services 4.1.0.3923' '1755/tcp +open +wms +Microsoft Windows Media Services 4.1.0.3930'; do
            grep -Eq "^$line" "$work/nmap.log" || fail "nmap does not see $line: $(cat "$work/nmap.log")"
        done ;;
    vlc-server)
        find_nobody
        ffmpeg -nostdin -v error -y -f lavfi -i "sine=frequency=440:sample_rate=8000:duration=60" -ac 1 -c:a pcm_s16le "$work/tone.wav"
        HOME="$work/vlc" timeout -k 2 60 "${as_nobody[@]}" cvlc -q --no-dbus --no-interact --play-and-exit \
            --sout '#std{access=mmsh,mux=asfh,dst=:8080/live}' --sout-asf-packet-size=1400 "$work/tone.wav" >"$work/vlc.log" 2>&1 &
        started+=("$!")
        await vlc_serves
        timeout 30 "$bin/client_sim" http://127.0.0.1:8080/live --duration 3 --save "$work/got.asf" --journal "$work/player.jsonl" \
            >"$work/client.log" 2>&1 || fail "client_sim: $(cat "$work/client.log" "$work/vlc.log")"
        grep -q '"event":"media-ended".*"packets":[1-9]' "$work/player.jsonl" || fail "no account of the media: $(cat "$work/client.log")"
        ffmpeg -nostdin -v error -i "$work/got.asf" -f s16le -y "$work/got.raw" 2>"$work/ffmpeg.log" || true
        [ "$(stat -c %s "$work/got.raw" 2>/dev/null || echo 0)" -ge 32000 ] ||
            fail "no two seconds of sound came from VLC: $(cat "$work/client.log" "$work/ffmpeg.log")" ;;
    *) fail "unknown program $program" ;;
esac
[ "$program" = vlc-server ] || stop_server
echo "ok: $program"
