//! The process's memory, in which credentials are, is closed to others of the same user.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::harness::eventually;

/// Nobody's number, as whom programs run where we are root: root reads everything.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A program of the same unprivileged user as all others of this test.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether another process of the same user reads this one's memory map, which takes less than to read
/// its memory.
fn is_readable(process: &Ended) -> bool {
    let maps = format!("/proc/{}/maps", process.0.id());
    command(Path::new("/bin/cat")).arg(maps).status().unwrap().success()
}

#[test]
fn no_other_process_reads_its_memory_and_no_core_is_dumped() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    open(folder.path());
    // A copy: the way to the original may be closed to others.
    let program = folder.path().join("hushgate");
    std::fs::copy(env!("CARGO_BIN_EXE_hushgate"), &program).unwrap();
    open(&program);
    let text = "listen.address = \"127.0.0.1:0\"\nadmin.address = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();

    let open_to_all = Ended(command(Path::new("/bin/sleep")).arg("60").spawn().unwrap());
    eventually("an ordinary process can be read", || is_readable(&open_to_all));

    let gateway = Ended(command(&program).arg("run").current_dir(folder.path()).spawn().unwrap());
    let limits = format!("/proc/{}/limits", gateway.0.id());
    let cores = || std::fs::read_to_string(&limits).unwrap();
    let none = |line: &str| line.starts_with("Max core file size") && line.matches(" 0 ").count() == 2;
    eventually("it forbids core dumps", || cores().lines().any(none));
    assert!(!is_readable(&gateway));
}
