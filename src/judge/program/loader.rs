//! The dynamic loader as a program: what its arguments make it run (glibc, elf/rtld.c).

/// The arguments and variables that steer the dynamic loader.
pub struct LoaderSettings<'a> {
    /// The program; `None` where it runs none, or where that is not known.
    pub program: Option<&'a [u8]>,
    /// The arguments have an option that is not known, or end too early.
    pub unknown: bool,
    /// A library is to be loaded, or looked for elsewhere.
    pub loads_library: bool,
}

/// Whether a program of this name is the dynamic loader.
pub fn is_loader(name: &[u8]) -> bool {
    [&b"ld-linux"[..], b"ld-2.", b"ld.so", b"ld-musl"].into_iter().any(|start| name.starts_with(start))
}

/// Reads the arguments behind the loader's own name.
pub fn read<'a>(arguments: &[&'a [u8]]) -> LoaderSettings<'a> {
    let mut told = LoaderSettings { program: None, unknown: false, loads_library: false };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            b"--list" | b"--verify" | b"--inhibit-cache" => {}
            b"--preload" | b"--audit" | b"--library-path" => {
                told.loads_library = true;
                rest.next();
            }
            b"--inhibit-rpath" | b"--argv0" | b"--glibc-hwcaps-prepend" | b"--glibc-hwcaps-mask" => {
                rest.next();
            }
            // They say something and end.
            b"--help" | b"--version" | b"--list-tunables" | b"--list-diagnostics" => return told,
            option if option.starts_with(b"--") => {
                told.unknown = true;
                return told;
            }
            program => {
                told.program = Some(program);
                return told;
            }
        }
    }
    // More arguments than are looked at, or an option without its value.
    told.unknown = !arguments.is_empty();
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_stands_behind_all_options() {
        let long =
            [&b"--argv0"[..], b"x", b"--library-path", b"/lib", b"--inhibit-cache", b"--preload", b"a", b"/bin/sh"];
        let told = read(&long);
        assert_eq!(told.program, Some(&b"/bin/sh"[..]));
        assert!(told.loads_library && !told.unknown);
        assert!(read(&[b"--new-option", b"/bin/sh"]).unknown);
        assert!(read(&[b"--argv0"]).unknown);
        assert!(!read(&[]).unknown);
        assert_eq!(read(&[b"/bin/true", b"--preload"]).program, Some(&b"/bin/true"[..]));
    }
}
