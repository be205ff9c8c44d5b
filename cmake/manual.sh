#!/bin/sh
# Manual pages and completion for bash, zsh and fish, made from what the programs themselves say, so that they cannot differ from
# the option tables: wmlab with --help-json, an option a line, the simulators with --help.    manual.sh BIN DIRECTORY VERSION
set -eu
bin=$1 out=$2 version=$3
mkdir -p "$out/man" "$out/bash" "$out/zsh" "$out/fish"
table=$out/options.tsv
: > "$table"

# "  -q [ --quiet ]   what it does" -> "run<TAB>--quiet<TAB>0<TAB>what it does"; the fourth word says that a value follows
options_of() { # options_of COMMAND < help
    awk -v command="$1" '
        function put() { if (option != "") printf "%s\t%s\t%d\t%s\n", command, option, value, text; option = "" }
        /^  +(-[a-zA-Z] \[ )?--[a-z]/ {
            put()
            line = $0
            match(line, /--[a-z][a-z-]*/)
            option = substr(line, RSTART, RLENGTH)
            rest = substr(line, RSTART + RLENGTH)
            sub(/^ \]/, "", rest)
            sub(/^ \[=[^ ]*\]/, "", rest) # a value that may be left out
            value = rest ~ /^ [A-Za-z(\[]/
            if (value) sub(/^ [^ ]+/, "", rest)
            sub(/^ *\(=[^)]*\)/, "", rest)
            sub(/^ +/, "", rest)
            text = rest
            next
        }
        /^ +[^ ]/ && option != "" { more = $0; sub(/^ +/, "", more); text = text (text == "" || text ~ / $/ ? "" : " ") more; next }
        { put() }
        END { put() }' | sed "s/['\`\"\\\\\$]//g; s/ *\$//"
}

options_json() { # the same from COMMAND --help-json
    sed -nE "s/^  \{ \"name\": \"([^\"]*)\", \"letter\": [^,]*, \"value\": (null|\"[^\"]*\"), \"repeatable\": [a-z]*, \"description\": \"(.*)\" \},?$/$1\t--\1\t\2\t\3/p" |
        awk -F'\t' '{ printf "%s\t%s\t%d\t%s\n", $1, $2, $3 != "null", $4 }' | sed "s/['\`\"\\\\\$]//g"
}

roff() { sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'; }

commands=$("$bin/wmlab" --help-json | sed -nE 's/^  \{ "name": "([a-z]+)".*/\1/p')
summary() { "$bin/wmlab" --help-json | sed -nE "s/^  \{ \"name\": \"$1\", \"summary\": \"(.*)\" \},?$/\1/p" | sed "s/['\`\"]//g"; }
for command in $commands; do "$bin/wmlab" "$command" --help-json | options_json "$command" >> "$table"; done
for program in server_sim client_sim encoder_sim; do "$bin/$program" --help 2>/dev/null | options_of "$program" >> "$table" || true; done

{
    printf '.TH WMLAB 1 "" "wmlab %s" "User Commands"\n.SH NAME\nwmlab \\- which streams of Windows Media Services 4.1 pass a firewall\n' "$version"
    printf '.SH DESCRIPTION\n.nf\n'
    "$bin/wmlab" --help | roff
    printf '.fi\n'
    for command in $commands; do
        printf '.SH "WMLAB %s"\n.nf\n' "$(echo "$command" | tr a-z A-Z)"
        "$bin/wmlab" "$command" --help | roff
        printf '.fi\n'
    done
    printf '.SH "SEE ALSO"\n.BR server_sim (1),\n.BR client_sim (1),\n.BR encoder_sim (1),\n.BR nft (8)\n'
} > "$out/man/wmlab.1"
for program in server_sim client_sim encoder_sim; do
    {
        printf '.TH %s 1 "" "wmlab %s" "User Commands"\n.SH NAME\n' "$(echo $program | tr a-z A-Z)" "$version"
        case $program in
            server_sim) echo '%s \- simulates a Windows Media server' ;;
            client_sim) echo '%s \- simulates a Windows Media player' ;;
            encoder_sim) echo '%s \- simulates a Windows Media encoder' ;;
        esac | sed "s/%s/$program/"
        printf '.SH DESCRIPTION\n.nf\n'
        "$bin/$program" --help 2>/dev/null | roff
        printf '.fi\n.SH "SEE ALSO"\n.BR wmlab (1)\n'
    } > "$out/man/$program.1"
done

codes=$("$bin/wmlab" explain | sed -nE 's/^  ([a-z-]+) .*/\1/p')
formats=$("$bin/wmlab" run --help-json | sed -nE 's/.*"name": "report".*formats: ([a-z, ]+)".*/\1/p' | tr -d ,)
# What stands behind an option: names of the scenario on the line, or words that are always the same.
kind_of() { # kind_of OPTION
    case $1 in
        --only) echo flows ;;
        --tag) echo tags ;;
        --launch | --opened-by) echo hosts ;;
        --attach) echo zones ;;
        --report) echo formats ;;
    esac
}

words() { awk -F'\t' -v command="$1" '$1 == command { printf "%s%s", sep, $2; sep = " " }' "$table"; }
{
    echo "# bash completion for wmlab and its simulators"
    cat << 'BASH'
_wmlab_names() { # _wmlab_names flows|hosts|zones|tags: of the scenario on the line
    local scenario
    for scenario in "${COMP_WORDS[@]:2}"; do
        case $scenario in *.yaml | *.yml) ;; *) continue ;; esac
        [ ! -f "$scenario" ] || "${COMP_WORDS[0]}" list --names "$1" "$scenario" 2> /dev/null
    done
}
_wmlab_words() { # _wmlab_words WORDS: those that begin as what is typed, whatever is in them
    local name
    COMPREPLY=()
    while IFS= read -r name; do
        case $name in ?*) case $name in "$word"*) COMPREPLY+=("${name#"$strip"}") ;; esac ;; esac
    done <<< "$1"
}
BASH
    echo "_wmlab() {"
    echo "    local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]:-} options= strip="
    echo '    case "$word $before" in # bash takes site=lyon for three words'
    echo '        "= "*) strip=$before= word=$strip before=${COMP_WORDS[COMP_CWORD - 2]} ;;'
    echo '        *" =") strip=${COMP_WORDS[COMP_CWORD - 2]}= before=${COMP_WORDS[COMP_CWORD - 3]} && word=$strip$word ;;'
    echo "    esac"
    echo "    if [ \"\$COMP_CWORD\" = 1 ]; then COMPREPLY=(\$(compgen -W '$(echo $commands) help version --help --version' -- \"\$word\")); return; fi"
    echo "    case \$command in"
    for command in $commands; do echo "        $command) options='$(words "$command")' ;;"; done
    echo "    esac"
    echo "    case \$before in"
    for option in --only --tag --launch --opened-by --attach; do echo "        $option) _wmlab_words \"\$(_wmlab_names $(kind_of $option))\"; return ;;"; done
    echo "        --report) COMPREPLY=(\$(compgen -W '$formats' -- \"\$word\")); return ;;"
    echo "    esac"
    echo "    case \$command:\$word in"
    echo "        *:-*) COMPREPLY=(\$(compgen -W \"\$options\" -- \"\$word\")) ;;"
    echo "        explain:*) COMPREPLY=(\$(compgen -W '$(echo $codes)' -- \"\$word\")) ;;"
    echo "        help:*) COMPREPLY=(\$(compgen -W '$(echo $commands)' -- \"\$word\")) ;;"
    echo "        exec:*) case \$before in *.yaml | *.yml) _wmlab_words \"\$(_wmlab_names hosts)\" ;; *) COMPREPLY=(\$(compgen -f -- \"\$word\")) ;; esac ;;"
    echo "        *) COMPREPLY=(\$(compgen -f -- \"\$word\")) ;;"
    echo "    esac"
    echo "}"
    echo "complete -o filenames -F _wmlab wmlab"
    for program in server_sim client_sim encoder_sim; do
        echo "_$program() { case \${COMP_WORDS[COMP_CWORD]} in -*) COMPREPLY=(\$(compgen -W '$(words $program)' -- \"\${COMP_WORDS[COMP_CWORD]}\")) ;; *) COMPREPLY=(\$(compgen -f -- \"\${COMP_WORDS[COMP_CWORD]}\")) ;; esac; }"
        echo "complete -o filenames -F _$program $program"
    done
} > "$out/bash/wmlab"

described() { awk -F'\t' -v command="$1" '$1 == command { text = $4; gsub(/\[|\]|:/, "", text); printf "            '"'"'%s[%s]%s'"'"' \\\n", $2, text, $3 ? ":value:" ($2 == "--only" ? "_wmlab_flows" : $2 == "--tag" ? "_wmlab_tags" : $2 == "--launch" || $2 == "--opened-by" ? "_wmlab_hosts" : $2 == "--attach" ? "_wmlab_zones" : "_files") : "" }' "$table"; }
{
    echo "#compdef wmlab server_sim client_sim encoder_sim"
    cat << 'ZSH'
_wmlab_names() {
    local scenario
    local -a names
    for scenario in ${(M)words:#*.(yaml|yml)}; do
        [[ -f $scenario ]] && names+=(${(f)"$(wmlab list --names $1 $scenario 2> /dev/null)"})
    done
    compadd -a names
}
_wmlab_flows() { _wmlab_names flows }
_wmlab_hosts() { _wmlab_names hosts }
_wmlab_zones() { _wmlab_names zones }
_wmlab_tags() { _wmlab_names tags }
ZSH
    echo "_wmlab_codes() { compadd $(echo $codes) }"
    echo "case \$service in"
    for program in server_sim client_sim encoder_sim; do
        printf '    %s)\n        _arguments \\\n%s\n            "*:file:_files" ;;\n' $program "$(described $program)"
    done
    echo "    wmlab)"
    echo "        if (( CURRENT == 2 )); then"
    echo "            local -a commands; commands=("
    for command in $commands; do echo "                '$command:$(summary "$command")'"; done
    echo "            ); _describe command commands; return"
    echo "        fi"
    echo "        local command=\$words[2]; shift words; (( CURRENT-- ))"
    echo "        case \$command in"
    for command in $commands; do
        case $command in
            explain) rest='"*:code:_wmlab_codes"' ;;
            exec) rest='"1:scenario:_files" "2:host:_wmlab_hosts" "*:file:_files"' ;;
            *) rest='"*:file:_files"' ;;
        esac
        printf '        %s) _arguments \\\n%s\n            %s ;;\n' "$command" "$(described "$command")" "$rest"
    done
    echo "        esac ;;"
    echo "esac"
} > "$out/zsh/_wmlab"

{
    echo "# fish completion for wmlab and its simulators"
    for command in $commands; do
        echo "complete -c wmlab -n __fish_use_subcommand -f -a $command -d '$(summary "$command")'"
    done
    echo "function __wmlab_names; for file in (commandline -opc | string match -r '.*\\.ya?ml\$'); test -f \$file; and wmlab list --names \$argv[1] \$file 2> /dev/null; end; end"
    echo "complete -c wmlab -n '__fish_seen_subcommand_from explain' -f -a '$(echo $codes)'"
    echo "complete -c wmlab -n '__fish_seen_subcommand_from exec; and commandline -opc | string match -qr \"\\.ya?ml\\\$\"' -f -a '(__wmlab_names hosts)'"
    awk -F'\t' '{
        kind = $2 == "--only" ? "flows" : $2 == "--tag" ? "tags" : $2 == "--launch" || $2 == "--opened-by" ? "hosts" : $2 == "--attach" ? "zones" : ""
        program = $1 ~ /_sim$/ ? $1 : "wmlab"
        when = $1 ~ /_sim$/ ? "" : " -n \"__fish_seen_subcommand_from " $1 "\""
        printf "complete -c %s%s -l %s%s -d '"'"'%s'"'"'\n", program, when, substr($2, 3), kind != "" ? " -r -f -a \"(__wmlab_names " kind ")\"" : $3 ? " -r" : "", $4
    }' "$table"
} > "$out/fish/wmlab.fish"
