//! The modules for Apache and nginx, as Debian's packages lay them: enabled by a link.

use super::plan;
use super::undo::Undo;
use portcullis_config::reading;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a server's module is enabled.
struct Module {
    /// What the server loads it by.
    available: &'static str,
    /// The link that enables it.
    enabled: &'static str,
    /// The package.
    package: &'static str,
    /// What checks the server's configuration.
    check: [&'static str; 2],
    /// What it is for.
    purpose: &'static str,
}

const APACHE: Module = Module {
    available: "/etc/apache2/mods-available/portcullis.load",
    enabled: "/etc/apache2/mods-enabled/portcullis.load",
    package: "libapache2-mod-portcullis",
    check: ["/usr/sbin/apache2ctl", "-t"],
    purpose: "mod_php and other programs in Apache's own processes have no request in their events without mod_portcullis",
};

const NGINX: Module = Module {
    available: "/usr/share/nginx/modules-available/mod-http-portcullis.conf",
    enabled: "/etc/nginx/modules-enabled/50-mod-http-portcullis.conf",
    package: "libnginx-mod-http-portcullis",
    check: ["/usr/sbin/nginx", "-tq"],
    purpose: "events of nginx's own connections have no request without its module",
};

fn of(unit: &str) -> Option<&'static Module> {
    match unit {
        "apache2.service" => Some(&APACHE),
        "nginx.service" => Some(&NGINX),
        _ => None,
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    super::below(root, Path::new(path))
}

/// What to say of a module that could be enabled and is not.
pub fn hint(root: &Path, unit: &str) -> Option<String> {
    let module = of(unit)?;
    if below(root, module.enabled).symlink_metadata().is_ok() {
        return None;
    }
    // Without PHP in it, Apache hands its requests on, and the guard reads them there.
    if unit == "apache2.service" && !in_process(root) {
        return None;
    }
    Some(match below(root, module.available).exists() {
        true => format!("{}: --module enables it", module.purpose),
        false => format!("{}: it is in the package {}", module.purpose, module.package),
    })
}

fn in_process(root: &Path) -> bool {
    let enabled = reading::entries(&root.join("etc/apache2/mods-enabled"), reading::ENTRIES_MAX).into_iter().flatten();
    enabled
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name.starts_with("php") && name.ends_with(".load"))
}

/// Whether a unit's module can be enabled, so that nothing is changed if it cannot.
pub fn check(root: &Path, unit: &str) -> Result<(), String> {
    let Some(module) = of(unit) else { return Ok(()) };
    let available = below(root, module.available);
    if !available.exists() {
        return Err(format!("{} is not there; help: install the package {}", available.display(), module.package));
    }
    Ok(())
}

/// What enables a unit's module, if it is not yet enabled.
pub fn to_enable(root: &Path, unit: &str) -> Option<PathBuf> {
    let enabled = below(root, of(unit)?.enabled);
    enabled.symlink_metadata().is_err().then_some(enabled)
}

/// Enables a unit's module; where the server would not start with it, it is taken back.
pub fn enable(root: &Path, unit: &str, undo: &mut Undo<'_>) -> Result<(), String> {
    let (Some(module), Some(enabled)) = (of(unit), to_enable(root, unit)) else { return Ok(()) };
    undo.keep(&enabled)?;
    let failed = |error: std::io::Error| format!("cannot make {}: {error}", enabled.display());
    // Found under the same names in an image as when that runs.
    plan::link(root, Path::new(module.available), &enabled).map_err(failed)?;
    if root == Path::new("/") {
        let done = Command::new(module.check[0]).arg(module.check[1]).output();
        let said = match done {
            Ok(done) if done.status.success() => None,
            Ok(done) => Some(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(said) = said {
            return Err(format!("{unit} does not take the module: {said}"));
        }
    }
    println!("{}: enabled", enabled.display());
    Ok(())
}

/// Disables a unit's module.
pub fn disable(root: &Path, unit: &str, undo: &mut Undo<'_>) -> Result<(), String> {
    let Some(module) = of(unit) else { return Ok(()) };
    let enabled = below(root, module.enabled);
    undo.keep(&enabled)?;
    match plan::remove(root, &enabled) {
        Ok(()) => println!("{}: disabled", enabled.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot remove {}: {error}", enabled.display())),
    }
    Ok(())
}
