//! Mail: from what the service wants to tell somebody to a message in the hands of an SMTP server.
//!
//! - `templates`: the words, as text and as HTML;
//! - [`smtp`]: one message to one server, every step of it bounded in time;
//! - [`queue`]: away from the request path: bounded, retried until a mail is of no use any more;
//! - `places`: who has a place there, and who gives way;
//! - `shown`: where mails go in `hallpass dev` when there is no server.
//!
//! The queue is in memory, on purpose. What it holds are tokens in the clear, which the stores never
//! see: a queue that outlives the process would be the one place where reading a disk takes over
//! accounts. A mail that is lost with its process costs its reader another click on "forgot
//! password".

mod delivery;
mod places;
pub mod queue;
mod shown;
pub mod smtp;
mod templates;

pub use delivery::{DeliveryError, Transport};
pub use places::QueueOptions;
pub use queue::{MailQueue, RunningQueue};
pub use shown::{SHOWN_MAX, ShownMail, ShownMails};
pub use smtp::{SmtpOptions, SmtpSetupError, SmtpTransport, Trial};
pub use templates::{Letter, Links, test_letter};
