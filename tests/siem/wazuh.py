"""Applies rules of Wazuh to lines of JSON as Wazuh's documentation describes it (user manual, ruleset XML syntax, rules; JSON decoder):
objects become fields with dots, lists become text, every condition of a rule has to hold, a rule with if_sid is tried where the rule that
it names has matched, the first child that matches is taken, and level 0 alerts with nothing. Prints the number and level for each line."""

import csv
import json
import re
import sys
import xml.etree.ElementTree

rules_path, fields_path, log_path = sys.argv[1:]
tree = xml.etree.ElementTree.parse(rules_path).getroot()
assert tree.tag == "group" and tree.get("name").endswith(",")
with open(fields_path, newline="") as file:
    known = {row["field"] for row in csv.DictReader(file)}

ALLOWED = {"decoded_as", "if_sid", "field", "description", "mitre", "group"}
rules = []
for element in tree:
    assert element.tag == "rule" and set(element.keys()) == {"id", "level"}, element.attrib
    assert {child.tag for child in element} <= ALLOWED and element.find("description").text, element.get("id")
    number, level = int(element.get("id")), int(element.get("level"))
    assert 100000 <= number <= 120000 and 0 <= level <= 16, number
    conditions = []
    for field in element.findall("field"):
        assert field.get("type") == "pcre2" and field.get("name") in known, field.attrib
        conditions.append((field.get("name"), re.compile(field.text)))
    for name in re.findall(r"\$\(([^)]*)\)", element.find("description").text):
        assert name in known, name
    parent = element.find("if_sid")
    assert (parent is None) == (element.find("decoded_as") is not None), number
    rules.append({"id": number, "level": level, "conditions": conditions, "parent": parent is not None and int(parent.text)})
numbers = [rule["id"] for rule in rules]
assert len(numbers) == len(set(numbers))
assert all(not rule["parent"] or rule["parent"] in numbers[:at] for at, rule in enumerate(rules))


def flat(value, name, out):
    if isinstance(value, dict):
        for key, inner in value.items():
            flat(inner, f"{name}.{key}" if name else key, out)
    else:
        out[name] = value if isinstance(value, str) else json.dumps(value)


def found(fields, parent):
    for rule in rules:
        if rule["parent"] == parent and all(
            name in fields and pattern.search(fields[name]) for name, pattern in rule["conditions"]
        ):
            return found(fields, rule["id"]) or rule
    return None


alerts = []
with open(log_path, newline="\n") as file:
    for line in file:
        fields = {}
        flat(json.loads(line), "", fields)
        rule = found(fields, False)
        alerts.append([rule["id"], rule["level"]] if rule and rule["level"] else None)
json.dump(alerts, sys.stdout)
