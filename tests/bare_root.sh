# bare_root DIRECTORY: a bare Debian 12, with this machine's package sources; from $source/build, where it is kept for a day. Read
# by the tests that need one, which may run at the same time.
bare_root() {
    local cache=$source/build/bookworm.tar
    mkdir -p "$source/build"
    (
        flock 9
        if [ ! -s "$cache" ] || [ -n "$(find "$cache" -mmin +1440)" ]; then
            local fresh
            fresh=$(mktemp -d)
            debootstrap --variant=minbase bookworm "$fresh" > "$fresh.log" 2>&1 || { tail -n 20 "$fresh.log"; exit 1; }
            [ ! -d /etc/apt ] || cp -r /etc/apt/. "$fresh/etc/apt/"
            tar -C "$fresh" -cf "$cache.new" .
            mv "$cache.new" "$cache"
            rm -rf "$fresh" "$fresh.log"
        fi
    ) 9> "$cache.lock"
    mkdir -p "$1"
    tar -C "$1" -xf "$cache"
    chmod 755 "$1" # it was made in a directory of mktemp: `nobody` could not enter it
}
