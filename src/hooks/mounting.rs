//! Hooks what mounts a file system, for the one that says what programs are: binfmt_misc. In a user namespace of its own anybody may
//! mount it (from Linux 6.7 on), and have any file run by any interpreter.

use super::fail;
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::memory::StringBuf;
use crate::process::stack;
use crate::process::state::{self, Role};
use crate::real::table::real;
use crate::request;
use crate::sys;
use crate::sys::Reader;
use crate::sys::address::NOWHERE;
use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

/// A type, which the kernel reads a page of, as it stood when it was judged: nobody can change it then.
type Kind = StringBuf<4097>;

/// What the kernel is to have of a type.
#[expect(clippy::large_enum_variant, reason = "nothing is allocated, and it lives for one call")]
enum Given {
    /// NULL, as the caller gave it.
    Null,
    /// The copy that was judged.
    Copy(Kind),
    /// What cannot be read: the kernel says so in its own order, behind what it asks of the caller's rights.
    Nowhere,
}

/// Judges mounting what `kind` is.
fn decide(call: &[u8], kind: *const c_char) -> Decision<Given> {
    if kind.is_null() {
        return Ok(Given::Null);
    }
    let reader = Reader::default();
    let Some(text) = reader.string(kind.cast(), 4096) else { return Ok(Given::Nowhere) };
    let copy = Kind::of(text);
    if copy.bytes() == b"binfmt_misc" {
        formats(call)?;
    }
    Ok(Given::Copy(copy))
}

#[cold]
#[inline(never)]
fn formats(call: &[u8]) -> Decision {
    if state::role() == Role::Master {
        return Ok(());
    }
    let mut detail = StringBuf::<64>::of(call);
    detail.push(b": binfmt_misc");
    request::current(|served| judge::formats(Actor::This, served, detail.bytes()))
}

impl Given {
    fn pointer(&self) -> *const c_char {
        match self {
            Given::Null => core::ptr::null(),
            Given::Copy(kind) => kind.c_str().as_ptr(),
            Given::Nowhere => NOWHERE.cast(),
        }
    }
}

/// mount(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn mount(
    source: *const c_char,
    target: *const c_char,
    kind: *const c_char,
    flags: c_ulong,
    data: *const c_void,
) -> c_int {
    let Some(real) = real::mount() else { return fail(libc::ENOSYS) };
    stack::through(|| match decide(b"mount", kind) {
        // SAFETY: as the caller promises; the type is a C string, or what the kernel reads none from.
        Ok(kind) => stack::back(|| unsafe { real(source, target, kind.pointer(), flags, data) }),
        Err(Refused(errno)) => fail(errno),
    })
}

/// fsopen(2), from glibc 2.36 on.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fsopen(kind: *const c_char, flags: c_uint) -> c_int {
    let Some(real) = real::fsopen() else { return fail(libc::ENOSYS) };
    stack::through(|| match decide(b"fsopen", kind) {
        // SAFETY: as above.
        Ok(kind) => stack::back(|| unsafe { real(kind.pointer(), flags) }),
        Err(Refused(errno)) => fail(errno),
    })
}

/// Either as a system call: the type is argument `at` of them.
///
/// # Safety
/// As the system call's.
pub(super) unsafe fn system_call(number: c_long, at: usize, mut args: [usize; 6]) -> c_long {
    let Some(given) = args.get(at).map(|kind| *kind as *const c_char) else { return -1 };
    stack::through(|| match decide(if at == 0 { b"fsopen" } else { b"mount" }, given) {
        Ok(given) => {
            if let Some(kind) = args.get_mut(at) {
                *kind = given.pointer() as usize;
            }
            // SAFETY: as the caller promises.
            super::as_libc_size(stack::back(|| unsafe { sys::any(number, args) })) as c_long
        }
        Err(Refused(errno)) => super::to_long(fail(errno)),
    })
}
