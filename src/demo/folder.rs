//! A private folder that is gone when the demo is.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A folder of ours alone, removed with all that is in it when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, where the system keeps what is temporary. `name` must be new.
    ///
    /// # Errors
    /// It cannot be made, or is there already: somebody else's is never used.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system; it holds no secret.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
