//! The same units, hardened as far as they run at all.

use crate::machine::{Machine, wait_until};

const HARDENING: &str = "[Service]\nProtectSystem=strict\nPrivateTmp=yes\nNoNewPrivileges=yes\nSystemCallFilter=@system-service\n\
                         RestrictAddressFamilies=AF_INET AF_INET6\nMemoryDenyWriteExecute=yes\nPrivateDevices=yes\n\
                         CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE\n\
                         ReadWritePaths=/run /var/log /var/lib/nginx\n";

#[test]
fn hardened_units_are_guarded_to_the_sink() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb");
    machine.run("printf '[backstop]\\nseccomp = \"supervise\"\\n' >> /etc/portcullis/portcullis.toml");
    // Local sockets are how nginx reaches PHP-FPM; Apache does without.
    for (unit, families) in [
        ("nginx", "RestrictAddressFamilies=AF_UNIX\n"),
        ("php8.2-fpm", "RestrictAddressFamilies=AF_UNIX\n"),
        ("apache2", ""),
    ] {
        machine.run(&format!(
            "mkdir -p /etc/systemd/system/{unit}.service.d && printf '%s' '{HARDENING}{families}' > /etc/systemd/system/{unit}.service.d/hardening.conf"
        ));
    }
    machine.run("echo pcre.jit=0 > /etc/php/8.2/fpm/conf.d/99-jit.ini; cp /etc/php/8.2/fpm/conf.d/99-jit.ini /etc/php/8.2/apache2/conf.d/");
    machine.run("systemctl daemon-reload && systemctl restart apache2 nginx php8.2-fpm");
    let said = machine.run("portcullis install apache2 nginx php8.2-fpm --now");
    assert!(
        said.contains("+ SystemCallFilter=seccomp pidfd_getfd") && said.contains("+ RestrictAddressFamilies=AF_UNIX"),
        "{said}"
    );
    assert!(said.contains("hardening.conf:9: without CAP_SYS_PTRACE"), "{said}");
    machine.run("portcullis status");
    for unit in ["apache2", "nginx", "php8.2-fpm"] {
        let said = machine.run(&format!("portcullis doctor {unit}"));
        assert!(said.contains("a connection from a process with the unit's settings: seen"), "{said}");
    }
    assert_eq!(machine.run("curl -sS 'http://127.0.0.1/act.php?do=shell'"), "www-data\n");
    assert_eq!(machine.run("curl -sS 'http://127.0.0.1:8080/act.php?do=shell'"), "www-data\n");
    machine.run("portcullis uninstall --now && systemctl is-active apache2 nginx php8.2-fpm");
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
