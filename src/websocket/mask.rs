//! Masking (RFC 6455 section 5.3): the same operation masks and unmasks.

/// Combines `bytes` with the key. `offset` tells how many bytes of the frame's payload came before
/// these, so that a payload can be worked on in pieces.
pub fn apply(bytes: &mut [u8], key: [u8; 4], offset: u64) {
    let shift = (offset % 4) as usize;
    let key = [0, 1, 2, 3].map(|i| key[(shift + i) % 4]);
    let [a, b, c, d] = key;
    // Eight bytes at a time; the compiler makes wider ones of it.
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hello_as_in_rfc_6455() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply(&mut bytes, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&bytes, b"Hello");
    }

    proptest! {
        #[test]
        fn pieces_are_masked_as_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            key: [u8; 4],
            cut: prop::sample::Index,
        ) {
            let plain = bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            let plain: Vec<u8> = plain.collect();
            let cut = cut.index(bytes.len() + 1);
            let mut pieces = bytes;
            let (first, second) = pieces.split_at_mut(cut);
            apply(first, key, 0);
            apply(second, key, cut as u64);
            prop_assert_eq!(pieces, plain);
        }
    }
}
