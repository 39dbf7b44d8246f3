//! A file system in memory that fails on purpose.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Access, FileSystem, SegmentFile};

/// Shared by its clones, like a disk by the processes that come and go.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryFileSystem(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    locked: BTreeMap<PathBuf, Arc<()>>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// End of what is set aside.
    allocated: u64,
    synced: usize,
    syncs: u64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each goes wrong by itself, and together with any other"
)]
pub(crate) struct Faults {
    /// Bytes that all files together may take.
    pub(crate) capacity: Option<u64>,
    /// The next write stops after so many bytes.
    pub(crate) short_write: Option<usize>,
    pub(crate) fails_writes: bool,
    pub(crate) fails_syncs: bool,
    pub(crate) fails_cuts: bool,
    /// Nothing may be changed, and whoever tries is told so. What was written before can still be synced.
    pub(crate) read_only: Option<io::ErrorKind>,
    /// Space is set aside by writing zeros, as where the system has no other way.
    pub(crate) allocates_zeros: bool,
}

impl MemoryFileSystem {
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Another disk with the same files, none of them open or locked.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        for (path, contents) in &self.0.lock().files {
            copy.put(path, &contents.lock().bytes);
        }
        copy
    }

    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let contents = Contents {
            bytes: bytes.to_vec(),
            allocated: bytes.len() as u64,
            synced: bytes.len(),
            syncs: 0,
        };
        let contents = Arc::new(Mutex::new(contents));
        self.0.lock().files.insert(path.to_owned(), contents);
    }

    pub(crate) fn get(&self, path: &Path) -> Vec<u8> {
        self.0.lock().files[path].lock().bytes.clone()
    }

    /// What would be left of a file after the power failed.
    pub(crate) fn get_synced(&self, path: &Path) -> Vec<u8> {
        let contents = self.0.lock().files[path].clone();
        let contents = contents.lock();
        contents.bytes[..contents.synced.min(contents.bytes.len())].to_vec()
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().files.keys().cloned().collect()
    }
}

impl Faults {
    fn check_writable(&self) -> io::Result<()> {
        self.read_only.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn broken() -> io::Error {
    io::Error::other("injected failure")
}

impl FileSystem for MemoryFileSystem {
    /// Directories are there already.
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut disk = self.0.lock();
        disk.faults.check_writable()?;
        let lock = disk.locked.entry(path.to_owned()).or_default();
        if Arc::strong_count(lock) > 1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(lock.clone()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.0.lock();
        let inside = disk.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let mut disk = self.0.lock();
        if access != Access::Read {
            disk.faults.check_writable()?;
        }
        let is_new = access == Access::New;
        let contents = match disk.files.get(path) {
            Some(_) if is_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(contents) => contents.clone(),
            None if is_new => {
                let contents = Arc::<Mutex<Contents>>::default();
                disk.files.insert(path.to_owned(), contents.clone());
                contents
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            contents,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.faults.check_writable()?;
        let contents = disk.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.files.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.faults.check_writable()?;
        let removed = disk.files.remove(path);
        removed
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryFileSystem,
    contents: Arc<Mutex<Contents>>,
}

impl MemoryFile {
    /// Whether the disk has room for this file to take `wanted` bytes.
    fn check_capacity(&self, wanted: u64) -> io::Result<()> {
        let disk = self.disk.0.lock();
        let Some(capacity) = disk.faults.capacity else {
            return Ok(());
        };
        let others: u64 = disk
            .files
            .values()
            .filter(|contents| !Arc::ptr_eq(contents, &self.contents))
            .map(|contents| contents.lock().allocated)
            .sum();
        if others + wanted > capacity {
            return Err(full());
        }
        Ok(())
    }
}

impl SegmentFile for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let faults = self.disk.0.lock().faults;
        faults.check_writable()?;
        if faults.fails_writes {
            return Err(broken());
        }
        let length = self.disk.0.lock().faults.short_write.take();
        let bytes = &bytes[..length.unwrap_or(bytes.len()).min(bytes.len())];
        let end = offset + bytes.len() as u64;
        let allocated = self.contents.lock().allocated;
        if end > allocated {
            self.check_capacity(end)?;
        }
        let mut contents = self.contents.lock();
        contents.allocated = contents.allocated.max(end);
        let (start, end) = (
            usize::try_from(offset).unwrap(),
            usize::try_from(end).unwrap(),
        );
        if contents.bytes.len() < end {
            contents.bytes.resize(end, 0);
        }
        contents.bytes[start..end].copy_from_slice(bytes);
        contents.synced = contents.synced.min(start);
        Ok(bytes.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let contents = self.contents.lock();
        let rest = contents.bytes.get(usize::try_from(offset).unwrap()..);
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let faults = self.disk.0.lock().faults;
        faults.check_writable()?;
        if faults.fails_cuts {
            return Err(broken());
        }
        let mut contents = self.contents.lock();
        contents.bytes.resize(usize::try_from(len).unwrap(), 0);
        contents.allocated = len;
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let faults = self.disk.0.lock().faults;
        faults.check_writable()?;
        self.check_capacity(offset + len)?;
        let mut contents = self.contents.lock();
        if faults.allocates_zeros {
            let end = usize::try_from(offset + len).unwrap();
            let longer = end.max(contents.bytes.len());
            contents.bytes.resize(longer, 0);
            contents.bytes[usize::try_from(offset).unwrap()..end].fill(0);
        }
        contents.allocated = contents.allocated.max(offset + len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.0.lock().faults.fails_syncs {
            return Err(broken());
        }
        let mut contents = self.contents.lock();
        contents.synced = contents.bytes.len();
        contents.syncs += 1;
        Ok(())
    }
}
