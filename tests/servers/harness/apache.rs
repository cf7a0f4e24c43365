//! Debian's Apache.

use super::{Fpm, Guard, Place, Process, named, wait_until};
use std::net::TcpStream;
use std::process::Command;

/// How Apache runs programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// prefork with mod_php.
    ModPhp,
    /// event with mod_proxy_fcgi.
    ProxyFcgi,
    /// event with mod_cgid.
    Cgid,
    /// prefork with mod_cgi.
    Cgi,
    /// event with nothing.
    Event,
    /// worker with nothing.
    Worker,
}

pub struct Apache {
    pub process: Process,
    pub port: u16,
}

impl Apache {
    /// Starts Apache on loopback, port 8082, with `extra` at the end of its configuration.
    pub fn start(place: &Place, guard: Option<&Guard>, kind: Kind, fpm: Option<&Fpm>, extra: &str) -> Apache {
        Apache::start_on(place, guard, kind, fpm, extra, 8082)
    }

    /// The same on another port.
    pub fn start_on(
        place: &Place,
        guard: Option<&Guard>,
        kind: Kind,
        fpm: Option<&Fpm>,
        extra: &str,
        port: u16,
    ) -> Apache {
        Apache::start_in(place, guard, kind, fpm, extra, port, &[])
    }

    /// The same by a command that executes its arguments.
    pub fn start_in(
        place: &Place,
        guard: Option<&Guard>,
        kind: Kind,
        fpm: Option<&Fpm>,
        extra: &str,
        port: u16,
        by: &[&str],
    ) -> Apache {
        let path = place.path().display();
        let modules: &[(&str, &str)] = match kind {
            Kind::ModPhp => &[("mpm_prefork", "mod_mpm_prefork"), ("php", &named("libphpX.Y"))],
            Kind::ProxyFcgi => {
                &[("mpm_event", "mod_mpm_event"), ("proxy", "mod_proxy"), ("proxy_fcgi", "mod_proxy_fcgi")]
            }
            Kind::Cgid => &[("mpm_event", "mod_mpm_event"), ("cgid", "mod_cgid")],
            Kind::Cgi => &[("mpm_prefork", "mod_mpm_prefork"), ("cgi", "mod_cgi")],
            Kind::Event => &[("mpm_event", "mod_mpm_event")],
            Kind::Worker => &[("mpm_worker", "mod_mpm_worker")],
        };
        let mut config = format!(
            "ServerRoot {path}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {path}/apache.pid\n\
             ErrorLog {path}/apache-error.log\nDefaultRuntimeDir {path}\nUser www-data\nGroup www-data\n\
             LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
        );
        for (name, file) in modules {
            config += &format!("LoadModule {name}_module /usr/lib/apache2/modules/{file}.so\n");
        }
        config += &format!("DocumentRoot {path}/www\n<Directory {path}/www>\nRequire all granted\n");
        config += match kind {
            Kind::Cgid | Kind::Cgi => "Options +ExecCGI\n",
            _ => "",
        };
        config += "</Directory>\n";
        config += &match (kind, fpm) {
            (Kind::ModPhp, _) => {
                "<FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>\nStartServers 2\n".to_owned()
            }
            (Kind::ProxyFcgi, Some(fpm)) => format!(
                "<FilesMatch \\.php$>\nSetHandler \"proxy:unix:{}|fcgi://localhost\"\n</FilesMatch>\n",
                fpm.socket.display()
            ),
            (Kind::ProxyFcgi, None) => panic!("mod_proxy_fcgi needs PHP-FPM"),
            (Kind::Event | Kind::Worker, _) => String::new(),
            (Kind::Cgi, _) => "<Files *.cgi>\nSetHandler cgi-script\n</Files>\n".to_owned(),
            (Kind::Cgid, _) => {
                format!("ScriptSock {path}/cgid.sock\n<Files *.cgi>\nSetHandler cgi-script\n</Files>\n")
            }
        };
        config += extra;
        let config = place.write("apache.conf", &config);
        let words = [by, &["/usr/sbin/apache2"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.arg("-f").arg(&config).arg("-DFOREGROUND");
        let process = Process::start(command, guard);
        wait_until("apache2", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Apache { process, port }
    }
}
