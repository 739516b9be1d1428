//! The content of an entry. It must end where its compressed bytes end, with the CRC and the size in the zip.

use std::io::{self, BufRead, Read, Take};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::directory::Entry;

/// A reader that unpacks an entry. Reading fails if the content does not match the entry.
pub(super) struct Content<R> {
    packed: Take<R>,
    inflate: Option<Decompress>,
    entry: Entry,
    crc: Crc,
    bytes: u64,
    ended: bool,
}

impl<R: BufRead> Content<R> {
    /// Creates a reader of the content at the position of the file.
    pub fn new(file: R, entry: Entry) -> Self {
        let inflate = entry.deflated.then(|| Decompress::new(false));
        Self { packed: file.take(entry.packed), inflate, entry, crc: Crc::new(), bytes: 0, ended: false }
    }

    fn unpack(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inflate) = &mut self.inflate else { return self.packed.read(buffer) };
        loop {
            let packed = self.packed.fill_buf()?;
            let is_end = packed.is_empty();
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(packed, buffer, FlushDecompress::None)
                .map_err(|_| malformed("its deflate stream is malformed"))?;
            let read = inflate.total_in() - read;
            let written = (inflate.total_out() - written) as usize;
            self.packed.consume(read as usize);
            if status == Status::StreamEnd {
                self.ended = true;
            }
            if written > 0 || self.ended {
                return Ok(written);
            }
            if is_end {
                return Err(malformed("its deflate stream does not end"));
            }
        }
    }

    fn check_end(&mut self) -> io::Result<()> {
        if !self.packed.fill_buf()?.is_empty() {
            return Err(malformed("bytes follow its deflate stream"));
        }
        if self.bytes != self.entry.bytes {
            return Err(malformed("its size is not the one in the zip"));
        }
        if self.crc.sum() != self.entry.crc {
            return Err(malformed("its CRC is not the one in the zip"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let length = if self.ended { 0 } else { self.unpack(buffer)? };
        self.crc.update(&buffer[..length]);
        self.bytes += length as u64;
        // The remainder is not unpacked, because its size has no limit.
        if self.bytes > self.entry.bytes {
            return Err(malformed("its size is not the one in the zip"));
        }
        if length == 0 {
            self.ended = true;
            self.check_end()?;
        }
        Ok(length)
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
