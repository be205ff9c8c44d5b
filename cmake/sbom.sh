#!/bin/sh
# A software bill of materials, SPDX 2.3 as JSON: the programs and the packages of the libraries they are linked to, as
# the build machine has them.    sbom.sh BIN VERSION > wmlab.spdx.json
set -eu
bin=$1 version=$2
libraries=$(for program in wmlab server_sim client_sim encoder_sim; do ldd "$bin/$program"; done | awk '$3 ~ /^\// { print $3 }' | sort -u)
files=$(for library in $libraries; do readlink -f "$library"; done)
# A library may be known by its path with or without /usr.
owners=$(dpkg-query -S $files $(echo "$files" | sed 's|^/usr||') $libraries 2>/dev/null | sed 's/:.*//' | sort -u)
packages=$([ -z "$owners" ] || dpkg-query -W -f '${Package} ${Version} ${source:Package} ${source:Version}\n' $owners | sort -u)
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)
cat <<HEAD
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "wmlab-$version",
  "documentNamespace": "https://wmlab.example/spdx/wmlab-$version",
  "creationInfo": { "created": "$created", "creators": ["Tool: wmlab-sbom"] },
  "documentDescribes": ["SPDXRef-wmlab"],
  "packages": [
    { "SPDXID": "SPDXRef-wmlab", "name": "wmlab", "versionInfo": "$version", "downloadLocation": "NOASSERTION", "filesAnalyzed": false }
HEAD
relations=
for line in $(echo "$packages" | tr ' ' '|'); do
    name=${line%%|*} rest=${line#*|}
    package_version=${rest%%|*} rest=${rest#*|}
    source=${rest%%|*} source_version=${rest#*|}
    id="SPDXRef-$(echo "$name" | tr -c 'A-Za-z0-9.\n' '-')"
    printf '    ,{ "SPDXID": "%s", "name": "%s", "versionInfo": "%s", "sourceInfo": "built from %s %s", "downloadLocation": "NOASSERTION", "filesAnalyzed": false,\n' "$id" "$name" "$package_version" "$source" "$source_version"
    printf '      "externalRefs": [{ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:deb/debian/%s@%s" }] }\n' "$name" "$(echo "$package_version" | sed 's/+/%2B/g; s/:/%3A/g')"
    relations="$relations${relations:+,
    }{ \"spdxElementId\": \"SPDXRef-wmlab\", \"relationshipType\": \"DYNAMIC_LINK\", \"relatedSpdxElement\": \"$id\" }"
done
cat <<TAIL
  ],
  "relationships": [
    { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-wmlab" }${relations:+,
    }$relations
  ]
}
TAIL
