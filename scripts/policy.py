"""Holds `cargo metadata` on standard input against the licences and sources that deny.toml allows."""

import json
import re
import sys
import tomllib

with open("deny.toml", "rb") as file:
    POLICY = tomllib.load(file)
ALLOWED = set(POLICY["licenses"]["allow"])


def allowed(expression):
    """Whether an SPDX expression can be met with allowed licences: OR needs one side, AND needs all."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)

    def either():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token += " WITH " + tokens.pop(0)
        return token in ALLOWED

    return either()


wrong = []
packages = json.load(sys.stdin)["packages"]
names = {}
for package in packages:
    label = f"{package['name']} {package['version']}"
    if not package["license"] or not allowed(package["license"]):
        wrong.append(f"{label}: licence {package['license']!r} is not allowed by deny.toml")
    source = package["source"]
    if source is not None and not source.startswith("registry+"):
        wrong.append(f"{label}: comes from {source}, not from the registry")
    names.setdefault(package["name"], []).append(package["version"])

skipped = {entry["name"] for entry in POLICY["bans"].get("skip", [])}
for name, versions in names.items():
    if len(versions) > 1 and name not in skipped:
        wrong.append(f"{name}: several versions: {', '.join(sorted(versions))}")

for line in wrong:
    print(line, file=sys.stderr)
print(f"dependency policy: {len(packages)} packages, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
