//! The built-in lists, which "default" stands for. Ports and ranges are those of Elastic's rule
//! 00546494-5bb0-49d6-9220-5f3b4c12f26a, shells those of Falco and of detection-rules, with what each of them misses.

/// Ports on which a connection is ordinary.
pub const COMMON_PORTS: [u16; 11] = [80, 443, 8080, 8443, 8000, 8888, 3128, 3306, 5432, 8220, 8082];

/// Ports that a datagram socket connects to only to learn its own address (Falco's rule on UDP names them).
pub const PROBE_PORTS: [u16; 4] = [0, 9, 80, 3306];

/// Ranges inside which every port is ordinary: private, link-local, multicast, documentation and special-purpose.
pub const LOCAL_RANGES: [&str; 25] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
    "fc00::/7",
    "2001:db8::/32",
    "0.0.0.0/32",
    "::/128",
    "255.255.255.255/32",
];

/// Programs that are shells. busybox and toybox are judged by their applet.
pub const SHELLS: [&str; 31] = [
    "ash",
    "bash",
    "bash-static",
    "bsh",
    "csh",
    "bsd-csh",
    "dash",
    "elvish",
    "fish",
    "hush",
    "ksh",
    "ksh2020",
    "ksh93",
    "lksh",
    "mksh",
    "mksh-static",
    "nu",
    "oksh",
    "pdksh",
    "posh",
    "pwsh",
    "rbash",
    "rksh",
    "rzsh",
    "sh",
    "tcsh",
    "xonsh",
    "yash",
    "zsh",
    "zsh-static",
    "zsh5",
];

/// Commands that PHP runs by itself: mail() with its default sendmail_path.
pub const COMMANDS: [&str; 2] = ["/usr/sbin/sendmail -t -i", "/usr/lib/sendmail -t -i"];

/// The rules of the project, by their words; those of the first two are set in `[egress]` and `[exec]` too.
pub const RULES: [&str; 10] = [
    "egress-port",
    "shell-spawn",
    "exec-place",
    "exec-tool",
    "stdio-socket",
    "loader-env",
    "listen-port",
    "dns-direct",
    "metadata",
    "php-ini",
];

/// errno names that a refused call may give, with their numbers on Linux.
pub const ERRNOS: [(&str, u16); 7] = [
    ("EACCES", 13),
    ("EPERM", 1),
    ("ECONNREFUSED", 111),
    ("ENETUNREACH", 101),
    ("EHOSTUNREACH", 113),
    ("ETIMEDOUT", 110),
    ("ENOENT", 2),
];
