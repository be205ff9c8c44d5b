#!/bin/bash
# README, from the clone to the first verdict. The build itself is what this test's programs came from: cmake and ctest are
# stand-ins that say how they are called.
set -eu
. "$(dirname "$0")/../story.sh"
cp "$source"/{run,test}.sh .
cp -r "$source"/{scripts,scenarios} .
mkdir -p build/release
ln -s "$bin" build/release/bin
touch build/release/build.ninja
echo WMLAB_TESTS:BOOL=ON > build/release/CMakeCache.txt
for program in cmake ctest apt-get; do stand_in $program <<< "#!/bin/sh
echo \"$program \$*\" >> $work/called"; done
stand_in setpriv <<< '#!/bin/sh
true' # everybody can read the sandbox
stand_in dpkg-query <<< '#!/bin/sh
echo "ii "'
export WMLAB_WITHOUT_DOCKER=1

documented './run.sh'
contains "run.sh runs the main scenario" "$(cat "$OUTPUT")" "35 as expected, 0 not"
contains "run.sh builds" "$(cat "$work/called")" "cmake --build --preset release --target wmlab"
mount --bind "$source/scenarios/rules/kb189416.nft" /etc/nftables.conf
documented './run.sh scenarios/kb189416.yaml --ruleset /etc/nftables.conf'
documented './test.sh'
contains "test.sh builds everything" "$(cat "$work/called")" "cmake --build --preset release
"
contains "test.sh runs all tests" "$(cat "$work/called")" "ctest --preset release"
the_end
