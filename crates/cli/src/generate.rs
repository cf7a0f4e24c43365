//! Man pages and shell completions, out of the command line's own description; for packages.

use crate::arguments::Arguments;
use crate::{FINE, complain};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// Writes `man/*.1` and a file for each shell.
pub fn run(folder: &Path) -> u8 {
    match generate(folder) {
        Ok(()) => FINE,
        Err(error) => complain(format_args!("cannot write to {}: {error}", folder.display())),
    }
}

fn generate(folder: &Path) -> std::io::Result<()> {
    let man = folder.join("man");
    std::fs::create_dir_all(&man)?;
    clap_mangen::generate_to(Arguments::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "portcullis", folder)?;
    }
    Ok(())
}
