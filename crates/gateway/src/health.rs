//! How the gate is: one judgement for the health addresses and the console.

/// Whether requests can be served now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// The journal takes records and every model server is thought to answer.
    Well,
    /// These model servers do not answer; others do.
    SomeSilent(Vec<String>),
    /// None of the model servers, which are these, answers.
    AllSilent(Vec<String>),
    /// Requests are served, but the disk does not take their records; they are counted.
    Unkept,
    /// The journal takes no records, so requests are refused.
    Unrecorded,
}

impl Health {
    /// Judges from what is known without asking anybody: whether the last record could be handed to the journal, whether the
    /// disk takes what is, and each model server's name with whether its breaker lets requests pass.
    pub(crate) fn of(records: bool, keeps: bool, upstreams: impl Iterator<Item = (String, bool)>) -> Self {
        if !records {
            return Self::Unrecorded;
        }
        let (answering, silent): (Vec<_>, Vec<_>) = upstreams.partition(|(_, passes)| *passes);
        let silent: Vec<String> = silent.into_iter().map(|(name, _)| name).collect();
        match (answering.is_empty(), silent.is_empty()) {
            (true, _) => Self::AllSilent(silent),
            _ if !keeps => Self::Unkept,
            (false, true) => Self::Well,
            (false, false) => Self::SomeSilent(silent),
        }
    }

    /// `ok`, `warn` or `fault`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::SomeSilent(_) => "warn",
            Self::AllSilent(_) | Self::Unkept | Self::Unrecorded => "fault",
        }
    }

    /// Whether some request can be served.
    pub fn can_serve(&self) -> bool {
        matches!(self, Self::Well | Self::SomeSilent(_) | Self::Unkept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements() {
        let of = |(records, keeps), passes: &[bool]| {
            let names = ["a", "b"].iter().map(|name| (*name).to_owned());
            let health = Health::of(records, keeps, names.zip(passes.iter().copied()));
            (health.word(), health.can_serve())
        };
        assert_eq!(of((true, true), &[true, true]), ("ok", true));
        assert_eq!(of((true, true), &[true, false]), ("warn", true));
        assert_eq!(of((true, false), &[true, true]), ("fault", true));
        assert_eq!(of((true, false), &[false, false]), ("fault", false));
        assert_eq!(of((true, true), &[false, false]), ("fault", false));
        assert_eq!(of((false, false), &[true, true]), ("fault", false));
    }
}
