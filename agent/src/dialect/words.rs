//! What is said of a row: the same in `baton-agent dialects` and in the README.

use baton_proto::custody::Shape;

use super::{Custodian, PidFiles, Row};

impl Row {
    /// What it does, in a few words each.
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let told = [
            ("does", Some(self.does().to_owned())),
            ("pid file", Some(self.pid_file())),
            ("to leave", Some(self.retire.to_string())),
            ("lock", Some(self.custodian().to_owned())),
            ("needs", Some(self.needs.to_owned())),
            ("check", self.check.map(str::to_owned)),
            ("bad release", Some(self.failure.to_owned())),
            ("twice", Some(self.meanwhile.to_owned())),
        ];
        told.into_iter().filter_map(|(label, text)| Some((label, text.filter(|text| !text.is_empty())?))).collect()
    }

    fn does(&self) -> &'static str {
        match self.shape {
            Shape::Beside => "a new master comes beside the old one",
            Shape::InPlace => "the master stays and replaces its workers",
            Shape::Exec => "the master calls exec, and is the same process",
        }
    }

    fn pid_file(&self) -> String {
        match &self.pid_files {
            PidFiles::Unchanged => "names the one master".to_owned(),
            PidFiles::OldRenamed(suffix) => format!("the old master's ends in {suffix} while there are two"),
            PidFiles::NewBeside(suffix) => format!("the new master's ends in {suffix} while there are two"),
        }
    }

    fn custodian(&self) -> &'static str {
        match self.lock {
            Custodian::Hook => "a hook in its configuration takes it",
            Custodian::Inherited => "`baton-agent hold` hands it down",
        }
    }
}
