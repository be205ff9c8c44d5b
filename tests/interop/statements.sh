#!/usr/bin/env bash
# statements.sh BIN_DIR: what the specifications say a server does, statement by statement with its section, told by the
# bytes that a hand-made player gets; the seek table; and packets that never reach a third party.
bin=$1
. "$(dirname "$0")/common.sh"
for address in 127.0.0.2 127.0.0.3 127.0.0.4; do ip address add $address/8 dev lo 2>/dev/null || true; done
ip route add multicast 224.0.0.0/4 dev lo 2>/dev/null || true

film() { # FILE SECONDS PICTURES_BETWEEN_KEY_FRAMES MORE...
    ffmpeg -nostdin -v error -y -f lavfi -i "testsrc=size=160x120:rate=10:duration=$2" -f lavfi -i "sine=duration=$2" -c:v wmv2 -b:v 100k \
        -g "$3" -c:a wmav2 -b:a 32k "${@:4}" "$work/$1"
}
film av.wmv 6 10 -packet_size 1400
film long.wmv 20 50 -packet_size 1400
film dense.wmv 12 5 -packet_size 3200
film large.wmv 12 30 -packet_size 16000
film pieces.wmv 4 10 -packet_size 333
ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x120:rate=10:duration=12 -c:v wmv2 -b:v 80k -g 20 -packet_size 1400 "$work/silent.wmv"
ffmpeg -nostdin -v error -y -f lavfi -i sine=duration=12 -c:a wmav2 -b:a 32k -packet_size 700 "$work/sound.wma"
cp "$work/av.wmv" "$work/my clip 50% ä.wmv"
files=()
for file in av long dense large silent pieces; do files+=(--content "$work/$file.wmv"); done
"$bin/server_sim" "${files[@]}" --content "$work/sound.wma" --content "$work/my clip 50% ä.wmv" --content live=synthetic:64k \
    --station live=239.1.2.3:8080,ttl=1 --bind 127.0.0.1 --journal "$work/media.jsonl" >"$work/urls" 2>"$work/server.log" &
server=$!
started+=("$server")
await journal_has '"ready"'
python3 "$(dirname "$0")/statements.py" "$work" || fail "a statement does not hold"
stop_server
