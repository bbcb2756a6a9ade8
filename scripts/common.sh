# Sourced by every script here (bash): finds Python, creates .venv and installs into it.
#
#   . "$(dirname "$(readlink -f "$0")")/common.sh"
#   set_up            # the project and what it needs to run
#   set_up test       # … and the extra `test` (or `check`) of pyproject.toml
#   exec "$VENV/bin/python" …
#
# set_up is silent and takes a few milliseconds once .venv matches pyproject.toml and constraints.txt, which has all
# versions. `use_lowest` before it selects .venv-lowest, with the lowest supported mitmproxy and Python. The working
# directory is not changed.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
CONSTRAINTS=$ROOT/constraints.txt
PYTHONS=(13 14 12) # minor versions, preferred first

use_lowest() {
    VENV=$ROOT/.venv-lowest
    CONSTRAINTS=$ROOT/constraints-lowest.txt
    PYTHONS=(12 13 14)
}

# Print one line and exit.
fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit "${2:-1}"
}

# Print the comment that opens the calling script: its help.
print_help() {
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$0"
}

# Make .venv match pyproject.toml and constraints.txt, with an extra or without.
set_up() {
    local extra=${1:-}
    is_set_up "$extra" && return
    mkdir -p "$VENV"
    (
        if command -v flock >/dev/null; then flock 9; fi # two scripts started at once: the second waits
        is_set_up "$extra" || install "$extra"
    ) 9>"$VENV/.lock"
}

# The stamp says what was installed, and where: a copied or moved clone is set up again.
stamp() {
    printf '%s\n%s\n%s\n' "$ROOT" "$(<"$ROOT/pyproject.toml")" "$(<"$CONSTRAINTS")"
}

# Run a Python module of this folder in place of the script, from any working directory.
run_module() {
    export PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH}
    exec "$VENV/bin/python" -P -m "$@"
}

is_set_up() {
    local installed=$VENV/.installed${1:+-$1}
    [[ -x $VENV/bin/python && -f $installed && $(<"$installed") == "$(stamp)" ]]
}

install() {
    local extra=$1
    trap 'fail "interrupted: the next start installs what is missing" 130' INT
    make_venv "$extra"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$CONSTRAINTS" \
        --editable "$ROOT${extra:+[$extra]}" >"$VENV/.install.log" 2>&1 || { cat "$VENV/.install.log" >&2 && fail "could not install, see above"; }
    stamp >"$VENV/.installed"
    if [[ $extra ]]; then stamp >"$VENV/.installed-$extra"; fi
    if [[ $extra == check ]]; then stamp >"$VENV/.installed-test"; fi # check includes test
}

# Say what takes long; only once a Python was found.
announce() {
    printf '%s: installing into %s%s, once …\n' "${0##*/}" "${VENV##*/}" "${1:+ with what \"$1\" needs}" >&2
}

# A venv that still works is kept, with the packages of all extras.
make_venv() {
    local python output made_for=
    [[ -f $VENV/.installed ]] && read -r made_for <"$VENV/.installed"
    if [[ ${made_for:-$ROOT} == "$ROOT" ]] && is_suitable "$VENV/bin/python" pip; then
        announce "$1"
        return
    fi
    [[ ! -L $VENV ]] || fail "${VENV##*/} is a link to an unsuitable environment: remove the link to have one created"
    python=$(find_python) ||
        fail "needs Python 3.12 or newer with venv: install one, e.g. 'uv python install 3.13', 'pyenv install 3.13' or the packages python3.13 and python3.13-venv"
    announce "$1"
    output=$("$python" -m venv --clear "$VENV" 2>&1) || fail "$python could not make $VENV: $output"
}

# Print the first suitable Python. A pyenv shim can exist and not run, so each one is tried.
find_python() {
    local candidate
    while read -r candidate; do
        if is_suitable "$candidate" ensurepip; then
            printf '%s\n' "$candidate"
            return
        fi
    done < <(python_candidates)
    return 1
}

is_suitable() {
    "$1" -c "import ssl, sys, venv, $2; sys.exit(sys.version_info < (3, 12))" >/dev/null 2>&1
}

python_candidates() {
    local minor
    for minor in "${PYTHONS[@]}"; do
        printf 'python3.%s\n' "$minor"
        pyenv_versions "3.$minor.*"
    done
    printf 'python3\n'
    pyenv_versions '3.*'
    if command -v uv >/dev/null; then uv python find '>=3.12' 2>/dev/null; fi
}

# The newest first.
pyenv_versions() {
    { find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -maxdepth 1 -name "$1" 2>/dev/null || true; } |
        sort -rV | sed 's|$|/bin/python|'
}
