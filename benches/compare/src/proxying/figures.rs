//! Figures of requests that are only passed on: what they are called.

/// What is measured of them, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proxied {
    /// CPU time per small page.
    Page,
    /// The same with a line in the log.
    Logged,
    /// From asking for a page to its last byte, the median of a pass.
    PageMedian,
    /// The same, exceeded by one in a hundred.
    PageP99,
    /// The same, the longest of a pass.
    PageMax,
    /// CPU time per MB of a large body that is asked for.
    Download,
    /// CPU time per MB of a large body that is handed in.
    Upload,
    /// [`Self::PageP99`] while streams are held and nothing is published.
    BesideQuiet,
    /// The same while an item a second is published to them.
    BesidePublish,
    /// How many times longer that is.
    BesideRatio,
    /// The same if clients had gone on asking while they waited.
    BesideUnasked,
}

impl Proxied {
    /// In `results.json`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Page => "proxied_page_us",
            Self::Logged => "proxied_page_logged_us",
            Self::PageMedian => "proxied_page_ms_p50",
            Self::PageP99 => "proxied_page_ms_p99",
            Self::PageMax => "proxied_page_ms_max",
            Self::Download => "proxied_download_us_per_mb",
            Self::Upload => "proxied_upload_us_per_mb",
            Self::BesideQuiet => "proxied_page_beside_streams_ms_p99",
            Self::BesidePublish => "proxied_page_beside_publishes_ms_p99",
            Self::BesideRatio => "proxied_page_beside_publishes_ratio",
            Self::BesideUnasked => "proxied_page_beside_publishes_ratio_unasked",
        }
    }

    /// In the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Page => "CPU µs per proxied GET",
            Self::Logged => "CPU µs per proxied GET, each in the log",
            Self::PageMedian => "proxied GET, ms, p50",
            Self::PageP99 => "proxied GET, ms, p99",
            Self::PageMax => "proxied GET, ms, max",
            Self::Download => "CPU µs per MB of a 10 MB download",
            Self::Upload => "CPU µs per MB of a 10 MB upload",
            Self::BesideQuiet => "proxied GET, ms, p99, nothing published",
            Self::BesidePublish => "proxied GET, ms, p99, one publish a second",
            Self::BesideRatio => "ratio of these",
            Self::BesideUnasked => "ratio of these, unasked requests counted",
        }
    }

    /// False for what only one server does.
    pub fn compares(self) -> bool {
        match self {
            Self::BesidePublish
            | Self::BesideQuiet
            | Self::BesideRatio
            | Self::BesideUnasked
            | Self::Logged => false,
            Self::Download
            | Self::Page
            | Self::PageMax
            | Self::PageMedian
            | Self::PageP99
            | Self::Upload => true,
        }
    }

    /// Digits behind the point that mean something.
    pub fn decimals(self) -> usize {
        match self {
            Self::Download | Self::Upload => 0,
            Self::Logged | Self::Page => 1,
            Self::BesidePublish
            | Self::BesideQuiet
            | Self::BesideRatio
            | Self::BesideUnasked
            | Self::PageMax
            | Self::PageMedian
            | Self::PageP99 => 2,
        }
    }
}
