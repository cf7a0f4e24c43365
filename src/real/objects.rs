//! The objects that the loader has loaded, their tables, and the functions in them. The tables are read as the loader itself
//! reads them: they are what the process runs by. Nothing here calls what another library may have put in libc's place: that
//! may call this library again, which has not found what it needs yet.

use crate::sys::Reader;
use crate::sys::arch::page;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

/// An object in the loader's list (link.h).
#[repr(C)]
pub struct Listed {
    base: usize,
    /// Its path.
    _name: *const c_char,
    dynamic: usize,
    next: *const Listed,
}

unsafe extern "C" {
    // shim/loaded.c.
    fn portcullis_shim_loaded() -> *const Listed;
    fn portcullis_shim_dynamic() -> usize;
    fn portcullis_shim_is_musl() -> c_int;
}

/// The loader's list, from the program on; without a call, and at any time.
fn listed() -> impl Iterator<Item = &'static Listed> {
    // SAFETY: no arguments; the list's first is the program, which is never unloaded.
    let mut next = unsafe { portcullis_shim_loaded() };
    core::iter::from_fn(move || {
        // SAFETY: an object of the start, or null: no caller goes on behind libc.
        let object = unsafe { next.as_ref() }?;
        next = object.next;
        Some(object)
    })
}

impl Listed {
    fn is_own(&self) -> bool {
        // SAFETY: no arguments.
        self.dynamic == unsafe { portcullis_shim_dynamic() }
    }

    fn tables(&self) -> Option<(usize, Tables)> {
        // SAFETY: the loader's own word for it.
        Some((self.base, unsafe { Tables::read(self.base, self.dynamic) }?))
    }
}

/// The objects of the start that names are looked up in behind this library, up to libc, the last. None of them is ever
/// unloaded.
pub fn behind() -> impl Iterator<Item = (usize, Tables)> {
    let mut is_done = false;
    listed().skip_while(|object| !object.is_own()).skip(1).filter_map(Listed::tables).take_while(move |(_, tables)| {
        let goes_on = !is_done;
        is_done = tables.is_libc();
        goes_on
    })
}

/// A function of libc's own, whatever stands before it.
pub fn libcs(name: &CStr, hash: u32) -> Option<usize> {
    behind().find(|(_, tables)| tables.is_libc()).and_then(|(base, tables)| {
        // SAFETY: libc's own tables.
        match unsafe { tables.function(base, name, hash) } {
            Found::Function(address) => Some(address),
            _ => None,
        }
    })
}

/// libc's own function of a name, whatever stands before it, with this signature; `None` where libc has none.
macro_rules! of_libc {
    ($name:literal: fn($($arg:ty),*) -> $result:ty) => {{
        let at = crate::real::objects::libcs($name, const { crate::real::objects::gnu_hash($name) });
        // SAFETY: null is `None`; else this is libc's function of that name, whose signature is the header's.
        unsafe { core::mem::transmute::<usize, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at.unwrap_or(0)) }
    }};
}
pub(crate) use of_libc;

/// Whether the program's loader, and so its libc, is musl's.
pub fn is_musl() -> bool {
    // SAFETY: no arguments.
    unsafe { portcullis_shim_is_musl() != 0 }
}

type Iterate = unsafe extern "C" fn(
    Option<unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int>,
    *mut c_void,
) -> c_int;

/// libc's dl_iterate_phdr, where it was found.
fn iterate() -> Option<Iterate> {
    const NAME: &CStr = c"dl_iterate_phdr";
    const HASH: u32 = gnu_hash(NAME);
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    let mut at = FOUND.load(Ordering::Relaxed);
    if at == 0 {
        at = libcs(NAME, HASH)?;
        FOUND.store(at, Ordering::Relaxed);
    }
    // SAFETY: libc's function of that name.
    Some(unsafe { core::mem::transmute::<usize, Iterate>(at) })
}

/// Calls `visit` for each loaded object, in the order in which names are looked up in those of the start, until it gives false.
pub fn walk(visit: &mut dyn FnMut(&Object, usize) -> bool) {
    struct Walk<'v> {
        visit: &'v mut dyn FnMut(&Object, usize) -> bool,
        index: usize,
    }
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader gives a valid description, and `data` is the Walk below.
        let (info, walk) = unsafe { (&*info, &mut *data.cast::<Walk<'_>>()) };
        // SAFETY: as above.
        let go_on = match unsafe { Object::read(info) } {
            Some(object) => (walk.visit)(&object, walk.index),
            None => true,
        };
        walk.index = walk.index.wrapping_add(1);
        c_int::from(!go_on)
    }
    let mut walk = Walk { visit, index: 0 };
    if let Some(iterate) = iterate() {
        // SAFETY: `each` has the signature that the function calls.
        unsafe { iterate(Some(each), (&raw mut walk).cast()) };
    }
}

/// A loaded object.
pub struct Object {
    /// What the loader adds to the addresses in the file.
    pub base: usize,
    /// Its first address.
    pub first: usize,
    /// The address behind it.
    pub last: usize,
    dynamic: usize,
    /// Pages that the loader made read-only after relocation.
    pub relro: (usize, usize),
    /// How many objects the loader has loaded so far.
    pub adds: u64,
    /// How many it has unloaded.
    pub subs: u64,
    name: *const c_char,
}

/// The tables of an object's dynamic section, as addresses.
#[derive(Default)]
pub struct Tables {
    /// [`Symbol`]s.
    pub symbols: usize,
    /// Their names.
    pub strings: usize,
    /// Relocations with their size in bytes: of data, of calls.
    pub relocations: [(usize, usize); 2],
    /// DT_GNU_HASH; 0 where there is none.
    hash: usize,
    /// DT_VERSYM; 0 where there is none.
    versions: usize,
    /// DT_SONAME, in the strings.
    soname: usize,
}

impl Object {
    /// # Safety
    /// `info` must come from the loader.
    unsafe fn read(info: &libc::dl_phdr_info) -> Option<Object> {
        let base = info.dlpi_addr as usize;
        let mut object = Object {
            base,
            first: usize::MAX,
            last: 0,
            dynamic: 0,
            relro: (0, 0),
            adds: info.dlpi_adds,
            subs: info.dlpi_subs,
            name: info.dlpi_name,
        };
        for index in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: the loader says that there are that many headers.
            let header = unsafe { &*info.dlpi_phdr.wrapping_add(index) };
            let start = base.wrapping_add(header.p_vaddr as usize);
            let end = start.wrapping_add(header.p_memsz as usize);
            match header.p_type {
                libc::PT_LOAD => {
                    object.first = object.first.min(start);
                    object.last = object.last.max(end);
                }
                libc::PT_DYNAMIC => object.dynamic = start,
                libc::PT_GNU_RELRO => object.relro = (start & !(page() - 1), end & !(page() - 1)),
                _ => {}
            }
        }
        (object.first < object.last).then_some(object)
    }

    /// Calls `look` with its path, as the loader has it.
    pub fn with_path(&self, look: impl FnOnce(&[u8])) {
        look(Reader::default().string(self.name.cast(), 512).unwrap_or_default());
    }

    /// Whether it is the one that the kernel maps into every process.
    pub fn is_kernels(&self) -> bool {
        // SAFETY: the loader's own C string, or null.
        !self.name.is_null() && unsafe { CStr::from_ptr(self.name) } == c"linux-vdso.so.1"
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: usize) -> bool {
        (self.first..self.last).contains(&address)
    }

    /// Its tables; `None` where it has no symbols.
    pub fn tables(&self) -> Option<Tables> {
        // SAFETY: the loader has mapped it.
        unsafe { Tables::read(self.base, self.dynamic) }
    }
}

/// What an object has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A function at this address.
    Function(usize),
    /// Only the loader can say: there is no table of hashes, or which function it is is chosen when it is asked for.
    AskLoader,
}

/// The hash of a name in DT_GNU_HASH.
pub const fn gnu_hash(name: &CStr) -> u32 {
    let bytes = name.to_bytes();
    let mut hash = 5381_u32;
    let mut at = 0;
    while at < bytes.len() {
        hash = hash.wrapping_mul(33).wrapping_add(bytes[at] as u32);
        at += 1;
    }
    hash
}

/// A word of a table.
///
/// # Safety
/// There must be one.
unsafe fn word(at: usize) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { (at as *const u32).read_unaligned() }
}

impl Tables {
    /// Those that a dynamic section names; `None` where there are no symbols.
    ///
    /// # Safety
    /// The dynamic section must be that of a loaded object, or 0.
    unsafe fn read(base: usize, dynamic: usize) -> Option<Tables> {
        const NULL: i64 = 0;
        const JUMP_SIZE: i64 = 2;
        const STRINGS: i64 = 5;
        const SYMBOLS: i64 = 6;
        const RELA: i64 = 7;
        const RELA_SIZE: i64 = 8;
        const SONAME: i64 = 14;
        const JUMP: i64 = 23;
        const GNU_HASH: i64 = 0x6fff_fef5;
        const VERSIONS: i64 = 0x6fff_fff0;
        if dynamic == 0 {
            return None;
        }
        let mut tables = Tables::default();
        let mut entry = dynamic as *const (i64, usize);
        loop {
            // SAFETY: in the dynamic section, which ends in a NULL entry.
            let (tag, value) = unsafe { entry.read() };
            // The loader has turned addresses into absolute ones, but not in what is mapped read-only.
            let address = if value < base { base.wrapping_add(value) } else { value };
            match tag {
                NULL => break,
                STRINGS => tables.strings = address,
                SYMBOLS => tables.symbols = address,
                RELA => tables.relocations[0].0 = address,
                RELA_SIZE => tables.relocations[0].1 = value,
                JUMP => tables.relocations[1].0 = address,
                JUMP_SIZE => tables.relocations[1].1 = value,
                GNU_HASH => tables.hash = address,
                VERSIONS => tables.versions = address,
                SONAME => tables.soname = value,
                _ => {}
            }
            entry = entry.wrapping_add(1);
        }
        (tables.symbols != 0 && tables.strings != 0).then_some(tables)
    }

    /// Whether they are libc's: by its name; musl's, which is its loader, may have none.
    pub fn is_libc(&self) -> bool {
        const START: &CStr = c"__libc_start_main";
        const HASH: u32 = gnu_hash(START);
        if self.soname == 0 {
            // With glibc's loader, a preload may have the same function.
            if !is_musl() {
                return false;
            }
            // SAFETY: the object's own tables; the address is not used.
            return matches!(unsafe { self.function(0, START, HASH) }, Found::Function(_));
        }
        // SAFETY: a C string among the object's own.
        let name = unsafe { CStr::from_ptr(self.strings.wrapping_add(self.soname) as *const c_char) };
        name == c"libc.so.6" || name.to_bytes().starts_with(b"libc.musl-")
    }

    /// What [`Tables::function`] needs of them; `None` where there is no table of hashes.
    pub fn hashed(&self) -> Option<[usize; 4]> {
        (self.hash != 0).then_some([self.symbols, self.strings, self.hash, self.versions])
    }

    /// The tables of which [`Tables::hashed`] gave that.
    pub fn of_hashed([symbols, strings, hash, versions]: [usize; 4]) -> Tables {
        Tables { symbols, strings, hash, versions, ..Tables::default() }
    }

    /// The function of that name, by its default version, as dlsym finds it. `hash` is the name's [`gnu_hash`].
    ///
    /// # Safety
    /// The tables must be those of an object that the loader has loaded, `base` its base.
    pub unsafe fn function(&self, base: usize, name: &CStr, hash: u32) -> Found {
        const HIDDEN: u16 = 0x8000;
        const FUNCTION: u8 = 2;
        if self.hash == 0 {
            return Found::AskLoader;
        }
        let add = |at: usize, index: u32, size: usize| at.wrapping_add((index as usize).wrapping_mul(size));
        // Four words, a Bloom filter of 64-bit words, the buckets, and the hashes of the symbols from `first` on, of which
        // the last of a bucket is odd.
        // SAFETY: the loader reads the same tables in the same way, and their counts are not 0.
        unsafe {
            let head = |index| word(add(self.hash, index, 4));
            let (buckets, first, words, shift) = (head(0), head(1), head(2), head(3));
            let bloom = add(self.hash, 4, 4);
            let bits = (add(bloom, (hash / 64) & words.wrapping_sub(1), 8) as *const u64).read_unaligned();
            let wanted = 1_u64 << (hash % 64) | 1_u64 << (hash.wrapping_shr(shift) % 64);
            if bits & wanted != wanted || buckets == 0 {
                return Found::Nothing;
            }
            let heads = add(bloom, words, 8);
            let mut index = word(add(heads, hash % buckets, 4));
            if index < first {
                return Found::Nothing;
            }
            loop {
                let known = word(add(add(heads, buckets, 4), index.wrapping_sub(first), 4));
                if known | 1 == hash | 1 {
                    let symbol = (add(self.symbols, index, size_of::<Symbol>()) as *const Symbol).read_unaligned();
                    let version = match self.versions {
                        0 => 0,
                        at => (add(at, index, 2) as *const u16).read_unaligned(),
                    };
                    let text = CStr::from_ptr(add(self.strings, symbol.name, 1) as *const c_char);
                    if symbol.section != 0 && version & HIDDEN == 0 && text == name {
                        return match symbol.info & 0xf {
                            FUNCTION if symbol.value != 0 => Found::Function(base.wrapping_add(symbol.value as usize)),
                            FUNCTION => Found::Nothing,
                            _ => Found::AskLoader,
                        };
                    }
                }
                if known & 1 != 0 {
                    return Found::Nothing;
                }
                index = index.wrapping_add(1);
            }
        }
    }
}

/// Elf64_Sym.
#[repr(C)]
pub struct Symbol {
    /// Into the strings.
    pub name: u32,
    /// Binding and type.
    pub info: u8,
    /// Visibility.
    pub other: u8,
    /// 0 where it is another object's.
    pub section: u16,
    /// Its address in the file.
    pub value: u64,
    /// Its size.
    pub size: u64,
}

/// First and last address of libc.
static LIBC: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Notes which object libc is; for the constructor.
pub fn remember_libc(object: &Object) {
    LIBC[0].store(object.first, Ordering::Relaxed);
    LIBC[1].store(object.last, Ordering::Relaxed);
}

/// Whether an address lies in libc.
pub fn is_libcs(address: usize) -> bool {
    (LIBC[0].load(Ordering::Relaxed)..LIBC[1].load(Ordering::Relaxed)).contains(&address)
}
