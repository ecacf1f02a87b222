"""Renders the templates of an Ansible role as Ansible does.

Reads a JSON object from standard input: `role`, its folder; `variables`, over its defaults; `files`, texts by their
paths for `include`; `below`, the part of its templates that is wanted. Writes a JSON object: the texts by their paths
below that, without `.j2`.
"""

import json
import os
import sys

import jinja2
import yaml

task = json.load(sys.stdin)
with open(os.path.join(task["role"], "defaults/main.yml"), encoding="utf-8") as file:
    variables = yaml.safe_load(file) | task["variables"]
folder = os.path.join(task["role"], "templates", task["below"])
# Ansible's own choices; what is not defined is an error.
environment = jinja2.Environment(
    loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder), jinja2.DictLoader(task["files"])]),
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)


def rendered(value):
    """A variable, whose own texts are templates too."""
    if isinstance(value, str):
        return environment.from_string(value).render(variables)
    if isinstance(value, list):
        return [rendered(item) for item in value]
    if isinstance(value, dict):
        return {key: rendered(item) for key, item in value.items()}
    return value


variables = {name: rendered(value) for name, value in variables.items()}
result = {}
for parent, _, names in os.walk(folder):
    for name in names:
        path = os.path.relpath(os.path.join(parent, name), folder)
        if path.endswith(".j2"):
            result[path[:-3]] = environment.get_template(path).render(variables)
json.dump(result, sys.stdout)
