//! The data folder: whether others than its owner may look into it.

use std::io;
use std::path::Path;

/// What is wrong with the permissions of the folder; `None` where nothing is, or where there is none yet:
/// it is made for its owner alone.
///
/// # Errors
/// It cannot be looked at.
#[cfg(unix)]
pub(super) fn find_openness(folder: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::PermissionsExt;
    /// All that group and others may be allowed.
    const OTHERS: u32 = 0o077;
    let mode = match std::fs::metadata(folder) {
        Ok(found) => found.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let path = folder.display();
    Ok((mode & OTHERS != 0)
        .then(|| format!("{path} has mode {mode:04o}, which lets others in: run `chmod 700 {path}`")))
}

/// Permissions of another kind are for their administrators to look at.
#[cfg(not(unix))]
pub(super) fn find_openness(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        assert_eq!(find_openness(&path).unwrap(), None, "there is none yet");
        fs::create_dir(&path).unwrap();
        for (mode, is_open) in [(0o700, false), (0o500, false), (0o755, true), (0o710, true), (0o701, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = find_openness(&path).unwrap();
            assert_eq!(found.is_some(), is_open, "{mode:o}");
            assert!(found.is_none_or(|text| text.contains(&format!("{mode:04o}"))), "{mode:o}");
        }
    }
}
