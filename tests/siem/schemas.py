"""Holds the output of `portcullis events --format` against the published schemas: OCSF's, as a JSON schema in which no other attribute is
allowed, and the protocol buffers of OpenTelemetry. Both have to have all of each event. Mistakes that are made on purpose have to be
found. Prints how many events and mistakes there were."""

import copy
import csv
import json
import pathlib
import pkgutil
import importlib
import sys

import jsonschema
import ocsf_json_schema
import opentelemetry.semconv._incubating.attributes
import opentelemetry.semconv.attributes
from google.protobuf import json_format
from ocsf_json_schema import OcsfJsonSchemaEmbedded
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

docs, folder = map(pathlib.Path, sys.argv[1:])


def lines(name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


events, findings, records = lines("events.jsonl"), lines("ocsf"), lines("otel")
assert lines("ecs") == events and len(findings) == len(records) == len(events)

VERSION = "1.8.0"
package = pathlib.Path(ocsf_json_schema.__file__).parent
compiled = json.loads((package / f"ocsf/{VERSION}.json").read_text())
assert compiled["version"] == VERSION
ocsf = jsonschema.Draft202012Validator(
    OcsfJsonSchemaEmbedded(compiled).get_class_schema("detection_finding", ["security_control"])
)
for event, finding in zip(events, findings):
    errors = [f"{error.json_path}: {error.message}" for error in ocsf.iter_errors(finding)]
    assert not errors, (errors[:5], finding)
    assert finding["metadata"]["version"] == VERSION
    assert json.loads(finding["raw_data"]) == event


def values(pairs):
    """The attributes, whose names are different."""

    def plain(value):
        kind = value.WhichOneof("value")
        return [plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    found = {pair.key: plain(pair.value) for pair in pairs}
    assert len(found) == len(pairs), pairs
    return found


semantic = set()
for part in (opentelemetry.semconv.attributes, opentelemetry.semconv._incubating.attributes):
    for module in pkgutil.iter_modules(part.__path__):
        names = vars(importlib.import_module(f"{part.__name__}.{module.name}")).items()
        semantic |= {value for name, value in names if name.isupper() and isinstance(value, str)}
with open(docs / "mapping.csv", newline="") as file:
    rows = {row["field"]: row["otel"] for row in csv.DictReader(file)}
known = {"service.name", "http.request.method_original", "portcullis.unmapped"}
for field, place in rows.items():
    name = place.removeprefix("resource: ")
    assert name in semantic or name == field or name in ("body", "timeUnixNano"), (field, name)
    known.add(name)

for event, record in zip(events, records):
    parsed = json_format.ParseDict(record, LogsData())
    (resource,) = parsed.resource_logs
    (scope,) = resource.scope_logs
    (log,) = scope.log_records
    found = values(resource.resource.attributes) | values(log.attributes)
    assert set(found) <= known, set(found) - known
    if (message := event.get("message")) and isinstance(message, str):
        assert log.body.string_value == message

mistakes = 0


def is_found(check, value):
    global mistakes
    try:
        check(value)
    except (jsonschema.ValidationError, json_format.ParseError):
        mistakes += 1


def changed(value, change):
    value = copy.deepcopy(value)
    change(value)
    return value


is_found(ocsf.validate, changed(findings[0], lambda one: one.update(extra=1)))
is_found(ocsf.validate, changed(findings[0], lambda one: one["evidences"][0].update(extra=1)))
is_found(ocsf.validate, changed(findings[0], lambda one: one.pop("time")))
is_found(ocsf.validate, changed(findings[0], lambda one: one.update(severity_id=7)))
is_found(lambda one: json_format.ParseDict(one, LogsData()), changed(records[0], lambda one: one.update(extra=1)))
is_found(
    lambda one: json_format.ParseDict(one, LogsData()),
    changed(records[0], lambda one: one["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0].update(timeUnixNano="x")),
)
json.dump({"events": len(events), "mistakes found": mistakes}, sys.stdout)
