//! What becomes of a client that is too slow for what is published to it: the names of the choices,
//! which settings and routes share.

/// What to do when a held connection leaves more unread than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOverflow {
    /// `recover` for a stream with a next link, `close` for any other.
    #[default]
    Auto,
    /// Close the connection.
    Close,
    /// Drop what waits, but for the newest item of each channel.
    Latest,
    /// Drop what waits, and follow the next link when the client has caught up. Closes a connection
    /// that has none.
    Recover,
}

impl OnOverflow {
    /// All names, as settings and routes spell them.
    pub const NAMES: [&str; 4] = ["auto", "close", "latest", "recover"];

    /// The choice of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "close" => Self::Close,
            "latest" => Self::Latest,
            "recover" => Self::Recover,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Close => "close",
            Self::Latest => "latest",
            Self::Recover => "recover",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own() {
        for name in OnOverflow::NAMES {
            assert_eq!(OnOverflow::parse(name).map(OnOverflow::name), Some(name));
        }
        assert_eq!(OnOverflow::parse("Close"), None);
    }
}
