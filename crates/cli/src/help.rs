//! The end of each verb's `--help`: examples, and exit statuses.

/// Writes the examples and the exit statuses of a verb; the status of a usage error is the same in all.
macro_rules! help {
    ($name:ident, $examples:literal, $fine:literal, $wrong:literal $(, $more:literal)?) => {
        pub const $name: &str = concat!(
            "Examples:\n",
            $examples,
            "\n\nExit status:\n  0  ",
            $fine,
            "\n  1  ",
            $wrong,
            "\n  2  usage error"
            $(, "\n  ", $more)?
        );
    };
}

help!(
    CHECK,
    "  portcullis check                                 # /etc/portcullis/portcullis.toml and its vhosts.d/
  portcullis check --config ./portcullis.toml      # before it is copied to the server
  portcullis check --json | jq '.diagnostics[]'",
    "no errors; warnings do not change the status",
    "the configuration has an error"
);
help!(
    COMPILE,
    "  portcullis compile                               # what a reload of the server does
  portcullis compile -o policy.bin                 # a file in the current directory
  portcullis compile --mode audit -o - | wc -c",
    "the policy was written",
    "the configuration has an error, or the policy was not written"
);
help!(
    APPLY,
    "  portcullis apply                          # every configuration of a guarded unit, then their reloads
  portcullis apply --check                  # checks it, and compares it with the applied policy
  portcullis apply --config /etc/portcullis # one configuration, by its directory or its main file
  portcullis apply --no-reload              # active at the next start, reload or new worker of a server
  portcullis apply --json                   # for a program: `changed`, `configurations`, `units`",
    "applied, and every unit has it in force; with --check: no error",
    "an error (the applied policy stays active), or a unit in which it is not in force"
);
pub const RUN: &str = "\
Examples:
  portcullis run -- php -r 'var_dump(shell_exec(\"id\"));'
  portcullis run --mode enforce -- php index.php
  portcullis run --role master -- /usr/sbin/lighttpd -D -f lighttpd.conf

Exit status:
  that of the command; if it was not started:
  1  an error of the configuration, no library, or no such command
  2  usage error";
help!(
    EVENTS,
    "  portcullis events --table --since 2h             # the journal, one line per event
  portcullis events --incidents --since 1d         # what happened, the gravest first
  portcullis events --incidents --follow           # each incident when it is new or has become graver
  portcullis events --incident 3f2a9c1e            # one of them in full
  portcullis events --site shop.example --severity high -n 20
  portcullis events --rule shell-spawn --mode enforce --json
  portcullis events --fields client.address,url.original | sort | uniq -c | sort -rn
  portcullis events --severity high --since 5m --exit-code > /dev/null; [ $? = 3 ] || notify
  portcullis events --format ocsf --since 1h       # in another schema: ocsf, otel
  portcullis events --probes --since 10m           # with the events of doctor's probes
  portcullis events --verify --rotated /var/log/portcullis/events.jsonl
  portcullis events --probe-list web1.probes fleet.jsonl",
    "done",
    "a line is not an event, an error, or with --verify: an event is missing or was changed",
    "3  with --exit-code: everything was read, and nothing matched
  141  the reader of the output has ended, as with `| head`; nothing is printed about it"
);
help!(
    TOP,
    "  portcullis top                                   # the journal
  portcullis top --since 1h --site shop.example
  portcullis top /var/log/portcullis/events.jsonl  # a file, through rotations",
    "quit",
    "an error: not a terminal, or nothing can be read",
    "143  ended by SIGTERM (129: SIGHUP, 130: SIGINT); the terminal was restored"
);
help!(
    INSTALL,
    "  portcullis install                               # lists the web servers here; changes nothing
  portcullis install php-fpm nginx --dry-run
  portcullis install apache2 --module --now        # restarts; reverted if it fails to start
  portcullis install php-fpm --vhost shop --mode enforce && portcullis apply
  portcullis install php-fpm --mode enforce        # for every guarded unit; lists them first",
    "guarded, and with --now: running; or the list was printed",
    "an error, or a unit failed to start with Portcullis and runs without it"
);
help!(
    UNINSTALL,
    "  portcullis uninstall php-fpm --now
  portcullis uninstall --purge --dry-run           # shows what would be removed",
    "removed",
    "an error"
);
help!(
    STATUS,
    "  portcullis status                                # as root; other users see what they can read
  portcullis status --json | jq .
  portcullis status --prometheus /var/lib/prometheus/node-exporter/portcullis.prom",
    "each process of each guarded unit is guarded",
    "a process is not guarded, a guarded unit does not run, the configuration is rejected, or
     not everything could be read (the output says what)"
);
help!(
    PS,
    "  portcullis ps                                    # of every unit
  portcullis ps php-fpm --vhost shop
  portcullis ps --request 5b1e0f6a90c1d2e3         # of one event's http.request.id
  portcullis ps --json",
    "the list is complete, also an empty one",
    "not everything could be read, or processes of a guarded unit are not guarded (the output says
     which); or no process of the unit runs"
);
help!(
    LEARN,
    "  portcullis learn --since 7d --widen              # prints; changes nothing
  portcullis learn --include-rare --vhost shop     # a host with few visitors
  portcullis learn --write portcullis.toml         # asks for each entry, shows a diff, keeps a backup
  portcullis learn --write-all --yes --check       # every file, without asking
  portcullis learn --blocked --since 1h            # what enforce blocked
  portcullis learn --rotated --json /var/log/portcullis/events.jsonl",
    "done",
    "a line is not an event, an error, or with --check: events would remain"
);
help!(
    REPORT,
    "  portcullis report -o report.html                 # from the journal
  portcullis report --since 24h --vhost shop -o shop.html
  portcullis report --since-report monday.html -o tuesday.html   # marks what is new
  portcullis report --rotated --probes -o all.html /var/log/portcullis/events.jsonl
  portcullis report --proposal -o report.html      # with what `portcullis learn` would propose",
    "the page was written",
    "a line is not an event, or an error"
);
help!(
    DOCTOR,
    "  portcullis doctor                                # every guarded unit, and a summary
  portcullis doctor php-fpm
  portcullis doctor --json nginx apache2",
    "nothing is wrong in any unit; warnings may have been printed",
    "something is wrong in a unit, or not everything could be looked at (`unknown`; the output says
     what, and why); a unit is not here, or no unit is guarded"
);
help!(
    EXPLAIN,
    "  portcullis explain --connect 192.88.1.10:4444 --vhost shop
  portcullis explain --connect '[2001:db8::1]:443' --domain api.example
  portcullis explain --exec 'convert in.png out.png' --server-name shop.example
  portcullis events --json --since 1h | tail -1 > last.json && portcullis explain --event last.json",
    "explained, whatever the verdict is",
    "the configuration has an error (the policy in force is explained), or the file has no event"
);
help!(
    CONTAIN,
    "  portcullis contain --incident 3f2a9c1e           # shows the change, asks, applies, verifies
  portcullis contain --incident 3f2a9c1e --yes --evidence /root/incident
  portcullis contain --document-root /var/www/shop --dry-run
  portcullis contain --vhost shop --closed --yes   # also empties its allowlists
  portcullis contain --list
  portcullis contain --undo 3f2a9c1e",
    "contained: every rule is enforced for the site in every guarded unit; or undone, or listed",
    "an error, or something is not done; the output says what"
);
help!(
    PANIC,
    "  portcullis panic                                 # nothing is blocked any more; events are still written
  portcullis panic --mode off                      # nothing is blocked, and no event is written
  portcullis panic --undo",
    "every guarded unit has reloaded",
    "an error, or a server that has another mode; the output names it"
);
