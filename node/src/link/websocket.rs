//! WebSocket settings that all links share.

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// What one connection reads at a time, in bytes. The library's default of 128 KiB is over a gigabyte for ten
/// thousand Homes.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Frames are gathered up to this size before they are written, in bytes; a flush writes what is there.
const WRITE_BATCH_BYTES: usize = 32 * 1024;

/// Where a Main accepts Homes.
pub(super) const HOMES_PATH: &str = "/ws/federation";

/// Where a Main accepts other Mains.
pub(super) const PEERS_PATH: &str = "/ws/peers";

/// The header in which a dialler names itself.
pub(super) const NODE_ID_HEADER: &str = "X-Relay-Node-ID";

/// The header in which a dialler says what it is.
pub(super) const NODE_TYPE_HEADER: &str = "X-Relay-Node-Type";

/// The settings of a connection whose messages have at most `max_message_bytes`.
pub(super) fn settings(max_message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BATCH_BYTES)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes))
}
