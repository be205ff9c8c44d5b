#!/bin/bash
# docs/how-to/use-the-simulators.md, serve and play, on one machine with the address 192.168.1.5.
set -eu
. "$(dirname "$0")/../story.sh"
one_machine
# VLC and ffplay without a screen, and not as root.
nobody="setpriv --reuid nobody --regid nogroup --clear-groups --"
$nobody true 2> /dev/null || nobody="unshare -U --map-user=65534 --map-group=65534 --" # root of a user namespace only
mkdir -m 777 "$work/vlc"
stand_in vlc <<< "#!/bin/sh
HOME=$work/vlc exec timeout 20 $nobody /usr/bin/cvlc -q --no-dbus --no-interact --play-and-exit --sout '#std{access=file,mux=asf,dst=$work/vlc/got.asf}' \"\$@\" vlc://quit"
ffplay_without_a_screen

server 'server_sim --content lecture.wmv --content radio=synthetic:64k'
documented 'client_sim mms://192.168.1.5/lecture --save got.asf'
check "saved" yes "$([ -s got.asf ] && echo yes)"
documented 'ffplay mmst://192.168.1.5/radio'
documented 'vlc mmsu://192.168.1.5/lecture'
check "VLC got it" yes "$([ -s "$work/vlc/got.asf" ] && echo yes)"
documented 'client_sim mmsu://media/lecture --udp-ports 1024-5000 --duration 3'
stop

the_end
