//! The probe beside a real issuer.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use hallpass_verify::client::Validator;
use hallpass_verify::guard::Refusal;
use tokio::runtime::Runtime;

use crate::probe::verdict;

/// Follows the issuer, and answers a token a line.
pub fn run(issuer: &str, audience: &str, client: &str) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let secret = env::var("HALLPASS_CLIENT_SECRET")?;
    let validator = {
        let _entered = runtime.enter();
        Validator::builder(issuer, audience).credentials(client, secret).connect_lazy()?
    };
    runtime.block_on(async {
        while validator.status().keys == 0 || !validator.status().is_fresh {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let (lines, mut answers) = (io::stdin().lock(), io::stdout().lock());
    writeln!(answers, "ready")?;
    answers.flush()?;
    for token in lines.lines() {
        let outcome = runtime.block_on(validator.validate(&token?)).map_err(Refusal::from);
        writeln!(answers, "{}", verdict(&outcome))?;
        answers.flush()?;
    }
    Ok(())
}
