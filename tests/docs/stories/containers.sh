#!/bin/bash
# docs/how-to/compose.md, packages.md: what needs a Docker engine or a bare Debian is typed by other tests. And
# docs/how-to/containerlab.md: a stand-in for containerlab reads the topology and makes its cables and nodes.
set -eu
. "$(dirname "$0")/../story.sh"
elsewhere tests/compose/engine.sh 'docker build -f lab/Dockerfile -t wmlab:local .' 'docker build -f lab/Dockerfile -t wmlab:local .'
elsewhere tests/compose/run.sh 'docker-compose -f lab/compose.yaml up --exit-code-from judge' 'docker-compose -f lab/compose.yaml up --exit-code-from judge'
elsewhere tests/compose/run.sh 'RULESET=$PWD/new.nft docker-compose -f lab/compose.yaml up --exit-code-from judge' 'RULESET=$PWD/new.nft docker-compose -f lab/compose.yaml up --exit-code-from judge'
for line in 'cmake --build --preset release' 'cd build/release && cpack -G DEB'; do elsewhere tests/package/deb.sh "$line" "$line"; done
elsewhere tests/package/deb.sh 'apt-get install ./wmlab_*.deb' 'apt-get install ./wmlab_*.deb'

mkdir lab
cp "$source/lab/wmlab.clab.yml" lab
cp -r "$source/scenarios" .
sed "s|ruleset:.*|ruleset: rules/kb189416.nft|" "$source/tests/where/scenario.yaml" > scenarios/my-site.yaml
stand_in containerlab <<< "#!/bin/sh
exec /usr/bin/python3 $here/containerlab.py $work/nodes \"\$@\""
stand_in docker <<< "#!/bin/sh
[ \"\$1 \$2\" = 'exec -i' ] || exit 1
node=\$3
shift 3
exec nsenter --target \$(cat $work/nodes/\$node) --net --mount -- \"\$@\""
documented 'sudo containerlab deploy -t lab/wmlab.clab.yml'
documented "wmlab run scenarios/my-site.yaml --launch media='docker exec -i clab-wmlab-media' --launch player='docker exec -i clab-wmlab-player' --launch studio='docker exec -i clab-wmlab-studio' --launch edge='docker exec -i clab-wmlab-edge'"
documented 'sudo containerlab destroy -t lab/wmlab.clab.yml'
the_end
