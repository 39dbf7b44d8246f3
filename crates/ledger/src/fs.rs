//! The few things that the journal asks of a file system, behind a trait, so that tests can make them fail.

#[cfg(test)]
pub(crate) mod memory;

use std::any::Any;
use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// A directory tree with files of records.
pub(crate) trait FileSystem: Debug + Send + Sync {
    /// Makes the directory and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Locks `path` for this process until the value is dropped; [`io::ErrorKind::WouldBlock`] when another has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// The names in `dir`, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens a file, or makes it.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn SegmentFile>>;
    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names that were added, changed or deleted in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read what is there; works where nothing may be written.
    Read,
    /// To read and write what is there.
    Write,
    /// To make it, read and write.
    New,
}

/// One open file.
pub(crate) trait SegmentFile: Debug + Send + Sync {
    /// Writes once; may write less than all.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reads once; zero at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// The size in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts, and gives back what was allocated beyond.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets disk space aside for `len` bytes from `offset`; what is there reads as nothing or as zeros.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Returns once everything written is on disk.
    fn sync(&self) -> io::Result<()>;
}

/// Everything from `offset` on, as one piece.
pub(crate) fn read_from(file: &dyn SegmentFile, offset: u64) -> io::Result<Vec<u8>> {
    let length = file.len()?.saturating_sub(offset);
    read_exactly(file, offset, length)
}

/// Up to `length` bytes from `offset` on, less only where the file ends.
pub(crate) fn read_exactly(
    file: &dyn SegmentFile,
    offset: u64,
    length: u64,
) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The host's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostFileSystem;

impl FileSystem for HostFileSystem {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(access != Access::Read)
            .create_new(access == Access::New)
            .open(path)?;
        Ok(Arc::new(HostFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

#[derive(Debug)]
struct HostFile(File);

impl SegmentFile for HostFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::retry_on_intr;
        let keep_size = FallocateFlags::KEEP_SIZE;
        let result = retry_on_intr(|| fallocate(&self.0, keep_size, offset, len));
        or_zeros(&self.0, offset, len, result)
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        write_zeros(&self.0, offset, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Some file systems cannot set space aside; writing zeros takes it for good.
#[cfg(target_os = "linux")]
fn or_zeros(file: &File, offset: u64, len: u64, result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(file, offset, len),
        result => Ok(result?),
    }
}

fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut done = 0;
    while done < len {
        let piece = usize::try_from(len - done).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_all_at(&ZEROS[..piece], offset + done)?;
        done += piece as u64;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn space_is_taken_by_zeros_where_it_cannot_be_set_aside() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"record", 0).unwrap();
        or_zeros(&file, 6, 10_000, Err(Errno::OPNOTSUPP)).unwrap();
        let file = HostFile(file);
        let bytes = read_from(&file, 0).unwrap();
        assert_eq!((bytes.len(), &bytes[..6]), (10_006, &b"record"[..]));
        assert!(bytes[6..].iter().all(|byte| *byte == 0));
        for error in [Errno::NOSPC, Errno::ROFS, Errno::IO] {
            let failed = or_zeros(&file.0, 0, 6, Err(error)).unwrap_err();
            assert_eq!(failed.raw_os_error(), Some(error.raw_os_error()));
        }
        assert_eq!(
            read_exactly(&file, 0, 6).unwrap(),
            b"record",
            "nothing was written over"
        );
    }

    #[test]
    fn set_aside_space_is_no_part_of_the_file() {
        let file = HostFile(tempfile::tempfile().unwrap());
        file.allocate(0, 1 << 20).unwrap();
        // Or it is zeros, which the journal reads as its end.
        assert!(read_from(&file, 0).unwrap().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_may_not_be_written_is_read_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        std::fs::write(&path, "records").unwrap();
        let file = HostFileSystem.open(&path, Access::Read).unwrap();
        assert_eq!(read_from(&*file, 0).unwrap(), b"records");
        file.write_at(b"x", 0).unwrap_err();
        HostFileSystem.open(&path, Access::New).unwrap_err();
        HostFileSystem
            .open(&path, Access::Write)
            .unwrap()
            .write_at(b"R", 0)
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"Records");
    }
}
