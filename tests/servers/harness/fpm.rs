//! Debian's PHP-FPM.

use super::{Guard, Place, Process, wait_until};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The settings of the one pool.
#[derive(Default)]
pub struct Pool {
    /// Further lines of the pool's section.
    pub lines: String,
    /// Where standard error goes; the test's own where there is none.
    pub stderr: Option<PathBuf>,
}

pub struct Fpm {
    pub process: Process,
    pub socket: PathBuf,
}

impl Fpm {
    pub fn start(place: &Place, guard: Option<&Guard>, pool: &Pool) -> Fpm {
        let socket = place.join("fpm.sock");
        let _ = std::fs::remove_file(&socket);
        let path = place.path().display();
        let config = place.write(
            "fpm.conf",
            &format!(
                "[global]\nerror_log = {path}/fpm.log\npid = {path}/fpm.pid\n[www]\nuser = www-data\ngroup = www-data\n\
                 listen = {path}/fpm.sock\nlisten.mode = 0666\npm = static\npm.max_children = 2\n{}\n",
                pool.lines
            ),
        );
        let mut command = Command::new("/usr/sbin/php-fpm8.2");
        command.arg("--fpm-config").arg(&config).arg("-F");
        if let Some(path) = &pool.stderr {
            command.stderr(std::fs::File::create(path).expect("a file"));
        }
        let process = Process::start(command, guard);
        wait_until("php-fpm", || UnixStream::connect(&socket).is_ok());
        Fpm { process, socket }
    }

    /// The `location` that hands scripts of `www` to this pool.
    pub fn nginx_location(&self, root: &Path) -> String {
        format!(
            "location ~ \\.php$ {{ include /etc/nginx/fastcgi_params; \
             fastcgi_param SCRIPT_FILENAME {}$fastcgi_script_name; fastcgi_pass unix:{}; }}",
            root.display(),
            self.socket.display()
        )
    }
}
