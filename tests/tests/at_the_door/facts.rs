//! What must not change: everything that `baton status` tells of a host but the time, and the processes themselves.

use baton_tests::fleet::{Fleet, Host};
use serde_json::Value;

/// How hosts stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts(Vec<Fact>);

#[derive(Debug, PartialEq, Eq)]
struct Fact {
    told: Value,
    agent: u32,
    master: u32,
}

impl Facts {
    /// The facts of all hosts, each of which serves.
    #[track_caller]
    pub(crate) fn of(fleet: &Fleet) -> Self {
        Self(fleet.hosts.iter().map(|host| Fact::of(fleet, host)).collect())
    }

    /// The facts of some hosts.
    #[track_caller]
    pub(crate) fn of_hosts(fleet: &Fleet, names: &[&str]) -> Self {
        let hosts = fleet.hosts.iter().filter(|host| names.contains(&host.name.as_str()));
        Self(hosts.map(|host| Fact::of(fleet, host)).collect())
    }

    /// Whether they are the same to all but the agents, which were started again.
    pub(crate) fn are_but_for_the_agents_pid(&self, before: &Self) -> bool {
        let same = |(now, before): (&Fact, &Fact)| now.told == before.told && now.master == before.master;
        self.0.len() == before.0.len() && self.0.iter().zip(&before.0).all(same)
    }
}

impl Fact {
    #[track_caller]
    fn of(fleet: &Fleet, host: &Host) -> Self {
        let run = fleet.baton(&["status", &host.name, "--output", "json"]).expect_code(0);
        let [told]: [Value; 1] = run.objects().try_into().unwrap_or_else(|_| panic!("{run}"));
        let mut told = told;
        let fields = told.as_object_mut().expect("an object");
        for field in ["generation", "master_pid", "epoch", "fence"] {
            assert!(fields.get(field).is_some_and(Value::is_u64), "{field}: {run}");
        }
        fields.remove("held_for_ms");
        let answer = host.server.ask("/").expect("the server serves");
        Self { told, agent: host.agent.pid(), master: answer.master }
    }
}
