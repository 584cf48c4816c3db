//! The filters a subscription may name (GRIP `filter=`, JSON `filters`). Only the names and what
//! each one needs; what they do to an item is decided elsewhere. Unknown names have no effect.

/// A filter gripd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// `build-id`: puts a rendered id into the content.
    BuildId,
    /// `http-check`: asks the backend whether to deliver.
    HttpCheck,
    /// `http-modify`: asks the backend whether to deliver, and for the content.
    HttpModify,
    /// `require-sub`: delivers only to who is also subscribed to another channel.
    RequireSub,
    /// `skip-self`: not to the sender.
    SkipSelf,
    /// `skip-users`: not to the users listed.
    SkipUsers,
    /// `var-subst`: replaces variables of the subscription meta in the content.
    VarSubst,
}

impl Filter {
    /// The filter of this exact name, or `None` if gripd knows no such filter.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "build-id" => Self::BuildId,
            "http-check" => Self::HttpCheck,
            "http-modify" => Self::HttpModify,
            "require-sub" => Self::RequireSub,
            "skip-self" => Self::SkipSelf,
            "skip-users" => Self::SkipUsers,
            "var-subst" => Self::VarSubst,
            _ => return None,
        })
    }

    /// Its name, as instructs and items spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuildId => "build-id",
            Self::HttpCheck => "http-check",
            Self::HttpModify => "http-modify",
            Self::RequireSub => "require-sub",
            Self::SkipSelf => "skip-self",
            Self::SkipUsers => "skip-users",
            Self::VarSubst => "var-subst",
        }
    }

    /// It sends a request to the backend for each item.
    pub fn asks_backend(self) -> bool {
        matches!(self, Self::HttpCheck | Self::HttpModify)
    }

    /// It may change the content of an item: an item's `content-filters` must list exactly these.
    pub fn changes_content(self) -> bool {
        matches!(self, Self::BuildId | Self::HttpModify | Self::VarSubst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grip::FEATURES;

    #[test]
    fn every_announced_filter_is_known_by_its_name() {
        let mut known = 0;
        for feature in FEATURES.split(", ") {
            if let Some(name) = feature.strip_prefix("filter:") {
                assert_eq!(Filter::parse(name).map(Filter::name), Some(name));
                known += 1;
            }
        }
        assert_eq!(known, 7);
        assert_eq!(
            Filter::parse("Skip-Self"),
            None,
            "names are matched exactly"
        );
    }

    #[test]
    fn which_filters_ask_and_which_change() {
        let check = Filter::HttpCheck;
        assert!(check.asks_backend() && !check.changes_content());
        assert!(Filter::HttpModify.asks_backend() && Filter::HttpModify.changes_content());
        assert!(Filter::VarSubst.changes_content() && !Filter::VarSubst.asks_backend());
        assert!(!Filter::RequireSub.changes_content());
    }
}
