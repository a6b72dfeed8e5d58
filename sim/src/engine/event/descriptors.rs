//! File descriptors: how many a process holds, and what happens beyond its limit.
//!
//! Sockets are counted when somebody asks for one more, and only where there is a limit: nothing is kept up to date for
//! it. Open files are counted when they are opened and closed.

use std::io;

use super::connection::Holder;
use super::host::ProcessKind;
use super::state::State;

/// "Too many open files" (Linux).
const EMFILE: i32 = 24;

impl State {
    /// Lets a process open one more socket or file.
    ///
    /// # Errors
    /// EMFILE where it holds as many as its host allows already. Processes of the harness may hold any number.
    pub(super) fn check_descriptors(&self, process: u32) -> io::Result<()> {
        let Some(owner) = self.processes.list.get(process as usize) else { return Ok(()) };
        match self.hosts.descriptors(owner.host) {
            Some(limit)
                if owner.kind == ProcessKind::Node && self.descriptors_of(process) >= limit as usize =>
            {
                Err(io::Error::from_raw_os_error(EMFILE))
            }
            _ => Ok(()),
        }
    }

    /// What a process holds: listeners, datagram sockets, dials under way, streams but for those that it has not accepted
    /// yet, and open files.
    fn descriptors_of(&self, process: u32) -> usize {
        let ends = self.connections.pool.values().flat_map(|connection| &connection.ends);
        let streams =
            ends.filter(|end| end.process == process && end.holder == Holder::Process && end.is_accepted);
        let listeners = self.ports.listeners.values().filter(|listener| listener.process == process);
        let datagrams = self.datagrams.sockets.values().filter(|socket| socket.process == process);
        let sockets = streams.count() + listeners.count() + datagrams.count() + self.ports.dials_of(process);
        sockets + self.processes.list[process as usize].files as usize
    }
}
