"""Converts examples/siem/sigma/ with pySigma, and tries the EQL on events: convert.py RULES EVENTS FOLDER.

Writes into FOLDER what each backend gives, and prints, as one JSON list, the ids of the rules whose EQL holds for each event
of EVENTS (a JSON object a line). Any warning is an error.
"""
import itertools
import json
import pathlib
import sys
import warnings

warnings.simplefilter("error")

# The EQL engine uses what newer Pythons warn of; this is not about it.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eql

from sigma.backends.elasticsearch import EqlBackend, LuceneBackend  # noqa: E402
from sigma.backends.loki import LogQLBackend  # noqa: E402
from sigma.backends.splunk import SplunkBackend  # noqa: E402
from sigma.collection import SigmaCollection  # noqa: E402
from sigma.pipelines.loki import loki_grafana_logfmt  # noqa: E402,F401 (makes the transformations of Loki known)
from sigma.plugins import InstalledSigmaPlugins  # noqa: E402
from sigma.processing.pipeline import ProcessingPipeline  # noqa: E402
from sigma.validation import SigmaValidator  # noqa: E402


def values(event):
    """The event once for each choice of one value of each list: Elasticsearch compares any of a field's values, this engine none."""
    lists = []

    def walk(at):
        for key, value in at.items():
            if isinstance(value, dict):
                walk(value)
            elif isinstance(value, list):
                lists.append((at, key, value[:3]))

    walk(event)
    for choice in itertools.product(*(several for _, _, several in lists)):
        for (at, key, _), value in zip(lists, choice):
            at[key] = value
        yield json.loads(json.dumps(event))


def main():
    folder, events, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    files = sorted(folder.glob("*.yml"))
    rules = SigmaCollection.merge([SigmaCollection.from_yaml(file.read_text()) for file in files])
    assert len(rules) == len(files) and not rules.errors, rules.errors

    # These two fetch lists from the network; the tags are held against the guard's own by the test.
    validators = InstalledSigmaPlugins.autodiscover().validators
    chosen = {validator for name, validator in validators.items() if name not in ("attacktag", "d3_fendtag")}
    issues = SigmaValidator(chosen).validate_rules(rules)
    assert not issues, [str(issue) for issue in issues]

    def pipeline(name):
        return ProcessingPipeline.from_yaml((folder / "pipelines" / f"{name}.yml").read_text())

    eql_queries = EqlBackend().convert(rules)
    for name, text in {
        "elastic.eql": "\n".join(eql_queries),
        "elastic.lucene": "\n".join(LuceneBackend().convert(rules)),
        "splunk.savedsearches.conf": SplunkBackend(pipeline("splunk")).convert(rules, "savedsearches"),
        "loki.rules.yml": LogQLBackend(pipeline("loki")).convert(rules, "ruler"),
    }.items():
        (out / name).write_text(text.strip() + "\n")

    engines = []
    for file, query in zip(files, eql_queries):
        with eql.parser.elasticsearch_syntax, eql.parser.ignore_missing_functions:
            parsed = eql.parse_query(query)
        engines.append((file.stem, parsed))

    def holds(query, event):
        results = []
        engine = eql.PythonEngine()
        engine.add_query(query)
        engine.add_output_hook(results.append)
        engine.stream_events([eql.Event.from_data(event)])
        return bool(results)

    fired = []
    for line in events.read_text().splitlines():
        each = list(values(json.loads(line)))
        fired.append([name for name, query in engines if any(holds(query, event) for event in each)])
    print(json.dumps(fired))


main()
