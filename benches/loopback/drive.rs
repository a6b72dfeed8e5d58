//! Callers: as many as wanted on as many connections as wanted, as fast as they get answers or at a fixed rate.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// No call may take longer; a benchmark that hangs says nothing.
const CALL_SECONDS: u64 = 10;

const READ_BYTES: usize = 64 * 1024;

/// Calls before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(500);

/// One side of a client's conversation, without I/O.
pub(crate) trait Wire {
    /// What is said first.
    fn hello(&mut self, out: &mut Vec<u8>);
    /// The next call of this caller.
    fn ask(&mut self, slot: usize, out: &mut Vec<u8>);
    /// Takes what stands first in `input`; may answer at once.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Taken, String>;
}

/// What stood first.
pub(crate) enum Taken {
    /// Not whole yet.
    Incomplete,
    /// Nothing for a caller.
    Other { bytes: usize },
    /// The answer to this caller, who made so many calls at once.
    Answer { bytes: usize, slot: usize, calls: u64 },
}

/// What one measurement gave.
#[derive(Clone)]
pub(crate) struct Figures {
    pub(crate) calls_per_second: f64,
    /// Microseconds.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    /// Seconds of CPU that the servers took for 1,000 calls.
    pub(crate) cpu_per_1000: f64,
}

struct Record {
    histogram: Histogram<u64>,
    calls: u64,
    /// Answers count from here on.
    from: Instant,
    until: Instant,
}

impl Record {
    fn new(from: Instant, length: Duration) -> Self {
        let histogram =
            Histogram::new_with_bounds(1, CALL_SECONDS * 1_000_000, 3).expect("the bounds are sound");
        Record { histogram, calls: 0, from, until: from + length }
    }

    fn note(&mut self, asked: Instant, calls: u64) {
        let now = Instant::now();
        if now >= self.from && now < self.until {
            self.calls += calls;
            self.histogram.saturating_record((now - asked).as_micros() as u64);
        }
    }

    fn figures(&self, cpu_seconds: f64) -> Figures {
        Figures {
            calls_per_second: self.calls as f64 / (self.until - self.from).as_secs_f64(),
            p50: self.histogram.value_at_quantile(0.5),
            p99: self.histogram.value_at_quantile(0.99),
            p999: self.histogram.value_at_quantile(0.999),
            cpu_per_1000: cpu_seconds * 1_000.0 / (self.calls.max(1) as f64),
        }
    }
}

/// Callers who call again as soon as they have their answer: `callers` on each of so many connections. `cpu` reads what
/// the servers have used.
pub(crate) fn closed<W: Wire + 'static>(
    door: SocketAddr,
    (connections, callers): (usize, usize),
    length: Duration,
    wire: impl Fn() -> W,
    cpu: impl Fn() -> f64,
) -> Result<Figures, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let record = Rc::new(RefCell::new(Record::new(Instant::now() + WARM_UP, length)));
        let mut tasks = Vec::new();
        for _ in 0..connections {
            tasks.push(tokio::task::spawn_local(carry(door, wire(), callers, Rc::clone(&record))));
        }
        tokio::time::sleep(WARM_UP).await;
        let before = cpu();
        tokio::time::sleep(length).await;
        let used = cpu() - before;
        for task in tasks {
            let limit = Duration::from_secs(CALL_SECONDS);
            match tokio::time::timeout(limit, task).await {
                Ok(Ok(ended)) => ended?,
                Ok(Err(panicked)) => return Err(panicked.to_string()),
                Err(_) => return Err(format!("a call took over {CALL_SECONDS} s")),
            }
        }
        let record = record.borrow();
        Ok(record.figures(used))
    }))
}

async fn carry(
    door: SocketAddr,
    mut wire: impl Wire,
    callers: usize,
    record: Rc<RefCell<Record>>,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = tokio::net::TcpStream::connect(door).await.map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    let until = record.borrow().until;
    let (mut input, mut out) = (Vec::with_capacity(READ_BYTES), Vec::new());
    wire.hello(&mut out);
    let mut asked = vec![Instant::now(); callers];
    for slot in 0..callers {
        wire.ask(slot, &mut out);
    }
    let mut waiting = callers;
    while waiting > 0 {
        if !out.is_empty() {
            stream.write_all(&out).await.map_err(text)?;
            out.clear();
        }
        input.reserve(READ_BYTES / 2);
        if stream.read_buf(&mut input).await.map_err(text)? == 0 {
            return Err("the server closed the connection".into());
        }
        let mut done = 0;
        loop {
            match wire.take(&input[done..], &mut out)? {
                Taken::Incomplete => break,
                Taken::Other { bytes } => done += bytes,
                Taken::Answer { bytes, slot, calls } => {
                    done += bytes;
                    record.borrow_mut().note(asked[slot], calls);
                    asked[slot] = Instant::now();
                    if asked[slot] < until {
                        wire.ask(slot, &mut out);
                    } else {
                        waiting -= 1;
                    }
                }
            }
        }
        input.drain(..done);
    }
    Ok(())
}

/// Calls at fixed times, whatever becomes of those before: `rate` a second, spread over so many connections. A latency
/// counts from the time at which the call was meant to be made.
///
/// Each connection has a thread: the timers of an event loop are too coarse for this.
pub(crate) fn open<W: Wire + Send + 'static>(
    door: SocketAddr,
    (connections, rate): (usize, f64),
    length: Duration,
    wire: impl Fn() -> W,
    cpu: impl Fn() -> f64,
) -> Result<Figures, String> {
    let begin = Instant::now() + Duration::from_millis(100);
    let from = begin + WARM_UP;
    let every = Duration::from_secs_f64(connections as f64 / rate);
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let mut wire = wire();
            let first = begin + every.mul_f64(number as f64 / connections as f64);
            std::thread::spawn(move || {
                let mut record = Record::new(from, length);
                let mut caller = Caller::dial(door, &mut wire)?;
                let mut intended = first;
                while intended < record.until {
                    std::thread::sleep(intended.saturating_duration_since(Instant::now()));
                    caller.call(&mut wire)?;
                    record.note(intended, 1);
                    intended += every;
                }
                Ok::<_, String>(record)
            })
        })
        .collect();
    std::thread::sleep(from.saturating_duration_since(Instant::now()));
    let before = cpu();
    std::thread::sleep(length);
    let used = cpu() - before;
    let mut all = Record::new(from, length);
    for thread in threads {
        let record = thread.join().map_err(|_| "a caller panicked".to_owned())??;
        all.calls += record.calls;
        all.histogram += record.histogram;
    }
    Ok(all.figures(used))
}

/// One blocking caller.
pub(crate) struct Caller {
    stream: std::net::TcpStream,
    input: Vec<u8>,
}

impl Caller {
    pub(crate) fn dial(door: SocketAddr, wire: &mut impl Wire) -> Result<Caller, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = std::net::TcpStream::connect(door).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.set_read_timeout(Some(Duration::from_secs(CALL_SECONDS))).map_err(text)?;
        let mut out = Vec::new();
        wire.hello(&mut out);
        stream.write_all(&out).map_err(text)?;
        Ok(Caller { stream, input: Vec::with_capacity(READ_BYTES) })
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self, limit: Duration) -> Result<(), String> {
        self.stream.set_read_timeout(Some(limit)).map_err(|error| error.to_string())
    }

    pub(crate) fn call(&mut self, wire: &mut impl Wire) -> Result<(), String> {
        let mut out = Vec::new();
        wire.ask(0, &mut out);
        loop {
            self.stream.write_all(&out).map_err(|error| error.to_string())?;
            out.clear();
            match wire.take(&self.input, &mut out)? {
                Taken::Answer { bytes, .. } => {
                    self.input.drain(..bytes);
                    return Ok(());
                }
                Taken::Other { bytes } => {
                    self.input.drain(..bytes);
                    continue;
                }
                Taken::Incomplete => {}
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// One call on a connection of its own.
pub(crate) fn one_call(door: SocketAddr, mut wire: impl Wire) -> Result<(), String> {
    let mut caller = Caller::dial(door, &mut wire)?;
    caller.patience(Duration::from_secs(1))?;
    caller.call(&mut wire)
}
