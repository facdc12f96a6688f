//! The daemon's log on stderr. Must not be used for anything a person wrote, is called, or is reached by.

use crate::api::error::{Code, UserError};
use std::io;
use tracing_subscriber::EnvFilter;

/// What the network libraries log below error holds addresses of others; a filter may ask for it by name. What gossipsub
/// takes for errors is made by others, and names them.
const QUIET: &str = "libp2p=error,libp2p_swarm=error,libp2p_kad=error,libp2p_mdns=error,libp2p_quic=error,\
    libp2p_tcp=error,libp2p_identify=error,libp2p_ping=error,libp2p_request_response=error,libp2p_gossipsub=off,\
    quinn=error,quinn_proto=error,quinn_udp=error,hickory_proto=error,hickory_resolver=error,multistream_select=error,yamux=error,\
    hyper=error,hyper_util=error";

/// Starts the log with a tracing filter; once a process.
///
/// # Errors
/// `config_invalid` for a filter that does not parse.
pub fn start(filter: &str) -> Result<(), UserError> {
    let wrong = |e: String| {
        UserError::new(Code::ConfigInvalid, format!("the log filter does not parse: {e}"))
            .hint("KITH_LOG=info, or KITH_LOG=kith_node=debug")
    };
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|e| wrong(e.to_string()))?;
    // Already started by somebody else in this process (a test): theirs stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        assert_eq!(start("kith_node=sometimes").unwrap_err().code, Code::ConfigInvalid);
        assert!(EnvFilter::try_new(QUIET).is_ok());
    }
}
