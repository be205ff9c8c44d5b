#!/usr/bin/env bash
# headers.sh BIN_DIR: files with pictures in their headers, of 12 to 140 KB, in a lab without rules: every flow passes, also where the
# deadline is much shorter than the time that the header takes at the stream's own rate.
set -euo pipefail
bin=$1
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"
ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x120:rate=10:duration=4 -f lavfi -i sine=duration=4 -c:v wmv2 -b:v 450k -c:a wmav2 -b:a 32k \
    -packet_size 1400 clip.wmv
python3 - <<'P'
import struct
import uuid
whole = open("clip.wmv", "rb").read()
size, count = struct.unpack("<QI", whole[16:28])
name = "WM/Picture".encode("utf-16le") + b"\0\0"
for kilobytes in (12, 30, 140):
    added, objects, left = b"", 0, kilobytes * 1000
    while left > 0:
        picture = b"\xAA" * min(left, 60000)
        body = struct.pack("<HH", 1, len(name)) + name + struct.pack("<HH", 1, len(picture)) + picture
        added += uuid.UUID("D2D0A440-E307-11D2-97F0-00A0C95EA850").bytes_le + struct.pack("<Q", 24 + len(body)) + body
        objects, left = objects + 1, left - len(picture)
    open(f"{kilobytes}.wmv", "wb").write(whole[:16] + struct.pack("<QI", size + len(added), count + objects) + whole[28:size] + added + whole[size:])
P
{
    cat <<'Y'
version: 1
name: large headers
zones:
  inside: { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media: { zone: inside, address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content:
Y
    for size in 12 30 140; do echo "  picture$size: { file: $size.wmv }"; done
    echo "flows:"
    for size in 12 30 140; do
        for type in mms-udp mms-tcp mms-auto http; do
            for deadline in 500ms 3s; do
                echo "  - { id: $type-$size-$deadline, type: $type, from: player, to: media, content: picture$size, play: 1s, deadline: $deadline }"
            done
        done
    done
} >scenario.yaml
"$bin/wmlab" run scenario.yaml --no-color --report json:report.json >out 2>&1 || true
python3 - <<'P' || { cat out; exit 1; }
import json
flows = json.load(open("report.json"))["flows"]
wrong = [flow["id"] + ": " + flow["verdict"] + " " + str(flow.get("transport")) for flow in flows
         if flow["verdict"] != "pass" or (flow["id"].startswith("mms-auto") and flow["transport"] != "udp")]
print("FAILED: " + ", ".join(wrong) if wrong else f"ok: {len(flows)} flows passed")
raise SystemExit(1 if wrong or len(flows) != 24 else 0)
P
