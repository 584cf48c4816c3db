//! Content codings (RFC 9110 section 8.4) of a body that is all there: gzip, deflate, br, zstd. What
//! comes out is bounded, and so is the memory on the way: a bomb costs nothing.

use std::io::{Error, ErrorKind, Read};

use bytes::Bytes;

/// Undoes the codings, last one first. `None`: more than `limit` bytes come out.
///
/// # Errors
/// A coding is unknown, there are too many, or the data is broken or ends early.
pub(super) fn decode(
    body: Bytes,
    codings: &[String],
    limit: usize,
) -> Result<Option<Bytes>, String> {
    if codings.len() > MOST_CODINGS {
        return Err(format!("more than {MOST_CODINGS} codings"));
    }
    let mut body = body;
    for coding in codings.iter().rev() {
        let coding = coding.to_ascii_lowercase();
        let plain = one(&body, &coding, limit)
            .map_err(|error| format!("{}: {error}", coding.escape_debug()))?;
        match plain {
            Some(plain) => body = plain.into(),
            None => return Ok(None),
        }
    }
    Ok(Some(body))
}

fn one(body: &[u8], coding: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    match coding {
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(body), limit),
        "deflate" if is_zlib(body) => bounded(flate2::read::ZlibDecoder::new(body), limit),
        // Some send the bare stream under this name.
        "deflate" => bounded(flate2::read::DeflateDecoder::new(body), limit),
        "br" => bounded(brotli_decompressor::Decompressor::new(body, 4096), limit),
        "zstd" => zstd(body, limit),
        _ => Err(Error::new(ErrorKind::Unsupported, "unknown coding")),
    }
}

fn bounded(source: impl Read, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut plain)?;
    Ok((plain.len() <= limit).then_some(plain))
}

fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0)
}

/// One frame after the other (RFC 8878 section 3.1). The decoder keeps a window's worth back before
/// it gives anything out, so the window is looked at first.
fn zstd(mut body: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut plain = Vec::new();
    while !body.is_empty() {
        if window(body)? > ZSTD_WINDOW {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "the window is over 8 MiB",
            ));
        }
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut body)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))?;
        match bounded(decoder, limit - plain.len())? {
            Some(more) => plain.extend(more),
            None => return Ok(None),
        }
    }
    Ok(Some(plain))
}

/// The window a frame asks for, in bytes; for a frame of one segment, its size.
fn window(frame: &[u8]) -> Result<u64, Error> {
    let broken = || Error::new(ErrorKind::InvalidData, "not a zstd frame");
    let rest = frame
        .strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])
        .ok_or_else(broken)?;
    let (flags, rest) = rest.split_first().ok_or_else(broken)?;
    let (size_flag, single, id_flag) = (flags >> 6, flags & 0x20 != 0, flags & 3);
    if !single {
        let descriptor = u64::from(*rest.first().ok_or_else(broken)?);
        let base = 1_u64 << (10 + (descriptor >> 3));
        return Ok(base + base / 8 * (descriptor & 7));
    }
    let at = [0, 1, 2, 4][usize::from(id_flag)];
    let width = [1, 2, 4, 8][usize::from(size_flag)];
    let bytes = rest.get(at..at + width).ok_or_else(broken)?;
    let size = bytes
        .iter()
        .rev()
        .fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    Ok(if width == 2 { size + 256 } else { size })
}

/// What decoders must support and may refuse beyond (RFC 8878 section 3.1.1.1.2).
const ZSTD_WINDOW: u64 = 8 << 20;

/// Real answers have one.
const MOST_CODINGS: usize = 3;

#[cfg(test)]
mod tests {
    use flate2::{Compression, read};

    use super::*;

    fn packed(coding: &str, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let level = Compression::default();
        match coding {
            "gzip" => drop(read::GzEncoder::new(plain, level).read_to_end(&mut out)),
            "deflate" => drop(read::ZlibEncoder::new(plain, level).read_to_end(&mut out)),
            "raw" => drop(read::DeflateEncoder::new(plain, level).read_to_end(&mut out)),
            "zstd" => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                out = ruzstd::encoding::compress_to_vec(plain, level);
            }
            _ => panic!("{coding}"),
        }
        out
    }

    fn run(body: &[u8], codings: &[&str], limit: usize) -> Result<Option<Bytes>, String> {
        let codings: Vec<String> = codings.iter().map(|coding| (*coding).to_owned()).collect();
        decode(Bytes::copy_from_slice(body), &codings, limit)
    }

    /// `hello, hello, hello, hello` and a line end.
    const BROTLI: &[u8] =
        b"\x1b\x1a\x00\xf8\x8d\x94\x6e\xde\x44\x09\x52\x86\xd6\x0a\x2c\x6c\x6f\x4a\x91\x79\x22\x81\xbb\x5a\x00";

    /// 20 MiB of zeros.
    const BROTLI_BOMB: &[u8] =
        b"\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\
          \xc4\x61\x11\x80\xee\xfd\x5f\xfe\xff\xff\xe0\x9f\x00\x88\xc3\x02\x00\xdd\xfb\x1f";

    #[test]
    fn every_coding_comes_back() {
        let plain = b"hello hello hello".repeat(50);
        for coding in ["gzip", "deflate", "zstd"] {
            let body = packed(coding, &plain);
            assert_eq!(
                run(&body, &[coding], 1000).unwrap().unwrap(),
                plain,
                "{coding}"
            );
            assert_eq!(run(&body, &[coding], 849).unwrap(), None, "{coding}");
            let cut = &body[..body.len() - 5];
            assert!(run(cut, &[coding], 1000).is_err(), "{coding} cut short");
        }
        assert_eq!(
            run(&packed("raw", &plain), &["Deflate"], 1000)
                .unwrap()
                .unwrap(),
            plain
        );
        let twice = packed("zstd", &packed("gzip", &plain));
        assert_eq!(
            run(&twice, &["gzip", "zstd"], 1000).unwrap().unwrap(),
            plain
        );
        let hello = "hello, hello, hello, hello\n";
        assert_eq!(run(BROTLI, &["br"], 27).unwrap().unwrap(), hello);
        assert_eq!(run(BROTLI, &["br"], 26).unwrap(), None);
        assert!(run(&BROTLI[..20], &["br"], 27).is_err());
        let two = [packed("zstd", b"ab"), packed("zstd", b"cd")].concat();
        assert_eq!(run(&two, &["zstd"], 4).unwrap().unwrap(), "abcd");
        assert_eq!(run(&two, &["zstd"], 3).unwrap(), None);
    }

    #[test]
    fn bombs_cost_nothing() {
        let zeros = vec![0; 2 << 20];
        for coding in ["gzip", "deflate", "zstd"] {
            assert_eq!(
                run(&packed(coding, &zeros), &[coding], 100_000).unwrap(),
                None,
                "{coding}"
            );
        }
        assert_eq!(run(BROTLI_BOMB, &["br"], 100_000).unwrap(), None);
        // A window of 3.75 TiB, and a single segment of 4 GiB.
        let huge = b"\x28\xb5\x2f\xfd\x00\xff\x03\x00\x00";
        assert!(run(huge, &["zstd"], 1000).unwrap_err().contains("window"));
        let single = b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\x01\x00\x00";
        assert!(run(single, &["zstd"], 1000).unwrap_err().contains("window"));
    }

    #[test]
    fn what_is_unknown_or_broken_is_told() {
        for (body, coding) in [
            (&b"x"[..], "compress"),
            (b"not gzip", "gzip"),
            (b"not zstd", "zstd"),
            (b"\xff\xff\xff", "br"),
            (b"\xff\xff\xff", "deflate"),
        ] {
            assert!(
                run(body, &[coding], 100).unwrap_err().starts_with(coding),
                "{coding}"
            );
        }
        assert!(run(b"x", &["gzip"; 4], 100).is_err());
    }
}
