#!/bin/bash
# The package, by the commands of docs/how-to/packages.md and docs/ci: made, installed on a bare Debian 12, run there, removed.
#   deb.sh BUILD SOURCE
# Needs root and debootstrap, and the package sources of this machine. WMLAB_WITHOUT_DOCKER=1 leaves it out.
set -eu
here=$(dirname "$(readlink -f "$0")")
. "$here/../real_root.sh"
. "$here/../bare_root.sh"
[ -z "${WMLAB_WITHOUT_DOCKER:-}" ] || { echo "skipped: WMLAB_WITHOUT_DOCKER is set"; exit 77; }
real_root "$@"
[ -n "${WMLAB_WORLD:-}" ] || exec env WMLAB_WORLD=yes unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
build=$1 source=$2
work=$(mktemp -d /tmp/wmlab-deb-XXXXXX)
cleanup() { umount -R "$work/root" 2> /dev/null || true; rm -rf --one-file-system "$work"; }
trap cleanup EXIT
quietly() { "$@" > "$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }; }

if [ "$build" = "$source/build/release" ]; then
    cd "$source"
    quietly cmake --build --preset release
    rm -f build/release/wmlab_*.deb
    (cd build/release && cpack -G DEB) > "$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }
    mv build/release/wmlab_*.deb "$work"
else
    (cd "$work" && cpack --config "$build/CPackConfig.cmake" -G DEB) > "$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }
fi
deb=$(echo "$work"/wmlab_*.deb)
dpkg-deb --info "$deb" | sed -n 's/^ Depends/Depends/p'
mkdir "$work/root"
mount --bind "$work/root" "$work/root" # as a machine's root is: a mount point, where the lab mounts its own files
bare_root "$work/root"
cp /etc/resolv.conf "$work/root/etc/resolv.conf" 2> /dev/null || true
echo "127.0.0.1 localhost" > "$work/root/etc/hosts" # debootstrap makes none, Debian's installer does; wmlab says so where there is none
mkdir -p "$work/root/site/ci"
cp "$deb" "$work/root/site"
cp "$deb" "$work/root/site/ci"
in_root() { chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy=$http_proxy} "$@"; }
mount -t proc proc "$work/root/proc"
# As the manual says, then as the recipes say.
quietly in_root sh -c 'cd /site && apt-get update -qq && yes | apt-get install ./wmlab_*.deb'
quietly in_root sh -c 'cd /site && apt-get update && apt-get install -y --no-install-recommends ./ci/wmlab_*_amd64.deb git'
for program in wmlab server_sim client_sim encoder_sim; do in_root $program --version; done
quietly in_root wmlab run /usr/share/wmlab/scenarios/kb189416.yaml --no-color
tail -n 1 "$work/log"
for file in share/man/man1/wmlab.1 share/bash-completion/completions/wmlab share/doc/wmlab/wmlab.spdx.json; do
    [ -s "$work/root/usr/$file" ] || [ -s "$work/root/usr/$file.gz" ] || { echo "no $file in the package"; exit 1; }
done
quietly in_root dpkg --remove wmlab
! in_root sh -c 'command -v wmlab'
echo "installed, ran, removed"
