//! The C API of shim/include/portcullis.h.

use super::slot;
use crate::policy::in_force;
use crate::sys::Reader;
use core::ffi::{c_char, c_int};
use portcullis_request::{Field, Source, State};

/// `struct portcullis_request` of the C header.
#[repr(C)]
pub struct CRequest {
    size: usize,
    server_name: *const c_char,
    document_root: *const c_char,
    script: *const c_char,
    method: *const c_char,
    uri: *const c_char,
    client: *const c_char,
    profile: *const c_char,
}

fn take<const N: usize>(field: &mut Field<N>, text: *const c_char) {
    if !text.is_null() {
        match Reader::default().string(text.cast(), N.wrapping_add(1)) {
            Some(value) => field.set(value),
            None => field.mark_cut(),
        }
    }
}

/// `portcullis_request_begin`.
///
/// # Safety
/// As the header has it: a struct of the size that it says, with C strings or NULL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn portcullis_request_begin(told: *const CRequest) -> u64 {
    slot::replace(|request| {
        // SAFETY: as the caller promises: the size comes first, and is there where the rest is not.
        if told.is_null() || unsafe { told.cast::<usize>().read_unaligned() } < size_of::<CRequest>() {
            return;
        }
        // SAFETY: as the caller promises, by the size: it is not a smaller struct, of an earlier version.
        let told = unsafe { told.read_unaligned() };
        take(&mut request.server_name, told.server_name);
        take(&mut request.document_root, told.document_root);
        take(&mut request.script, told.script);
        take(&mut request.method, told.method);
        take(&mut request.uri, told.uri);
        take(&mut request.client, told.client);
        take(&mut request.profile, told.profile);
        request.source = Source::Module;
        request.state = State::Known;
    })
}

/// `portcullis_request_end`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn portcullis_request_end(token: u64) {
    slot::end(token);
}

/// `portcullis_profile_known`.
///
/// # Safety
/// `profile` must be a C string or NULL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn portcullis_profile_known(profile: *const c_char) -> c_int {
    let reader = Reader::default();
    let profile = reader.string(profile.cast(), 65).unwrap_or_default();
    c_int::from(in_force::policy().has_profile(profile))
}
