//! `[grip]`: signatures, subscriptions, items, and asking again.

use super::{Key, MANY, MS, Slot, WEEK, ZERO, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "grip",
        "sig_iss",
        Slot::Text(|s| &mut s.grip.sig_iss),
        "issuer of Grip-Sig; empty: nothing is signed",
    ),
    key(
        "grip",
        "sig_key",
        Slot::Secret(|s| &mut s.grip.sig_key),
        "key of Grip-Sig: text, base64:... or file:...; empty: nothing is signed",
    ),
    key(
        "grip",
        "key_dir",
        Slot::Folder(|s| &mut s.grip.key_dir),
        "folder that relative file: keys start from; default: that of the settings file",
    ),
    key(
        "grip",
        "upstream_key",
        Slot::Secret(|s| &mut s.grip.upstream_key),
        "key that marks requests of a proxy in front as trusted",
    ),
    key(
        "grip",
        "connection_subscription_max",
        Slot::Count(|s| &mut s.grip.connection_subscription_max, 1, 100_000),
        "most channels of one request",
    ),
    key(
        "grip",
        "subscription_linger",
        Slot::Time(|s| &mut s.grip.subscription_linger, ZERO, WEEK),
        "how long a long-poll's channels stay subscribed after it",
    ),
    key(
        "grip",
        "message_wait",
        Slot::Time(|s| &mut s.grip.message_wait, ZERO, WEEK),
        "how long an item waits for the one before it",
    ),
    key(
        "grip",
        "id_cache_ttl",
        Slot::Time(|s| &mut s.grip.id_cache_ttl, ZERO, WEEK),
        "how long an id is remembered; 0: not",
    ),
    key(
        "grip",
        "update_on_first_subscription",
        Slot::Bool(|s| &mut s.grip.update_on_first_subscription),
        "ask the backend again when a channel gets its first subscriber",
    ),
    key(
        "grip",
        "publish_rate",
        Slot::Count(|s| &mut s.grip.publish_rate, 0, MANY),
        "items per second that may be published, on average; 0: no limit",
    ),
    key(
        "grip",
        "publish_burst",
        Slot::Count(|s| &mut s.grip.publish_burst, 1, MANY),
        "items that may be published at once in spite of publish_rate",
    ),
    key(
        "grip",
        "recover_concurrency",
        Slot::Count(|s| &mut s.grip.recover_concurrency, 1, MANY),
        "most recoveries (repeated requests, next links) that ask one backend at once",
    ),
    key(
        "grip",
        "recover_rate",
        Slot::Small(|s| &mut s.grip.recover_rate, 0, 1_000_000),
        "most recoveries that begin to ask one backend in a second; 0: no limit",
    ),
    key(
        "grip",
        "recover_jitter",
        Slot::Time(|s| &mut s.grip.recover_jitter, ZERO, WEEK),
        "most random delay before a recovery that is not urgent",
    ),
    key(
        "grip",
        "link_backoff",
        Slot::Time(|s| &mut s.grip.link_backoff, MS, WEEK),
        "the first pause after a next or gone link that failed; the next ones double",
    ),
    key(
        "grip",
        "update_delay",
        Slot::Time(|s| &mut s.grip.update_delay, MS, WEEK),
        "how long after its first subscription a channel's subscribers ask again",
    ),
    key(
        "grip",
        "overflow",
        Slot::Overflow(|s| &mut s.grip.overflow),
        "slow clients: close, keep the latest item of each channel, recover; auto: as fits",
    ),
];
