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

/// Metadata services of clouds: AWS and most others, AWS ECS, AWS EKS, Alibaba, Oracle; AWS and AWS EKS over v6.
pub const METADATA: [&str; 7] = [
    "169.254.169.254/32",
    "169.254.170.2/32",
    "169.254.170.23/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    "fd00:ec2::254/128",
    "fd00:ec2::23/128",
];

/// Places of programs (Elastic's rule on web server children, without /var/www, where CGI programs live): what anybody can
/// write to, what is no program's place, and by words what the process can write to, what is no file, what is hidden.
pub const PLACES: [&str; 14] = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/var/log",
    "/sys",
    "/media",
    "/proc",
    "/var/backups",
    "/var/mail",
    "/var/spool",
    "/run/lock",
    "memfd",
    "writable",
    "hidden",
];

/// Network and scripting tools (Elastic's rule on web server children), those of reconnaissance (Sigma's Linux Webshell
/// Indicators), then programs that start others or fetch them. A `*` at the end stands for any version. Left out are those that
/// ordinary applications start: git, tar, find, xargs, make, env, timeout, flock, nice.
pub const TOOLS: [&str; 60] = [
    "socat",
    "openssl",
    "busybox",
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "nohup",
    "setsid",
    "mkfifo",
    "mknod",
    "node",
    "socket",
    "python*",
    "php*",
    "perl",
    "perl5*",
    "debugperl",
    "pypy*",
    "ruby*",
    "lua*",
    "nodejs",
    "whoami",
    "ifconfig",
    "ip",
    "uname",
    "cat",
    "crontab",
    "hostname",
    "iptables",
    "netstat",
    "pwd",
    "route",
    "at",
    "batch",
    "awk",
    "gawk",
    "mawk",
    "original-awk",
    "tclsh*",
    "expect",
    "gdb",
    "strace",
    "script",
    "chroot",
    "unshare",
    "nsenter",
    "setpriv",
    "ssh",
    "ssh-agent",
    "su",
    "sudo",
    "doas",
    "pkexec",
    "runuser",
    "sg",
    "newgrp",
    "curl",
    "wget",
];

/// Set-user-ID and set-group-ID programs that take mail from anybody, by their real paths: those of Postfix, DragonFly's
/// agent, OpenSMTPD, Nullmailer and sSMTP, as Debian 12's packages install them. None of them runs a program of its caller's
/// choice. Exim does (`-be`, `-C`), so do Sendmail (`-C`), msmtp (`-C`) and Apache's suexec: they are events, but for the command of
/// PHP's mail(), which is in [`COMMANDS`].
pub const UNGUARDED: [&str; 7] = [
    "/usr/sbin/postdrop",
    "/usr/sbin/postqueue",
    "/usr/sbin/dma",
    "/usr/lib/dma/dma-mbox-create",
    "/usr/sbin/smtpctl",
    "/usr/sbin/nullmailer-queue",
    "/usr/sbin/ssmtp",
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

/// The kinds of backstop.
pub const BACKSTOPS: [&str; 3] = ["off", "log", "supervise"];
