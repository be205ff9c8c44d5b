#!/usr/bin/env bash
# table.sh BIN_DIR: every program with every content, stored and live, by every transport it has; judged by the packets that
# arrived in what the program wrote, never by exit statuses. Prints the table. The programs run beside each other, the contents of
# one program one after the other.
bin=$1
. "$(dirname "$0")/common.sh"
for address in 127.0.0.2 127.0.0.3; do ip address add $address/8 dev lo 2>/dev/null || true; done
find_nobody

make_clip
clips=$work/clips
mkdir "$clips"
mv "$work/clip.wmv" "$clips/wmv.wmv"
ffmpeg -nostdin -v error -y -f lavfi -i sine=duration=4 -c:a wmav2 -b:a 32k -packet_size 1400 "$clips/wma.wma"
ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x120:rate=10:duration=4 -f lavfi -i sine=duration=4 -map 0:v -map 0:v -map 1:a \
    -c:v wmv2 -b:v:0 60k -b:v:1 150k -g 10 -c:a wmav2 -b:a 32k -packet_size 1400 "$clips/rates.wmv"
# A recording that was never finished: no counts, and the broadcast flag.
ffmpeg -nostdin -v error -y -i "$clips/wmv.wmv" -c copy -packet_size 1400 -f asf - >"$clips/recording.wmv"
# 12 KB of picture in the header.
python3 - "$clips/wmv.wmv" "$clips/picture.wmv" <<'P'
import struct, sys, uuid
whole = open(sys.argv[1], "rb").read()
name, picture = "WM/Picture".encode("utf-16le") + b"\0\0", b"\xAA" * 12000
body = struct.pack("<HH", 1, len(name)) + name + struct.pack("<HH", 1, len(picture)) + picture
added = uuid.UUID("D2D0A440-E307-11D2-97F0-00A0C95EA850").bytes_le + struct.pack("<Q", 24 + len(body)) + body
size, count = struct.unpack("<QI", whole[16:28])
open(sys.argv[2], "wb").write(whole[:16] + struct.pack("<QI", size + len(added), count + 1) + whole[28:size] + added + whole[size:])
P
"$bin/server_sim" --content loop="$clips/wmv.wmv" --loop --bind 127.0.0.2 --journal "$work/loop.jsonl" >/dev/null 2>"$work/loop.log" &
started+=("$!")
"$bin/encoder_sim" --content "$clips/wmv.wmv" --msbd-port 7007 --bind 127.0.0.3 --journal "$work/encoder.jsonl" >/dev/null 2>"$work/encoder.log" &
started+=("$!")
await grep -qs '"ready"' "$work/loop.jsonl"
await grep -qs '"ready"' "$work/encoder.jsonl"
files=()
for file in "$clips"/*; do files+=(--content "$file"); done
"$bin/server_sim" "${files[@]}" --content tone=synthetic:64k --pull msbd=msbd://127.0.0.3:7007 --pull web=http://127.0.0.2/loop \
    --bind 127.0.0.1 --close-after-end 1 --journal "$work/media.jsonl" >/dev/null 2>"$work/server.log" &
started+=("$!")
await journal_has '"ready"'

stored=(wmv wma rates recording picture)
live=(tone loop msbd web)
host_of() { [ "$1" = loop ] && echo 127.0.0.2 || echo 127.0.0.1; }
packets_in() { # FILE: of all streams together; of sound without a container, 100 ms a packet
    if [ -s "$1.raw" ]; then echo $(($(stat -c %s "$1.raw") / 800)); return; fi
    ffprobe -v error -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$1" 2>/dev/null | tr -dc '0-9\n' |
        awk '{ all += $1 } END { print all + 0 }'
}
get() { # PROGRAM SCHEME CONTENT FILE: as much as comes in about four seconds
    local url=$2://$(host_of "$3")/$3 out=$4
    case $1 in
        ffmpeg) timeout -k 1 25 ffmpeg -nostdin -v error -y -t 3 -i "$url" -c copy -f asf "$out" ;;
        mplayer) timeout -k 1 7 mplayer -really-quiet -noconfig all -nolirc -nocache -dumpstream -dumpfile "$out" "$url" </dev/null ;;
        mpv) timeout -k 1 25 mpv --no-config --no-terminal --vo=null --ao=null --length=3 --stream-record="$out.mkv" "$url"
            mv "$out.mkv" "$out" ;;
        vlc) # has no container for mu-law sound
            local sink="mux=asf,dst=$out"
            [ "$3" != tone ] || sink="mux=dummy,dst=$out.raw"
            HOME=$work/vlc timeout -k 1 25 "${as_nobody[@]}" cvlc -q --no-dbus --no-interact --run-time 4 --play-and-exit \
            --sout "#std{access=file,$sink}" "$url" vlc://quit ;;
        libmms) timeout -k 1 25 "$bin/libmms_dump" "$url" "$out" 40000 ;;
        curl) timeout -k 1 25 curl -sS --max-time 5 -o "$out" "$url" ;;
        wget) timeout -k 1 5 wget -q -O "$out" "$url" ;;
        client_sim) timeout -k 1 40 "$bin/client_sim" "$url" --duration 3 --save "$out" ;;
    esac >"$out.log" 2>&1 </dev/null || true
}
run() { # PROGRAM SCHEME...: its row
    local program=$1 scheme content
    shift
    for scheme; do
        for content in "${stored[@]}" "${live[@]}"; do
            get "$program" "$scheme" "$content" "$work/vlc/$program-$scheme-$content"
            echo "$program $scheme $content $(packets_in "$work/vlc/$program-$scheme-$content")" >>"$work/table"
        done
    done
}
rows=("ffmpeg mmst mmsh" "mplayer mmst mmsh" "mpv mmst mmsh" "vlc mmst mmsu mmsh" "libmms mmst" "curl http" "wget http" "client_sim mmst mmsu mmsh")
chains=()
for row in "${rows[@]}"; do
    # shellcheck disable=SC2086 # a row is a list of words
    run $row &
    chains+=("$!")
done
wait "${chains[@]}"

wrong=
printf '%-11s %-5s' program by
printf '%10s' "${stored[@]}" "${live[@]}"
echo
for row in "${rows[@]}"; do
    read -ra words <<<"$row"
    for scheme in "${words[@]:1}"; do
        printf '%-11s %-5s' "${words[0]}" "$scheme"
        for content in "${stored[@]}" "${live[@]}"; do
            got=$(awk -v p="${words[0]}" -v s="$scheme" -v c="$content" '$1 == p && $2 == s && $3 == c { print $4 }' "$work/table")
            printf '%10s' "${got:-none}"
            if [ "${got:-0}" -lt 20 ]; then wrong="$wrong ${words[0]}/$scheme/$content"; fi
        done
        echo
    done
done
[ -z "$wrong" ] || fail "fewer than 20 packets arrived:$wrong"
echo "ok: every program got every content"
