# What the stories share: each types commands of the documentation, word by word, where they work. Read by stories/*.sh with
# their arguments BIN SOURCE; ../where/lib.sh has the hosts and the firewall.
#   documented [CODE] COMMAND          types it here, and expects the exit code (0); OUTPUT says where what it prints goes
#   documented_on HOST COMMAND         the same on a host of hosts_and_firewall
#   server COMMAND, server_on HOST COMMAND   in the background, as $server; `stop` ends all of them with SIGINT, as Ctrl-C does
#   the_end                            the last line of a story
#   elsewhere FILE TEXT COMMAND        not here: FILE, another test, types it, as TEXT shows
# A command that no story types, and one that is typed but no longer documented, make commands.py fail.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../where/lib.sh"
fresh_world "$@"
bin=$1 source=$2
chmod 755 "$work"
mkdir "$work/stand-ins" "$work/here"
PATH=$work/stand-ins:$bin:$PATH:/usr/sbin:/sbin
cd "$work/here"
OUTPUT=$work/output

stand_in() { # stand_in PROGRAM < SCRIPT: takes the program's place
    cat > "$work/stand-ins/$1"
    chmod +x "$work/stand-ins/$1"
}
stand_in sudo <<< '#!/bin/sh
exec "$@"'
ffplay_without_a_screen() { # it would play for ever: it is ended once it knows the stream
    stand_in ffplay <<< "#!/bin/sh
export SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
/usr/bin/ffplay -nodisp -analyzeduration 500000 \"\$@\" > $work/ffplay.log 2>&1 &
tries=200
until grep -q 'Input #0, asf' $work/ffplay.log || [ \$tries = 0 ]; do sleep 0.1; tries=\$((tries - 1)); done
kill \$!
cat $work/ffplay.log
[ \$tries != 0 ]"
}
names() { # names ADDRESS:NAME...: what the hosts are called
    { echo 127.0.0.1 localhost; for pair; do echo "${pair/:/ }"; done; } > "$work/hosts"
    mount --bind "$work/hosts" /etc/hosts
}

one_machine() { # this namespace, with the address 192.168.1.5, the name media and a few seconds of sound
    ip link set lo up
    ip link add eth0 type veth peer name cable
    ip link set cable up
    ip addr add 192.168.1.5/24 dev eth0
    ip link set eth0 up
    ip route add default dev eth0
    names 192.168.1.5:media
    sound
}
sound() { ffmpeg -nostdin -v error -y -f lavfi -i sine=duration=3 -c:a wmav2 -b:a 32k -packet_size 1400 lecture.wmv; }

typed() { printf '%s\n' "$1" >> "$TYPED"; }
said() { # said CODE WANTED COMMAND
    if [ "$1" = "$2" ]; then echo "ok    $3"; return; fi
    touch "$work/failed" # also from the background
    echo "WRONG $3"
    echo "  exit code $1, not $2"
    tr '\r' '\n' < "$OUTPUT" | tail -n 15 | cut -c1-300
}
documented() {
    local want=0 got=0
    [ $# = 1 ] || { want=$1; shift; }
    typed "$1"
    timeout 60 bash -c "$(sed "${REPLACE:-}" <<< "$1")" > "$OUTPUT" 2>&1 < /dev/null || got=$?
    said $got "$want" "$1"
}
documented_on() {
    local got=0
    typed "$1\$ $2"
    at "$1" timeout 60 bash -c "$2" > "$OUTPUT" 2>&1 < /dev/null || got=$?
    said $got 0 "$1\$ $2"
}
servers=()
started() { # started COMMAND: until it has printed where it serves, or its journal says that it is ready
    local tries=200 journal=${1##*--journal }
    server=$!
    servers+=($server)
    until [ -s "$work/out.${#servers[@]}" ] || { [ "$journal" != "$1" ] && grep -qs '"event":"ready"' "$journal"; }; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $server 2> /dev/null; then
            failed=1
            echo "WRONG $1"
            tail -n 15 "$work/err.${#servers[@]}"
            return
        fi
        sleep 0.05
    done
    echo "ok    $1"
}
server() {
    typed "$1"
    local number=$((${#servers[@]} + 1))
    rm -f "$work/out.$number"
    python3 "$here/foreground.py" "$1" > "$work/out.$number" 2> "$work/err.$number" &
    started "$1"
}
server_on() {
    typed "$1\$ $2"
    local number=$((${#servers[@]} + 1))
    rm -f "$work/out.$number"
    nsenter --target "${pid[$1]}" --net -- python3 "$here/foreground.py" "$2" > "$work/out.$number" 2> "$work/err.$number" &
    started "$2"
}
stop() { # in the other order: who pulls goes first
    local number got
    for ((number = ${#servers[@]}; number > 0; number--)); do
        got=0
        kill -INT "${servers[number - 1]}" 2> /dev/null || true
        timeout 10 tail --pid "${servers[number - 1]}" -f /dev/null || { failed=1; kill -KILL "${servers[number - 1]}"; }
        wait "${servers[number - 1]}" || got=$?
        [ $got = 0 ] && continue
        failed=1
        echo "WRONG a server ended with $got after Ctrl-C"
        tail -n 15 "$work/err.$number"
    done
    servers=()
}
elsewhere() {
    typed "$3"
    if grep -qF -e "$2" "$source/$1"; then echo "ok    $3 (typed by $1)"; return; fi
    failed=1
    echo "WRONG $1 has no \`$2\`: who runs \`$3\`?"
}
the_end() {

    [ ! -e "$work/failed" ] || failed=1
    exit $failed
}
