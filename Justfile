# Zenfront's verbs. Each wraps the console script `zenfront`; options and arguments go through.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

python := env("PYTHON", "python3")
bin := justfile_directory() / ".venv/bin"

[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted --list-heading $'Verbs; options go through: just search --help\n'

# Make .venv, or bring it up to date
setup:
    @"{{ python }}" .ci/setup.py

# All stages on a config; goes on where it ended
[no-exit-message]
search *args: setup
    @"{{ bin }}/zenfront" run "$@"

# The front of a search, and what of it to train
[no-exit-message]
select *args: setup
    @"{{ bin }}/zenfront" select "$@"

# Train what was selected, stop the weak early
[no-exit-message]
train *args: setup
    @"{{ bin }}/zenfront" train "$@"

# Tables, figures, a page; or runs compared
[no-exit-message]
report *args: setup
    @"{{ bin }}/zenfront" report "$@"

# MLflow on the results
[no-exit-message]
ui *args: setup
    @"{{ bin }}/zenfront" ui "$@"

# Ray on this machine with its dashboard; search on it with --address auto
[no-exit-message]
dashboard *args: setup
    @printf 'In some seconds the dashboard is at http://127.0.0.1:8265 and asks for this token:\n%s\nTo search on it, in another terminal: RAY_AUTH_MODE=token just search CONFIG --address auto\nCtrl-C ends it.\n' "$("{{ bin }}/ray" get-auth-token --generate 2>/dev/null)"
    @RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 "{{ bin }}/ray" start --head --block --dashboard-host 127.0.0.1 --include-dashboard true --metrics-export-port 8080 "$@" >/dev/null

# The tests, on all cores (at most four)
[no-exit-message]
test *args: setup
    @"{{ bin }}/python" -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup "$@"

# Format, lint and types
[no-exit-message]
check: setup
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --fmt --check
    @"{{ bin }}/ruff" format --check .
    @"{{ bin }}/ruff" check .
    @"{{ bin }}/mypy"

# A benchmark by name; without one, their list
[no-exit-message]
bench name="" *args: setup
    @if [ -n "$1" ]; then "{{ bin }}/python" "benchmarks/$1.py" "${@:2}"; else ls benchmarks/*.py; fi

# The documents with their titles
docs:
    @for file in README.md CONTRIBUTING.md CHANGELOG.md docs/*.md docs/*/*.md; do [ ! -f "$file" ] || printf '%-44s %s\n' "$file" "$(grep -m1 '^# ' "$file" | cut -c3-)"; done
