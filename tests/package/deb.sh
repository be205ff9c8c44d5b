#!/bin/bash
# The .deb installs on a bare Debian 12 and runs there.   deb.sh BUILD SOURCE
# A bare root is made by debootstrap, or copied from $WMLAB_BARE_ROOT.
set -eu
build=$1 source=$2
work=$(mktemp -d /tmp/wmlab-deb-XXXXXX)
cleanup() { umount "$work/root/proc" 2>/dev/null || true; rm -rf --one-file-system "$work"; }
trap cleanup EXIT

(cd "$work" && cpack --config "$build/CPackConfig.cmake" -G DEB > "$work/log") || { cat "$work/log"; exit 1; }
deb=$(echo "$work"/wmlab_*.deb)
dpkg-deb --info "$deb" | sed -n 's/^ Depends/Depends/p'
if [ -n "${WMLAB_BARE_ROOT:-}" ]; then cp -a "$WMLAB_BARE_ROOT" "$work/root"; else debootstrap --variant=minbase bookworm "$work/root" > "$work/log"; fi
cp "$deb" "$work/root/wmlab.deb"
cp /etc/resolv.conf "$work/root/etc/resolv.conf" 2>/dev/null || true
[ ! -d /etc/apt ] || cp -r /etc/apt/. "$work/root/etc/apt/"
in_root() { chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy=$http_proxy} "$@"; }
in_root sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends /wmlab.deb' > "$work/log" 2>&1 || { tail "$work/log"; exit 1; }
mount -t proc proc "$work/root/proc"
for program in wmlab server_sim client_sim; do in_root $program --version; done
in_root wmlab run /usr/share/wmlab/scenarios/kb189416.yaml --only 'unicast-*' --no-color
for file in share/man/man1/wmlab.1 share/bash-completion/completions/wmlab share/doc/wmlab/wmlab.spdx.json; do
    [ -s "$work/root/usr/$file" ] || [ -s "$work/root/usr/$file.gz" ] || { echo "no $file in the package"; exit 1; }
done
in_root dpkg --remove wmlab > "$work/log"
! in_root sh -c 'command -v wmlab'
echo "installed, ran, removed"
