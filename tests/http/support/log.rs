//! The log of this process, at every level and of every library, kept to be searched.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hallpass::config::{LogFormat, LogSettings, LoggedRequests};
use hallpass::telemetry::Lines;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// All lines so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts keeping the log, if nobody has yet. It is the whole process': work that moves to
    /// another thread, hashing above all, logs there.
    pub fn keep() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Self::default();
            let settings = LogSettings {
                level: String::new(),
                format: LogFormat::Pretty,
                requests: LoggedRequests::Changes,
                client_address: true,
            };
            let lines = Lines::new(&settings, false, log.clone());
            let subscriber = tracing_subscriber::registry().with(LevelFilter::TRACE).with(lines);
            tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
            log
        });
        log.clone()
    }

    /// Everything that was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
