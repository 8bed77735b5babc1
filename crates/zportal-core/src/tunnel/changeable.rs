//! What may be changed while a tunnel is open: it holds from the next dial, the next newcomer, the
//! next session on. Whoever sits now stays.

use std::sync::{Arc, Mutex};

use super::request::{Options, Role};
use crate::error::Error;
use crate::link::Way;
use crate::lock::held;
use crate::seat::Admission;

/// The options that others may replace while the thread runs.
pub(super) struct Changeable {
    /// Where a client dials.
    way: Mutex<Option<Way>>,
    /// Who may come to a server.
    admission: Arc<Mutex<Admission>>,
    congestion: Mutex<Option<String>>,
}

impl Changeable {
    /// As they are at the beginning.
    pub(super) fn new(options: &Options) -> Changeable {
        let (way, admission) = match &options.role {
            Role::Serve { bind, allow, .. } => (None, Admission::at(bind, allow)),
            Role::Dial(way) => (Some(way.clone()), Admission::Everybody),
        };
        Changeable {
            way: Mutex::new(way),
            admission: Arc::new(Mutex::new(admission)),
            congestion: Mutex::new(options.congestion.clone()),
        }
    }

    /// Whether these options could be taken.
    ///
    /// # Errors
    /// What [`Way::check`] refuses, or that an end cannot become the other.
    pub(super) fn check(&self, options: &Options) -> Result<(), Error> {
        match (&options.role, held(&self.way).is_some()) {
            (Role::Dial(wanted), true) => wanted.check(),
            (Role::Serve { .. }, false) => Ok(()),
            _ => {
                let both = "an end that listens cannot become one that dials, nor the reverse";
                Err(Error::Option(both.into()))
            }
        }
    }

    /// Takes what may change from other options of the same tunnel; the rest of them is not looked
    /// at.
    ///
    /// # Errors
    /// Those of [`Changeable::check`]; then nothing changes.
    pub(super) fn change(&self, options: &Options) -> Result<(), Error> {
        self.check(options)?;
        match &options.role {
            Role::Dial(wanted) => *held(&self.way) = Some(wanted.clone()),
            Role::Serve { bind, allow, .. } => {
                *held(&self.admission) = Admission::at(bind, allow);
            }
        }
        (*held(&self.congestion)).clone_from(&options.congestion);
        Ok(())
    }

    /// Where to dial now.
    pub(super) fn way(&self) -> Option<Way> {
        held(&self.way).clone()
    }

    /// Who may come; what changes is seen through it.
    pub(super) fn admission(&self) -> Arc<Mutex<Admission>> {
        Arc::clone(&self.admission)
    }

    /// The congestion control that was asked for, if one was.
    pub(super) fn congestion(&self) -> Option<String> {
        held(&self.congestion).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Changeable;
    use crate::link::Way;
    use crate::tun::TunOptions;
    use crate::tunnel::request::{Options, Role};

    fn options(role: Role, congestion: Option<&str>) -> Options {
        Options {
            tun: TunOptions {
                name: "zt0".into(),
                mtu_bytes: 1400,
                addresses: Vec::new(),
            },
            role,
            routes: Vec::new(),
            offload: true,
            congestion: congestion.map(str::to_owned),
        }
    }

    fn dial(target: &str) -> Role {
        Role::Dial(Way {
            target: target.parse().unwrap(),
            proxies: Vec::new(),
            timeout: Duration::from_secs(1),
            mark: None,
        })
    }

    fn serve(allow: &str) -> Role {
        Role::Serve {
            bind: "192.0.2.1:7000".parse().unwrap(),
            mark: None,
            allow: vec![allow.parse().unwrap()],
        }
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let changeable = Changeable::new(&options(dial("192.0.2.1:7000"), None));
        let target = || changeable.way().unwrap().target.to_string();
        changeable
            .change(&options(dial("192.0.2.2:7000"), Some("cubic")))
            .unwrap();
        assert_eq!(target(), "192.0.2.2:7000");
        assert_eq!(changeable.congestion().as_deref(), Some("cubic"));
        for refused in [dial("192.0.2.3:0"), serve("192.0.2.0/24")] {
            let refusal = changeable.change(&options(refused, None)).unwrap_err();
            assert_eq!(refusal.code(), "ZP_OPTION");
            assert_eq!(target(), "192.0.2.2:7000");
            assert_eq!(changeable.congestion().as_deref(), Some("cubic"));
        }
    }

    #[test]
    fn who_may_come_is_seen_by_whoever_holds_the_door() {
        let changeable = Changeable::new(&options(serve("192.0.2.0/24"), None));
        let at_the_door = changeable.admission();
        changeable
            .change(&options(serve("198.51.100.0/24"), None))
            .unwrap();
        let admission = format!("{:?}", at_the_door.lock().unwrap());
        assert!(admission.contains("198.51.100.0"), "{admission}");
    }
}
