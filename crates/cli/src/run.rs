//! `portcullis run`: any command under the guard. The command takes this process's place.

use crate::arguments::{RoleWord, Run};
use crate::{USAGE, check, compile, complain, destination, modes};
use portcullis_config::model::{From, Origin};
use portcullis_config::{Config, DEFAULT_CONFIG, trust};
use portcullis_policy::{Mode, Sink};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// Programs that are web servers or start them (Elastic's and Sigma's rules name them); without their versions.
const SERVERS: [&str; 22] = [
    "apache",
    "apache2",
    "apachectl",
    "apache2ctl",
    "httpd",
    "nginx",
    "openresty",
    "lighttpd",
    "caddy",
    "php-fpm",
    "php-cgi",
    "gunicorn",
    "uwsgi",
    "uvicorn",
    "hypercorn",
    "fcgiwrap",
    "unitd",
    "puma",
    "haproxy",
    "varnishd",
    "frankenphp",
    "lshttpd",
];

/// What a container begins with before its server: first processes, and what gives up root.
const BEFORE_SERVERS: [&str; 8] =
    ["tini", "dumb-init", "catatonit", "s6-svscan", "supervisord", "gosu", "su-exec", "setpriv"];
/// How the scripts of images are called that start their server.
const ENTRY_POINTS: [&str; 3] = ["entrypoint", "entrypoint.sh", "-foreground"];

/// Whether a program is a web server by its name, `php-fpm8.2` included, or starts one before it serves.
fn is_server(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let bare = name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.');
    let is_known = |name: &str| SERVERS.contains(&name) || BEFORE_SERVERS.contains(&name);
    is_known(&name) || is_known(bare) || ENTRY_POINTS.iter().any(|end| name.ends_with(end))
}

/// This command's own file. Without /proc it is what the command was called by, looked for along PATH as the shell did.
fn own() -> Option<PathBuf> {
    std::env::current_exe().ok().or_else(|| {
        let called = PathBuf::from(std::env::args_os().next()?);
        if called.components().count() > 1 {
            return std::path::absolute(called).ok();
        }
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(&called)).find(|path| path.is_file())
    })
}

/// The library beside this command, else the installed one.
fn library() -> Option<PathBuf> {
    const NAME: &str = "libportcullis.so";
    let beside = own().and_then(|own| Some(own.parent()?.join(NAME)));
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let installed = [multiarch.as_str(), "/usr/lib64", "/usr/lib"].map(|folder| Path::new(folder).join(NAME));
    beside.into_iter().chain(installed).find(|path| path.is_file())
}

/// This process's effective user, to whom a file belongs that it makes.
fn user() -> std::io::Result<u32> {
    // /proc/self is the effective user's; where there is no /proc, so is a new file.
    let asked = std::fs::metadata("/proc/self").or_else(|_| tempfile::tempfile()?.metadata());
    asked.map(|meta| meta.uid())
}

/// Writes the compiled policy into a folder that nobody else can write to: the usual one, or where that cannot be written to
/// (a read-only /run), one in the folder for temporary files.
fn lay(bytes: &[u8], name: &str) -> std::io::Result<PathBuf> {
    let user = user()?;
    let usual = match (user, std::env::var_os("XDG_RUNTIME_DIR")) {
        (0, _) => Some(PathBuf::from("/run/portcullis")),
        (_, runtime) => runtime.map(|runtime| Path::new(&runtime).join("portcullis")),
    };
    let other = std::env::temp_dir().join(format!("portcullis-{user}"));
    let into = |folder: &Path| {
        let path = own_folder(folder, user)?.join(name);
        compile::write(bytes, &path).map(|()| path)
    };
    match usual {
        Some(usual) => into(&usual).or_else(|first| into(&other).map_err(|_| first)),
        None => into(&other),
    }
}

fn own_folder(folder: &Path, user: u32) -> std::io::Result<PathBuf> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let refused = |why: String| std::io::Error::new(std::io::ErrorKind::PermissionDenied, why);
    let root = Path::new("/");
    let found = trust::walk(root, folder, &trust::owners(root), true).map_err(|weak| refused(weak.what()))?;
    if !found.is_some_and(|found| found.is_dir() && found.uid() == user) {
        return Err(refused(format!("{} is not a folder of this user's own", folder.display())));
    }
    Ok(folder.to_owned())
}

/// The configuration; where none is named and the default one is not there, the built-in one with events on standard
/// error.
fn configuration(named: Option<&Path>, is_silent: bool) -> Option<Config> {
    if named.is_none() && !Path::new(DEFAULT_CONFIG).try_exists().unwrap_or(true) {
        return Some(Config { sinks: vec![Sink::Stderr], ..portcullis_config::built_in() });
    }
    let loaded = portcullis_config::load(named.unwrap_or(Path::new(DEFAULT_CONFIG)));
    if !is_silent {
        check::show_errors(&loaded);
    }
    loaded.usable().then_some(loaded.config)
}

/// The ports that a command's arguments name behind an address (`-S 127.0.0.1:8080`, `--bind=:80`) or an option for a port
/// (`--port 8080`, `-p 80`): of a server that serves from its beginning (`php -S`) these are its own.
fn told_ports(arguments: &[OsString]) -> BTreeSet<u16> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0 && !text.starts_with('+'));
    let is_for_port = |option: &str| option == "-p" || option.starts_with('-') && option.ends_with("port");
    let mut ports = BTreeSet::new();
    let mut before = "";
    for argument in arguments {
        let argument = argument.to_str().unwrap_or_default();
        let (option, value) = argument.split_once('=').unwrap_or((before, argument));
        let port = match value.rsplit_once(':') {
            Some((host, port)) if !host.contains([' ', '\t', '\n']) && !host.contains("//") => number(port),
            None if is_for_port(option) => number(value),
            _ => None,
        };
        ports.extend(port);
        before = argument;
    }
    ports
}

/// Lets a server open the ports that it was told to, in every scope.
fn let_listen(config: &mut Config, told: &BTreeSet<u16>) {
    let own = |port: &u16| From {
        value: (*port, *port),
        origin: Origin { text: format!("port {port} of the command"), file: None, line: 0 },
    };
    let scopes = config.vhosts.iter_mut().map(|vhost| &mut vhost.scope).filter(|scope| scope.listen.is_some());
    for scope in scopes.chain([&mut config.global]) {
        scope.listen.get_or_insert_default().extend(told.iter().map(own));
    }
}

/// The policy of a configuration for a server that was told to have this mode and to listen on these ports.
fn compiled(config: &mut Config, mode: Option<Mode>, told: &BTreeSet<u16>) -> Vec<u8> {
    modes::tell(config, mode);
    let_listen(config, told);
    // A policy without sources is never old: the guard does not compile it again.
    config.sources.clear();
    portcullis_config::compile(config)
}

/// How the names of the policies begin.
const PREFIX: &str = "run-";
/// The mode of one whose command named none.
const AS_CONFIGURED: &str = "configured";
/// What stands for the configuration where none was named.
const NONE_NAMED: &[u8] = b"built in";

fn hash(config: Option<&Path>) -> String {
    let config = config.map_or(NONE_NAMED, |path| path.as_os_str().as_bytes());
    format!("{:016x}", portcullis_policy::command::token_hash(config))
}

/// One name for each configuration and mode, so that runs leave no more files than there are of those.
fn policy_name(config: Option<&Path>, mode: Option<Mode>, told: &BTreeSet<u16>) -> String {
    let mode = mode.map_or(AS_CONFIGURED, Mode::word);
    let ports: String = told.iter().map(|port| format!("-{port}")).collect();
    format!("{PREFIX}{}-{mode}{ports}", hash(config))
}

/// The parts of the name of a policy that this command has made: of the configuration, the mode, and the ports.
fn parts(file: &Path) -> Option<(&str, Option<Mode>, BTreeSet<u16>)> {
    let mut parts = file.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('-');
    let (config, mode) = (parts.next()?, parts.next()?);
    let mode = match mode {
        AS_CONFIGURED => None,
        word => Some([Mode::Off, Mode::Audit, Mode::Enforce].into_iter().find(|mode| mode.word() == word)?),
    };
    Some((config, mode, parts.map(|port| port.parse().ok()).collect::<Option<_>>()?))
}

/// The mode that its command gave the server with this policy's file; only `override` takes precedence over that.
pub fn mode_of(file: &Path) -> Option<Mode> {
    parts(file)?.1
}

/// The name of the policy of a server that was started so, for tests.
#[cfg(test)]
pub fn file_of(config: Option<&Path>, mode: Option<Mode>) -> PathBuf {
    Path::new("/run/portcullis").join(policy_name(config, mode, &BTreeSet::new()))
}

/// Whether a policy's file is one of this command's: what it started keeps it.
pub fn is_own(file: &Path) -> bool {
    parts(file).is_some()
}

/// The configuration by its main file, or none where a policy of this command named none; `None` where it is of another.
fn named<'c>(file: &Path, config: &'c Path) -> Option<Option<&'c Path>> {
    let (of, _, _) = parts(file)?;
    let default = (config == Path::new(DEFAULT_CONFIG)).then_some(None);
    [Some(Some(config)), default].into_iter().flatten().find(|named| hash(*named) == of)
}

/// Whether a policy's file is one of this command's, of the configuration with this main file.
pub fn is_of(file: &Path, config: &Path) -> bool {
    named(file, config).is_some()
}

/// The digest that a policy of this command would have now; `None` where the configuration has an error.
pub fn digest_now(file: &Path, config: &Path) -> Option<u64> {
    let (_, mode, told) = parts(file)?;
    let bytes = compiled(&mut configuration(named(file, config)?, true)?, mode, &told);
    portcullis_policy::Policy::new(&bytes).ok().map(|policy| policy.digest())
}

pub fn run(arguments: &Run) -> u8 {
    let Some((program, rest)) = arguments.command.split_first() else { return USAGE };
    let is_master = match arguments.role {
        RoleWord::Master => true,
        RoleWord::Serving => false,
        RoleWord::Auto => is_server(Path::new(program)),
    };
    let told = match arguments.role {
        RoleWord::Auto if !is_master => told_ports(rest),
        _ => BTreeSet::new(),
    };
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let named = named.as_deref();
    let mode = arguments.mode.map(Mode::from);
    let Some(mut config) = configuration(named, false) else {
        return complain("the configuration has errors; nothing was started");
    };
    let Some(library) = library() else {
        return complain("libportcullis.so is neither beside this command nor in /usr/lib");
    };
    modes::untold(&config, mode).iter().for_each(crate::warn);
    compile::prepare(&config);
    destination::instead(&config.sinks).iter().for_each(crate::warn);
    let bytes = compiled(&mut config, mode, &told);
    let policy = match lay(&bytes, &policy_name(named, mode, &told)) {
        Ok(path) => path,
        Err(error) => return complain(format_args!("cannot write the compiled policy: {error}")),
    };
    let role = if is_master { "m" } else { "s" };
    let before = std::env::var_os("LD_PRELOAD").filter(|value| !value.is_empty());
    // The variable of src/child/context.rs: the guard finds its chain and standard error itself.
    let context = format!("1;{role};1;0;0;0:0;{};", policy.display());
    let mut preload = OsString::from(&library);
    if let Some(before) = before {
        preload.push(":");
        preload.push(before);
    }
    let error = std::process::Command::new(program)
        .args(rest)
        .env("LD_PRELOAD", preload)
        .env("PORTCULLIS_CONTEXT", context)
        // Beside it is the key of the seals.
        .envs(config.seal.then(|| ("PORTCULLIS_CONFIG", check::path_of(&arguments.source))))
        .exec();
    complain(format_args!("cannot start {}: {error}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_an_argument_names() {
        for (words, ports) in [
            ("-S 127.0.0.1:8080", &[8080][..]),
            ("-S [::1]:8080 router.php", &[8080]),
            ("--bind=:81 --bind 0.0.0.0:82", &[81, 82]),
            ("--port 83 --http-port=84 -p 85", &[83, 84, 85]),
            ("-r 4444 4445", &[]),
            ("http://192.88.1.10:4444/ a:b x:70000 -p 0 x:+5 x:", &[]),
            ("http://192.88.1.10:4444", &[]),
        ] {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            assert_eq!(told_ports(&words), ports.iter().copied().collect(), "{words:?}");
        }
        assert_eq!(told_ports(&["$s = x; listen(:4444".into(), "a b:4444".into()]), BTreeSet::new());
    }

    /// The kill switch lets every server go, also one whose command names a mode; without it, that mode is the server's.
    #[test]
    fn an_override_takes_precedence_over_the_mode_of_the_command() {
        let all = [None, Some(Mode::Off), Some(Mode::Audit), Some(Mode::Enforce)];
        for (force, told) in all[..3].iter().flat_map(|force| all.map(|told| (*force, told))) {
            let mut config = Config { force, ..portcullis_config::built_in() };
            let said = modes::untold(&config, told);
            let bytes = compiled(&mut config, told, &BTreeSet::new());
            let policy = portcullis_policy::Policy::new(&bytes).unwrap();
            let mode = policy.mode(portcullis_policy::GLOBAL_SCOPE, portcullis_policy::Rule::ShellSpawn);
            assert_eq!(mode, force.or(told).unwrap_or(Mode::Audit), "{force:?} {told:?}");
            assert_eq!(said.is_some(), force.is_some() && told.is_some() && force != told, "{said:?}");
        }
    }

    #[test]
    fn servers_are_known_by_name() {
        for server in [
            "/usr/sbin/php-fpm8.2",
            "nginx",
            "/usr/sbin/apache2",
            "php-fpm",
            "/usr/local/bin/docker-php-entrypoint",
            "tini",
        ] {
            assert!(is_server(Path::new(server)), "{server}");
        }
        for other in ["php", "sh", "/usr/bin/curl", "nginx-helper", "entrypoints"] {
            assert!(!is_server(Path::new(other)), "{other}");
        }
    }
}
