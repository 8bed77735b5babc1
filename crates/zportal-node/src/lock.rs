//! A lock that the kernel lets go when its process ends, however it ends. Node has none.
//!
//! Whoever holds the lock owns the name that its file stands for; the file itself says nothing,
//! so what a killed process left behind is no obstacle.

use std::fs::{File, OpenOptions, TryLockError, metadata, remove_file};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use napi::bindgen_prelude::Result;
use napi_derive::napi;

/// An exclusive flock(2) on a file that exists only while someone holds or tries it.
#[napi]
pub struct FileLock {
    path: PathBuf,
    file: Option<File>,
}

#[napi]
impl FileLock {
    /// Takes the lock, making the file if need be; null while somebody else holds it.
    #[napi]
    pub fn take(path: String) -> Result<Option<FileLock>> {
        let path = PathBuf::from(path);
        let file = lock(&path).map_err(|error| napi::Error::from_reason(error.to_string()))?;
        Ok(file.map(|file| FileLock {
            path,
            file: Some(file),
        }))
    }

    /// Removes the file and lets go. Idempotent.
    #[napi]
    pub fn release(&mut self) {
        if let Some(file) = self.file.take() {
            // Removed while it is still locked: `lock` sees that the name is another file's by then.
            let _ = remove_file(&self.path);
            drop(file);
        }
    }
}

fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last owner may have removed it between the two steps; then another file may be there.
        let ours = file.metadata()?;
        match metadata(path) {
            Ok(now) if now.ino() == ours.ino() && now.dev() == ours.dev() => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}
