#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Completion as a person gets it from a bash, a zsh and a fish: every verb, every option that its --help
# shows, the words that may follow, settings, files. A shell that is not there is said as SKIPPED.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

verbs() { "$SKALD" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'; }
options() { "$SKALD" "$1" --help | sed -n 's/^  --\([a-z][a-z._-]*\) .*/--\1/p'; }

# completed WORD…: what bash offers where the last word is being written.
completed() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _skald
    printf '%s\n' "${COMPREPLY[@]}"
}
offers() { # offers WANT WORD…, in any order
    local want=$1
    shift
    expect "completion of '$*'" "$(completed "$@" | sort | tr '\n' ' ')" "$want"
}

test_bash() {
    local verb
    "$SKALD" completion bash > "$WORK/skald.bash"
    # shellcheck disable=SC1091
    source "$WORK/skald.bash"
    expect "verbs" "$(completed skald '' | grep -v '^--' | sort)" "$(verbs | sort)"
    [ "$(verbs | wc -l)" -ge 20 ] || fail "only $(verbs | wc -l) verbs"
    for verb in $(verbs); do
        if [ "$verb" = serve ] || [ "$verb" = config ]; then continue; fi
        expect "options of $verb" "$(completed skald "$verb" -- | sort)" "$( (echo --help; options "$verb") | sort)"
    done
    offers 'publish ' skald pu
    offers 'create delete drain list pause reset resume show ' skald subscriptions ''
}

test_bash_values() {
    offers 'reset resume ' skald subscriptions re
    offers 'edit list release skip ' skald parked ''
    offers 'create list revoke ' skald keys ''
    offers 'check list show ' skald config ''
    offers 'compact info salvage upgrade ' skald store ''
    offers 'check list put show validate ' skald schema ''
    offers 'bash fish zsh ' skald completion ''
    offers 'parked publish ' skald help p
    # Settings are options of serve and config; a flag has no value.
    expect "settings" "$(completed skald serve --log | tr '\n' ' ')" '--log.format --log.level '
    expect "a value of a setting" "$(completed skald serve --log.level '')" ''
    # Files where there may be files, folders where there may be folders, nothing where it is a name.
    mkdir -p "$WORK/files/folder one"
    touch "$WORK/files/events.ndjson"
    cd "$WORK/files"
    offers 'folder one ' skald read --data ''
    offers 'folder one ' skald read --data = ''
    offers 'events.ndjson folder one ' skald import ''
    offers 'events.ndjson ' skald serve --config ev
    offers ' ' skald read --stream ''
    offers ' ' skald version ''
    case " $(completed skald tail --name x --exec -- tru | tr '\n' ' ')" in
    *' true '*) ;;
    *) fail "behind -- there are no commands" ;;
    esac
    cd "$WORK"
}

test_fish() {
    local verb
    if ! command -v fish > /dev/null; then
        echo "SKIPPED: there is no fish: its completion is only printed"
        return
    fi
    "$SKALD" completion fish > "$WORK/skald.fish"
    asked() { HOME=$WORK fish --no-config -c "source $WORK/skald.fish; complete -C '$1'" | cut -f 1 | sort; }
    expect "verbs in fish" "$(asked 'skald ')" "$(verbs | sort)"
    for verb in publish tail dead-letters backup; do
        expect "options of $verb in fish" "$(asked "skald $verb --")" "$( (echo --help; options "$verb") | sort)"
    done
    expect "words in fish" "$(asked 'skald subscriptions re' | tr '\n' ' ')" 'reset resume '
    expect "settings in fish" "$(asked 'skald serve --log.' | tr '\n' ' ')" '--log.format --log.level '
    expect_like "folders in fish" "$(asked "skald verify --data $WORK/fil")" '*/files/'
}

# A zsh in a terminal: what stands on its line after a tab is run, and says what it was given.
test_zsh() {
    if ! command -v zsh > /dev/null || ! zsh -fc 'zmodload zsh/zpty' 2> /dev/null; then
        echo "SKIPPED: there is no zsh: its completion is only printed"
        return
    fi
    mkdir -p "$WORK/zsh"
    "$SKALD" completion zsh > "$WORK/zsh/_skald"
    cat > "$WORK/ask.zsh" << 'SCRIPT'
zmodload zsh/zpty
wait_for() { # what it prints is read, or it would stop
    for ((i = 0; i < 600; i++)); do
        zpty -r asked said
        if [[ -s $1 ]]; then return; fi
        sleep 0.05
    done
    exit 1
}
zpty -b asked "TERM=dumb zsh -f -i"
zpty -w asked "PROMPT=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w asked "skald() { print -r -- \"\$*\" > $1/got }; print READY > $1/ready"
wait_for $1/ready
zpty -n -w asked "$2"$'\t'
zpty -n -w asked $'\n'
wait_for $1/got
cat $1/got
zpty -d asked
SCRIPT
    tabbed() { rm -f "$WORK/zsh/got" "$WORK/zsh/ready"; HOME=$WORK timeout 60 zsh -f "$WORK/ask.zsh" "$WORK/zsh" "$1"; }
    expect "a verb in zsh" "$(tabbed 'skald publ')" publish
    expect "an option in zsh" "$(tabbed 'skald publish --str')" 'publish --stream'
    expect "a setting in zsh" "$(tabbed 'skald serve --log.l')" 'serve --log.level'
    expect "a word in zsh" "$(tabbed 'skald subscriptions pa')" 'subscriptions pause'
    expect "a folder in zsh" "$(tabbed "skald verify --data $WORK/fil")" "verify --data $WORK/files"
    expect "a flag in zsh" "$(tabbed 'skald dead-letters --al')" 'dead-letters --all'
}

ended 2 "$SKALD" completion csh
said "skald: completion: 'csh' is none of bash, zsh and fish"
ended 2 "$SKALD" completion
test_bash
test_bash_values
test_fish
test_zsh
echo "command lines are completed"
