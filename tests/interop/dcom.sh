#!/usr/bin/env bash
# dcom.sh PROGRAM BIN_DIR: real DCE/RPC programs against server_sim's DCOM on port 135 of a network namespace of its own
# (impacket, nmap, rpcclient), or client_sim against Samba's endpoint mapper (samba). Where server_sim serves, the
# captured session must be one that Wireshark dissects without complaint.
set -euo pipefail
program=$1 bin=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../real_root.sh"
if [ "${WMLAB_IN_NAMESPACE:-}" != yes ]; then
    [ "$program" != samba ] || real_root "$@"  # it changes groups
    export WMLAB_IN_NAMESPACE=yes
    if [ "$(id -u)" = 0 ]; then exec unshare -n -- "$0" "$@"; fi
    exec unshare -rn -- "$0" "$@"
fi
ip link set lo up
ip address add 10.66.1.10/32 dev lo
host=10.66.1.10
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
    tail -c 3000 "$work/out" >&2 || true
    tail -c 2000 "$work/server.log" >&2 || true
    exit 1
}
await() { # until a condition holds; a broken build must not hang
    local tries=300
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "waited in vain for: $*"
        read -rt 0.1 <> <(:) || true
    done
}
has() { grep -qE -- "$1" "$work/out" || fail "no /$1/ in the output of $program"; }

# Samba's programs with everything of theirs in $work.
mkdir "$work"/{private,lock,state,cache,pid,ncalrpc}
cat >"$work/smb.conf" <<EOF
[global]
server role = standalone server
rpc start on demand helpers = false
private dir = $work/private
lock directory = $work/lock
state directory = $work/state
cache directory = $work/cache
pid directory = $work/pid
ncalrpc dir = $work/ncalrpc
interfaces = lo
bind interfaces only = yes
rpc server dynamic port range = 3001-3010
EOF
rpc() { run rpcclient -s "$work/smb.conf" -U% -c "$@"; }
run() { timeout 100 "$@" >"$work/out" 2>&1; }
if [ "$program" = samba ]; then
    /usr/libexec/samba/samba-dcerpcd -s "$work/smb.conf" --libexec-rpcds -F --no-process-group --debug-stdout \
        >"$work/server.log" 2>&1 &
    server=$!
    answered() { timeout 20 "$bin/client_sim" --endpoints 127.0.0.1 >"$work/out" 2>&1; }
    await answered
    # winreg and the endpoint mapper itself, each with its port; it has no object resolver, and the administrator says so.
    has '^tcp .*\[300[0-9]\].* 338CD001-2244-31F1-AAAA-900038001003 v1.0'
    has ' endpoints$'
    ! timeout 20 "$bin/client_sim" --admin 127.0.0.1 >"$work/out" 2>&1 || fail "Samba has no objects to administrate"
    has 'IObjectExporter: provider_rejection: abstract_syntax_not_supported'
    exit 0
fi

dumpcap -q -i lo -w "$work/session.pcapng" >"$work/dumpcap.log" 2>&1 &
capture=$!
await test -s "$work/session.pcapng"
"$bin/server_sim" --bind $host --reserved-ports "3001-3010 135" --journal "$work/media.jsonl" >"$work/server.log" 2>&1 &
server=$!
await grep -qs '"event":"ready"' "$work/media.jsonl"

case $program in
    rpcdump)
        run /usr/bin/python3 /usr/share/doc/python3-impacket/examples/rpcdump.py $host
        has 'ncacn_ip_tcp:10.66.1.10\[3001\]'
        has 'ncadg_ip_udp:10.66.1.10\[3001\]'
        has '99FCFEC4-5260-101B-BBCB-00AA0021347A v0.0'
        has 'Received 8 endpoints' ;;
    impacket)
        run /usr/bin/python3 "$here/dcom_impacket.py" $host || fail "impacket does not agree"
        has 'RemoteActivation 10.66.1.10\[3002\]'
        has 'RemoteCreateInstance 10.66.1.10\[3002\]' ;;
    damage)
        run /usr/bin/python3 "$here/dcom_damage.py" $host || fail "damage"
        has 'datagrams ok'
        grep -q '"event":"malformed"' "$work/media.jsonl" || fail "nothing malformed in the journal"
        rpc epmlookup ncacn_ip_tcp:$host || fail "nobody is served after the damage" ;;
    nmap)
        run nmap -Pn -n -sV -p135 $host
        has '135/tcp open +msrpc +Microsoft Windows RPC' ;;
    rpcclient)
        rpc epmlookup ncacn_ip_tcp:$host || fail "epmlookup"
        has 'epm_Lookup no more entries'
        # Samba 4.22 has another list of interfaces that it can ask for.
        if rpc 'epmmap IOXIDResolver ncacn_ip_tcp' ncacn_ip_tcp:$host; then
            has 'tower\[0\] ncacn_ip_tcp:10.66.1.10\[135,'
        else
            has 'unknown interface: IOXIDResolver'
            ! rpc 'epmmap epmapper ncacn_ip_tcp' ncacn_ip_tcp:$host || fail "epmmap of an interface that is not registered"
            has 'epm_Map returned .*0x16C9A0D6' # EPT_S_NOT_REGISTERED
        fi ;;
    client_sim)
        for way in "" --udp; do
            run "$bin/client_sim" --admin $host --processes 10 $way || fail "--admin $way"
            has '10 processes answered on ports 3001, 3002, .*, 3010'
        done
        run "$bin/client_sim" --endpoints $host || fail "--endpoints"
        has '^udp 10.66.1.10\[3001\] SimWMProcess v1.0 Windows Media: media service' ;;
    *) fail "unknown program" ;;
esac
kill "$capture"
wait "$capture" || true
capture=
# nmap and damage mean to send what is no RPC.
if [ "$program" != nmap ] && [ "$program" != damage ]; then
    bad=$(tshark -n -r "$work/session.pcapng" -Y '_ws.malformed || _ws.unreassembled' 2>/dev/null)
    [ -z "$bad" ] || fail "Wireshark complains: $bad"
fi
