#!/bin/bash
# The Ansible role, without a host: ansible-lint's production profile, the syntax, and what it makes of the example's
# variables, which `postern check` must accept. The tools come from PyPI into .build/ansible, once. To try the role on a
# machine is what Tests/appliance is for.
#
# usage: Tests/ansible.sh [POSTERN]    the program that checks; without one that is left out
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.build/ansible
postern=${1:-}
versions=(ansible-core==2.19.14 ansible-lint==26.10.1)

if [[ $(cat "$tools/versions" 2>/dev/null) != "${versions[*]}" ]]; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" --quiet --disable-pip-version-check install "${versions[@]}"
    echo "${versions[*]}" >"$tools/versions"
fi
export PATH=$tools/bin:$PATH NO_COLOR=1 ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$tools/home

(
    cd ansible
    ansible-lint --profile production --offline
    ansible-playbook -i inventory.example site.yml --syntax-check
)

# Every variable has a default and a type.
"$tools/bin/python" - <<'END'
import sys, yaml
role = "ansible/roles/postern/"
defaults = set(yaml.safe_load(open(role + "defaults/main.yml")))
types = set(yaml.safe_load(open(role + "meta/argument_specs.yml"))["argument_specs"]["main"]["options"])
for name in sorted(defaults ^ types):
    print(f"{name}: {'no type in meta/argument_specs.yml' if name in defaults else 'no default in defaults/main.yml'}")
sys.exit(1 if defaults ^ types else 0)
END

[[ -n $postern ]] || exit 0
postern=$(realpath "$postern")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ANSIBLE_CONFIG=ansible/ansible.cfg ansible-playbook -i ansible/inventory.example Tests/ansible/render.yml \
    --extra-vars @Tests/ansible/overrides.yml --extra-vars "folder=$folder" >"$folder/log" ||
    { cat "$folder/log" >&2; exit 1; }
for relay in "$folder"/*/postern.yaml; do
    "$postern" check --config "$relay"
done
