//! Who does it: a process as /proc and the kernel tell of it, read into fixed buffers at the moment of an event.

use crate::files;
use crate::memory::base_name;
use crate::sys;
use portcullis_event::{ARGS_SHOWN, Process};

/// Room for what /proc says of one process.
pub struct Room {
    name: [u8; 16],
    executable: [u8; 512],
    folder: [u8; 512],
    command_line: [u8; 1024],
}

impl Room {
    /// Empty.
    pub const fn new() -> Room {
        Room { name: [0; 16], executable: [0; 512], folder: [0; 512], command_line: [0; 1024] }
    }
}

/// The facts on process `pid`, 0 for the calling one; its arguments go into `args`. What cannot be read is empty. The folder
/// of the calling process is of interest, that of its parent hardly ever.
pub fn facts<'a>(pid: u32, room: &'a mut Room, args: &'a mut [&'a [u8]; ARGS_SHOWN]) -> Process<'a> {
    let own = pid == 0;
    let Room { name, executable, folder, command_line } = room;
    let executable = sys::readlink(files::proc_path(pid, b"exe").c_str(), executable);
    let name = match own {
        // Without /proc, as in a chroot, the kernel still tells the name of the thread.
        true if executable.is_empty() => sys::thread_name(name),
        _ => files::proc_read(pid, b"comm", name),
    };
    let folder = if own { sys::getcwd(folder) } else { &[] };
    let count = files::arguments(files::proc_read(pid, b"cmdline", command_line), args);
    Process {
        pid: if own { sys::getpid() } else { pid },
        name: if name.is_empty() { base_name(executable) } else { name },
        executable,
        working_directory: folder,
        args: args.get(..count).unwrap_or(args),
        args_count: u32::try_from(count).unwrap_or(u32::MAX),
    }
}
