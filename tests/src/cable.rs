//! Two machines of a test's own: network namespaces joined by a cable that can be cut and mended.
//! Must not know what runs on them.

use std::{
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    process::{Child, ChildStdin, Command, Stdio},
};

/// What a cable needs.
pub const NEEDS: &str = "root, network namespaces and ip (Debian package iproute2)";

/// A machine; it goes away with this and with whatever runs on it.
pub struct Machine {
    /// Its address.
    pub address: Ipv4Addr,
    holder: Child,
    _open: ChildStdin,
}

impl Machine {
    fn make(address: Ipv4Addr) -> Option<Self> {
        // It ends when this process closes its stdin, however that comes to pass.
        let script = format!("set -e; ip link set lo up; ip addr add {address}/32 dev lo; echo made; exec cat");
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let open = holder.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let machine = Self { address, holder, _open: open };
        (line == "made\n").then_some(machine)
    }

    /// What stands before a command that is to run on it; the command keeps the process id.
    pub fn enter(&self) -> Vec<String> {
        ["nsenter", "--target", &self.holder.id().to_string(), "--net", "--"].map(Into::into).to_vec()
    }

    fn run(&self, script: &str) -> bool {
        let enter = self.enter();
        let ended = Command::new(&enter[0]).args(&enter[1..]).args(["sh", "-ec", script]).output();
        ended.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Two machines and the cable between them.
pub struct Cable {
    /// The machine at one end, where it is cut.
    pub left: Machine,
    /// The machine at the other end.
    pub right: Machine,
}

impl Cable {
    /// Lays a cable; nothing where this user or this machine cannot.
    pub fn lay() -> Option<Self> {
        let left = Machine::make(Ipv4Addr::new(10, 77, 0, 1))?;
        let right = Machine::make(Ipv4Addr::new(10, 77, 0, 2))?;
        let laid = left.run("ip link add cable type veth peer name far")
            && left.run(&format!("ip link set far netns {}", right.holder.id()))
            && right.run("ip link set far name cable")
            && right.run("ip link set cable up; ip route add default dev cable");
        let cable = Self { left, right };
        (laid && cable.connect()).then_some(cable)
    }

    /// Cuts it: nothing passes any more, and neither end is told that its connections are dead.
    pub fn cut(&self) {
        assert!(self.left.run("ip link set cable down"), "the cable is not cut");
    }

    /// Mends it.
    pub fn mend(&self) {
        assert!(self.connect(), "the cable is not mended");
    }

    // The routes of an interface go when it is taken down; the machines' own addresses stay, for they are not its.
    fn connect(&self) -> bool {
        self.left.run("ip link set cable up; ip route replace default dev cable")
    }
}
