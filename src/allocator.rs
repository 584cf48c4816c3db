//! Where the program's memory comes from: jemalloc, beside which others were measured
//! (docs/performance.md). Elsewhere than on Linux with glibc, and of other architectures than these
//! two, whose pages jemalloc knows, it is the system's. No part of the library: who uses that
//! chooses for himself.

#![cfg(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What a request needs comes in a few large pieces. So many of them are kept by each thread as
/// there may be requests under way at once; a thread looks only now and then for what it keeps in
/// vain. `_RJEM_MALLOC_CONF` in the environment goes before this.
const SETTINGS: &[u8] = b"tcache_nslots_small_min:128,tcache_nslots_small_max:256,\
                          tcache_nslots_large:64,tcache_gc_incr_bytes:1048576\0";

/// A pointer to a C string, read by jemalloc when it starts.
// SAFETY: the name is jemalloc's own (its documentation, "TUNING"), so nothing else has it. A
// reference to an array is one pointer; the array ends with a NUL and is never changed.
#[expect(unsafe_code, reason = "a symbol that C reads")]
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; SETTINGS.len()] = match SETTINGS.first_chunk() {
    Some(settings) => settings,
    None => unreachable!(),
};
