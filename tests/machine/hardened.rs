//! The same units, hardened as far as they run at all.

use crate::machine::{Machine, wait_until};

pub const HARDENING: &str = "[Service]\nProtectSystem=strict\nPrivateTmp=yes\nNoNewPrivileges=yes\nSystemCallFilter=@system-service\n\
                         RestrictAddressFamilies=AF_INET AF_INET6\nMemoryDenyWriteExecute=yes\nPrivateDevices=yes\n\
                         CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE\n\
                         ReadWritePaths=/run /var/log /var/lib/nginx\n";

/// Hardens the three units; `more` is for those that use local sockets.
pub fn harden(machine: &Machine, hardening: &str, more: &str) {
    for (unit, more) in [("nginx", more), ("phpX.Y-fpm", more), ("apache2", "")] {
        machine.run(&format!(
            "mkdir -p /etc/systemd/system/{unit}.service.d && printf '%s' '{hardening}{more}' > /etc/systemd/system/{unit}.service.d/hardening.conf"
        ));
    }
    // PHP's regular expressions want memory that can be written and executed.
    machine.run("for of in fpm apache2; do echo pcre.jit=0 > /etc/php/X.Y/$of/conf.d/99-jit.ini; done");
    machine.run("systemctl daemon-reload && systemctl restart apache2 nginx phpX.Y-fpm");
}

#[test]
fn hardened_units_are_guarded_to_the_sink() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb");
    machine.run("printf '[backstop]\\nseccomp = \"supervise\"\\n' >> /etc/portcullis/portcullis.toml");
    // Local sockets are how nginx reaches PHP-FPM; Apache does without.
    harden(&machine, HARDENING, "RestrictAddressFamilies=AF_UNIX\n");
    let said = machine.run("portcullis install apache2 nginx phpX.Y-fpm --now");
    assert!(
        said.contains("+ SystemCallFilter=seccomp pidfd_getfd") && said.contains("+ RestrictAddressFamilies=AF_UNIX"),
        "{said}"
    );
    assert!(said.contains("hardening.conf:9: without CAP_SYS_PTRACE"), "{said}");
    machine.run("portcullis status");
    for unit in ["apache2", "nginx", "phpX.Y-fpm"] {
        let said = machine.run(&format!("portcullis doctor {unit}"));
        assert!(said.contains("a connection from a process with the unit's settings: seen"), "{said}");
    }
    assert_eq!(machine.run("curl -sS 'http://127.0.0.1/act.php?do=shell'"), "www-data\n");
    assert_eq!(machine.run("curl -sS 'http://127.0.0.1:8080/act.php?do=shell'"), "www-data\n");
    machine.run("portcullis uninstall --now && systemctl is-active apache2 nginx phpX.Y-fpm");
}

/// A service whose user systemd makes up.
#[test]
fn a_dynamic_user() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb");
    machine.run("printf '[Service]\\nDynamicUser=yes\\nExecStart=/usr/bin/php -S 127.0.0.1:8001 -t /var/www/html\\n' > /etc/systemd/system/pages.service");
    machine.run("systemctl daemon-reload && systemctl start pages && portcullis install pages --now");
    wait_until("the server", || machine.try_run("curl -sSf http://127.0.0.1:8001/act.php").status.success());
    machine.run("curl -sS 'http://127.0.0.1:8001/act.php?do=shell'");
    wait_until("the event", || machine.events().iter().any(|event| event["rule"]["id"] == "shell-spawn"));
    let event = machine.events().remove(0);
    assert_eq!(event["portcullis"]["role"], "serving", "{event:#}");
    machine.run("portcullis doctor pages && portcullis status");
}

/// What defeats the guard is named, by install before and by status and doctor afterwards.
#[test]
fn what_is_wrong_is_said() {
    let machine = Machine::boot();
    machine.run(
        "dpkg -i /packages/portcullis_*.deb && cp /usr/bin/phpX.Y /usr/local/bin/php && chmod u+s /usr/local/bin/php",
    );
    machine.run("printf '[Service]\\nUser=www-data\\nExecStart=/usr/local/bin/php -S 127.0.0.1:8001 -t /var/www/html\\n' > /etc/systemd/system/pages.service");
    let said = machine.run("systemctl daemon-reload && systemctl start pages && portcullis install pages");
    assert!(said.contains("pages.service:3: /usr/local/bin/php will not be guarded: it is setuid"), "{said}");
    machine.run("systemctl restart pages");
    wait_until("the reason", || {
        let status = machine.try_run("portcullis status");
        status.status.code() == Some(1) && String::from_utf8_lossy(&status.stdout).contains("AT_SECURE")
    });
    let said = machine.try_run("portcullis doctor pages");
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stdout).contains("AT_SECURE"), "{said:?}");
    // File capabilities do the same.
    machine.run(
        "chmod u-s /usr/local/bin/php && setcap cap_net_bind_service+ep /usr/local/bin/php && systemctl restart pages",
    );
    let said = machine.run("portcullis install pages");
    assert!(said.contains("/usr/local/bin/php will not be guarded: it has file capabilities"), "{said}");
    wait_until("the reason", || {
        let said = machine.try_run("portcullis doctor pages");
        !said.status.success() && String::from_utf8_lossy(&said.stdout).contains("AT_SECURE")
    });
    // A library for another architecture (EM_AARCH64 and EM_X86_64 are 183 and 62): the servers start, and it is said.
    let other = if cfg!(target_arch = "x86_64") { "\\xb7\\x00" } else { "\\x3e\\x00" };
    let library = format!("/usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    machine.run(&format!("cp {library} /root/ && printf '{other}' | dd of={library} bs=1 seek=18 conv=notrunc"));
    let said = machine.try_run("portcullis install nginx --now");
    let why = "is no library for this machine; nothing was written";
    assert!(said.status.code() == Some(1) && String::from_utf8_lossy(&said.stderr).contains(why), "{said:?}");
    let said = String::from_utf8_lossy(&machine.try_run("portcullis doctor pages").stdout).into_owned();
    assert!(said.contains("wrong    library"), "{said}");
    machine.run(&format!("systemctl restart pages && cat /root/libportcullis.so > {library}"));
    // A unit that hides the journal, and takes the preload away.
    machine.run("mkdir -p /etc/systemd/system/nginx.service.d && printf '[Service]\\nInaccessiblePaths=/run/systemd/journal\\n' > /etc/systemd/system/nginx.service.d/a.conf");
    let said = machine.run("portcullis install nginx --now");
    assert!(said.contains("a.conf:2: this hides /run/systemd/journal/socket"), "{said}");
    let said = String::from_utf8_lossy(&machine.try_run("portcullis doctor nginx").stdout).into_owned();
    assert!(said.contains("wrong    sink journald") && said.contains("no event came"), "{said}");
    machine.run("printf '[Service]\\nUnsetEnvironment=LD_PRELOAD\\n' > /etc/systemd/system/nginx.service.d/a.conf");
    let said = machine.try_run("portcullis install nginx --now");
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stdout).contains("a.conf:2: this removes LD_PRELOAD"), "{said:?}");
    machine.run("systemctl is-active nginx");
}
