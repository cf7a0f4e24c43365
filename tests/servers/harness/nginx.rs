//! Debian's nginx.

use super::{Guard, Place, Process, wait_until};
use std::net::TcpStream;
use std::process::Command;

const PORT: u16 = 8081;

pub struct Nginx {
    pub process: Process,
    pub port: u16,
}

impl Nginx {
    /// Starts nginx on loopback, port 8081, with `server` as the body of its server block.
    pub fn start(place: &Place, guard: Option<&Guard>, server: &str) -> Nginx {
        Nginx::start_on(place, guard, server, PORT)
    }

    /// The same on another port.
    pub fn start_on(place: &Place, guard: Option<&Guard>, server: &str, port: u16) -> Nginx {
        Nginx::start_with(place, guard, "", server, port)
    }

    /// The same with `top` at the top of the configuration.
    pub fn start_with(place: &Place, guard: Option<&Guard>, top: &str, server: &str, port: u16) -> Nginx {
        let mut command = Nginx::command_with(place, top, server, port);
        command.args(["-g", "daemon off;"]);
        let process = Process::start(command, guard);
        wait_until("nginx", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Nginx { process, port }
    }

    /// The command for the same that detaches.
    pub fn command(place: &Place, server: &str, port: u16) -> Command {
        Nginx::command_with(place, "", server, port)
    }

    /// The same with `top` at the top of the configuration.
    pub fn command_with(place: &Place, top: &str, server: &str, port: u16) -> Command {
        let path = place.path().display();
        let config = place.write(
            "nginx.conf",
            &format!(
                "{top}\nuser www-data; worker_processes 1; pid {path}/nginx.pid; error_log {path}/nginx-error.log notice;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ access_log off; client_body_temp_path {path}/nginx-body; proxy_temp_path {path}/nginx-proxy;\n\
                 fastcgi_temp_path {path}/nginx-fastcgi; uwsgi_temp_path {path}/nginx-uwsgi;\n\
                 scgi_temp_path {path}/nginx-scgi;\n\
                 server {{ listen 127.0.0.1:{port}; server_name localhost; root {path}/www;\n{server}\n}} }}\n"
            ),
        );
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&config);
        command
    }
}
