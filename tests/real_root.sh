# For tests whose peer needs the machine's root (sshd logs in as others, Samba changes groups). Read by other scripts.
#   real_root "$@"   as an ordinary user: runs the calling script again by sudo, which test.sh has used already to install
#                    packages; where sudo would ask for a password the test is skipped, and says so
real_root() {
    [ "$(id -u)" != 0 ] || return 0
    if sudo -n true 2>/dev/null; then exec sudo -n env PATH="$PATH" "$0" "$@"; fi
    echo "skipped: $(basename "$0") needs root, and sudo asks for a password: run the tests as root, or after sudo -v"
    exit 77
}
