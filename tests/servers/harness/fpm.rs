//! Debian's PHP-FPM.

use super::{Guard, Place, Process, named, wait_until};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The settings of the one pool.
#[derive(Default)]
pub struct Pool {
    /// Further lines of the pool's section.
    pub lines: String,
    /// Listens on this port of loopback instead of a socket.
    pub port: Option<u16>,
    /// Further lines of the global section.
    pub global: String,
    /// Where standard error goes; the test's own where there is none.
    pub stderr: Option<PathBuf>,
}

pub struct Fpm {
    pub process: Process,
    pub socket: PathBuf,
    /// As nginx names it.
    pub address: String,
}

impl Fpm {
    pub fn start(place: &Place, guard: Option<&Guard>, pool: &Pool) -> Fpm {
        Fpm::start_in(place, guard, pool, &[])
    }

    /// The same by a command that executes its arguments.
    pub fn start_in(place: &Place, guard: Option<&Guard>, pool: &Pool, by: &[&str]) -> Fpm {
        let socket = place.join("fpm.sock");
        let _ = std::fs::remove_file(&socket);
        let path = place.path().display();
        let listen = pool.port.map_or(format!("{path}/fpm.sock"), |port| format!("127.0.0.1:{port}"));
        let config = place.write(
            "fpm.conf",
            &format!(
                "[global]\nerror_log = {path}/fpm.log\npid = {path}/fpm.pid\n{}\n[www]\nuser = www-data\ngroup = www-data\n\
                 listen = {listen}\nlisten.mode = 0666\npm = static\npm.max_children = 2\n{}\n",
                pool.global, pool.lines
            ),
        );
        let server = named("/usr/sbin/php-fpmX.Y");
        let words = [by, &[server.as_str()]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.arg("--fpm-config").arg(&config).arg("-F");
        if let Some(path) = &pool.stderr {
            command.stderr(std::fs::File::create(path).expect("a file"));
        }
        let process = Process::start(command, guard);
        wait_until("php-fpm", || match pool.port {
            Some(port) => TcpStream::connect(("127.0.0.1", port)).is_ok(),
            None => UnixStream::connect(&socket).is_ok(),
        });
        let address = pool.port.map_or(format!("unix:{}", socket.display()), |port| format!("127.0.0.1:{port}"));
        Fpm { process, socket, address }
    }

    /// The `location` that hands scripts of `www` to this pool.
    pub fn nginx_location(&self, root: &Path) -> String {
        format!(
            "location ~ \\.php$ {{ include /etc/nginx/fastcgi_params; \
             fastcgi_param SCRIPT_FILENAME {}$fastcgi_script_name; fastcgi_pass {}; }}",
            root.display(),
            self.address
        )
    }
}
