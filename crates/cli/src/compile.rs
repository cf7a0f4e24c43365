//! `portcullis compile`: the configuration to the file that the guard maps. Written beside it and renamed, so that a
//! reader finds the old one or the new one, and a broken configuration changes nothing.

use crate::arguments::Compile;
use crate::{FINE, WRONG, check, complain, device, seal_key, sink, warn};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, compile, trust};
use portcullis_policy::place;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The largest compiled policy, in bytes.
pub const POLICY_MAX: u64 = 1 << 30;

/// Where the compiled policy of the configuration `config` lies.
pub fn default_output(config: &Path) -> PathBuf {
    let mut path = place::DEFAULT_POLICY.to_owned();
    if let Some(suffix) = place::suffix(config.as_os_str().as_bytes()) {
        path.extend(suffix.map(char::from));
    }
    path.into()
}

/// The beginning of the names of policies that are not yet in their place. Nobody reads them.
pub const TEMPORARY: &str = ".policy-";

/// Writes `bytes` to `output` atomically, readable by all and writable by the owner.
pub fn write(bytes: &[u8], output: &Path) -> std::io::Result<()> {
    if let Some(mut device) = device::open(output)? {
        return device.write_all(bytes);
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sink::make_folder(folder, 0o755)?;
    trust::folder(Path::new("/"), &std::path::absolute(folder)?).map_err(|weak| {
        let message = format!("another user could replace it: {}; {}", weak.what(), weak.advice());
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, message)
    })?;
    // The guard's own folder, which every process of every server has to get through.
    if Some(folder) == Path::new(place::DEFAULT_POLICY).parent() {
        let mode = std::fs::metadata(folder)?.mode();
        if mode & 0o777 != 0o755 {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    // The same policy stays where it is, mapped as it is.
    if is_there(bytes, output) {
        return Ok(());
    }
    fits(bytes.len() as u64)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(output)?;
    Ok(())
}

/// Lifts this process's limit of a file's size, which a server's unit may have set; the error where a file may still not have that many
/// bytes. To write more would end the process (SIGXFSZ), and leave the file behind.
fn fits(len: u64) -> std::io::Result<()> {
    let is_less = |limit: Rlimit| limit.current.is_some_and(|current| current < len);
    if is_less(getrlimit(Resource::Fsize)) {
        let hard = getrlimit(Resource::Fsize).maximum;
        let _ = setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None })
            .or_else(|_| setrlimit(Resource::Fsize, Rlimit { current: hard, maximum: hard }));
    }
    if is_less(getrlimit(Resource::Fsize)) {
        let message = format!("it has {len} bytes, and a file may not have as many (RLIMIT_FSIZE, LimitFSIZE=)");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(())
}

fn is_there(bytes: &[u8], output: &Path) -> bool {
    let Ok(meta) = std::fs::symlink_metadata(output) else { return false };
    let own = std::fs::metadata("/proc/self").map(|own| own.uid());
    let is_right = meta.is_file() && meta.mode() & 0o777 == 0o644 && own.is_ok_and(|own| own == meta.uid());
    is_right && reading::bytes(output, Links::Refuse, bytes.len() as u64).is_ok_and(|now| now == bytes)
}

/// Makes the log of the file sink and the key of the seals, where they are used.
pub fn prepare(config: &Config) {
    if let Err(error) = sink::prepare(Path::new("/"), config) {
        warn(format_args!("cannot make {}: {error}", config.log_file.display()));
    }
    if let Err(message) = seal_key::prepare(config) {
        warn(format_args!("events are not sealed: {message}"));
    }
}

pub fn run(arguments: &Compile) -> u8 {
    if let Some(Err(why)) = arguments.output.as_deref().map(crate::out::lacks_folder) {
        return complain(why);
    }
    let path = check::path_of(&arguments.source);
    let mut loaded = portcullis_config::load(&path);
    check::show(&loaded);
    if !loaded.usable() {
        eprintln!("{}; nothing was written", check::summary(&loaded, &path));
        return WRONG;
    }
    let mode = arguments.mode.map(Into::into);
    crate::modes::untold(&loaded.config, mode).iter().for_each(warn);
    crate::modes::tell(&mut loaded.config, mode);
    prepare(&loaded.config);
    let output = arguments.output.clone().unwrap_or_else(|| default_output(&path));
    let bytes = compile(&loaded.config);
    if output.as_os_str() == "-" {
        return match crate::out::bytes(&bytes) {
            Ok(()) => FINE,
            Err(error) => complain(format_args!("cannot write the policy: {error}")),
        };
    }
    match write(&bytes, &output) {
        Ok(()) => {
            let mut said = crate::modes::said(&loaded.config);
            said.push(format!("{}: {}", output.display(), check::counted(bytes.len(), "byte")));
            match device::is(&output) {
                true => said.iter().for_each(|line| eprintln!("{line}")),
                false => said.iter().for_each(|line| println!("{line}")),
            }
            FINE
        }
        Err(error) => complain(format_args!("cannot write {}: {error}", output.display())),
    }
}
