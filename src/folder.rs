//! A private folder that is gone when what it was made for is over.

use std::{
    fs::DirBuilder,
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A folder of ours alone, removed with all that is in it when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it, where the system keeps what is temporary.
    ///
    /// # Errors
    /// It cannot be made, or is there already: somebody else's is never used.
    pub(crate) fn new(purpose: &str) -> io::Result<Self> {
        let name = format!("hushgate-{purpose}-{:016x}", RandomState::new().hash_one(purpose));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system; it holds no secret.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
