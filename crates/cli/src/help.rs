//! What ends `--help` and the man page of some verbs: examples, and what the exit status means.

/// Of `learn`.
pub const LEARN: &str = "\
Examples:
  portcullis learn --since 7d --widen              # prints; changes nothing
  portcullis learn --include-rare --vhost shop     # a host with few visitors
  portcullis learn --write portcullis.toml         # asks for each entry, shows a diff, keeps a backup
  portcullis learn --write-all --yes --check       # every file, without a question
  portcullis learn --refused --since 1h            # what enforce denied
  portcullis learn --rotated --json /var/log/portcullis/events.jsonl

Exit status:
  0  done
  1  a line is no event, an error, or with --check: events would remain
  2  usage error";

/// Of `events`.
pub const EVENTS: &str = "\
Examples:
  portcullis events --table --since 2h             # the journal, one line per event
  portcullis events --incidents                    # by request, as a tree
  portcullis events --probes --since 10m           # with the events of doctor's probes
  portcullis events --verify --rotated /var/log/portcullis/events.jsonl
  portcullis events --probe-list web1.probes fleet.jsonl

Exit status:
  0  done
  1  a line is no event, an error, or with --verify: a number is missing or has two contents
  2  usage error";

/// Of `report`.
pub const REPORT: &str = "\
Examples:
  portcullis report --since 7d -o /root/report.html
  portcullis report --probes --vhost shop -o /root/shop.html

Exit status:
  0  done
  1  a line is no event, or an error
  2  usage error";

/// Of `install`.
pub const INSTALL: &str = "\
Examples:
  portcullis install                               # lists the web servers here; changes nothing
  portcullis install php8.2-fpm nginx --dry-run
  portcullis install php8.2-fpm nginx --now        # restarts both
  portcullis install apache2 --module --now
  portcullis install php8.2-fpm --mode enforce     # then: systemctl reload php8.2-fpm

Exit status:
  0  done, or the list was printed
  1  nothing was written, or with --now: a server does not run with the guard
  2  usage error";

/// Of `doctor`.
pub const DOCTOR: &str = "\
Examples:
  portcullis doctor                                # every guarded unit, and a summary
  portcullis doctor php8.2-fpm
  portcullis doctor --json nginx apache2

Exit status:
  0  nothing is wrong in any unit; warnings may have been printed
  1  something is wrong in a unit, a unit is not here, or no unit is guarded
  2  usage error";

/// What ends `status --help`.
pub const STATUS: &str = "\
Examples:
  portcullis status                                # as root; other users see what they may
  portcullis status --json
  portcullis status --prometheus /run/portcullis.prom

Exit status:
  0  each process of each guarded unit is guarded
  1  a process is not guarded, a guarded unit does not run, the configuration is rejected, or
     not everything could be read (the output says what)
  2  usage error";

/// What ends `ps --help`.
pub const PS: &str = "\
The request is what the environment of the process says, which the process can change. `confirmed`
in the JSON output says whether its parents or its control group lead to a guarded worker.

Examples:
  portcullis ps                                    # of every unit
  portcullis ps php8.2-fpm --vhost shop
  portcullis ps --request 5b1e0f6a90c1d2e3         # of one event's http.request.id
  portcullis ps --json

Exit status:
  0  the list is complete, also an empty one
  1  not everything could be read (the output says what), or no process of the unit runs
  2  usage error";
