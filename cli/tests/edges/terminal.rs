//! A real terminal with a person at it: types, and waits for what is shown.

use crate::person::{DEADLINE, until};
use crate::space::program;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

/// A program on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keyboard: Option<File>,
    screen: Receiver<Vec<u8>>,
    /// Everything shown so far.
    pub(crate) shown: String,
    /// How much of it was looked at.
    seen: usize,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Starts a command with a terminal as its stdin, stdout and stderr, and as its controlling one; nothing without
    /// `setsid`.
    pub(crate) fn start(command: &Command) -> Option<Self> {
        let setsid = program("setsid")?;
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let end = || {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            Stdio::from(ioctl_tiocgptpeer(&master, flags).unwrap())
        };
        let mut line = Command::new(setsid);
        line.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        line.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let child = line.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(master);
        let mut eyes = keyboard.try_clone().unwrap();
        let (show, screen) = sync_channel(64);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of a terminal is an error, not an empty read.
            while let Ok(n @ 1..) = eyes.read(&mut bytes) {
                if show.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, keyboard: Some(keyboard), screen, shown: String::new(), seen: 0 })
    }

    /// Waits until a text is shown that was not looked at before; returns what came up to its end.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                let begun = self.seen;
                self.seen += at + text.len();
                return self.shown[begun..self.seen].to_owned();
            }
            let Ok(bytes) = self.screen.recv_timeout(DEADLINE) else {
                panic!("{text:?} is not shown: {:?}", &self.shown[self.seen..]);
            };
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits until what is shown ends with a prompt, and the terminal shows what is typed, or does not.
    pub(crate) fn expect_prompt(&mut self, secret: bool) {
        while !self.shown.ends_with("> ") {
            let Ok(bytes) = self.screen.recv_timeout(DEADLINE) else { panic!("no prompt: {:?}", self.shown) };
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        until("the terminal is ready for an answer", || self.echoes() != secret);
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(self.keyboard.as_ref().unwrap()).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, text: &str) {
        self.press(&format!("{text}\n"));
    }

    /// Types keys as they are.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the program has ended and everything it showed is there.
    pub(crate) fn end(&mut self) -> ExitStatus {
        loop {
            match self.screen.recv_timeout(DEADLINE) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.shown),
            }
        }
    }

    /// Closes the terminal, as a person closes its window.
    pub(crate) fn close(mut self) {
        self.keyboard = None;
    }
}
