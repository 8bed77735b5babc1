//! The routes of one tunnel: which networks go into it, and which destinations must not. They can
//! be changed while a session has the tunnel's thread, because a thread of their own holds them
//! ([`Keeper`]); it runs from the first route on.

use std::sync::{Arc, Mutex};

use super::cidr::Cidr;
use super::keeper::Keeper;
use crate::error::Error;
use crate::lock::held;

/// Nothing is routed before [`Routing::open`] and after [`Routing::close`].
#[derive(Default)]
pub struct Routing {
    open: Mutex<Option<Open>>,
}

/// What is known of a tunnel that is open.
struct Open {
    name: String,
    device: u32,
    /// What the kernel routes into it by itself, because of its addresses.
    networks: Vec<Cidr>,
    /// What was last asked to be kept outside.
    targets: Vec<Cidr>,
    keeper: Option<Arc<Keeper>>,
}

impl Routing {
    /// Routes can be set from now on, for the device of that name and number.
    pub fn open(&self, name: &str, device: u32, networks: Vec<Cidr>) {
        *held(&self.open) = Some(Open {
            name: name.to_owned(),
            device,
            networks,
            targets: Vec::new(),
            keeper: None,
        });
    }

    /// Removes what was kept outside, and waits for that; what leads into the device goes with it.
    pub fn close(&self) {
        let open = held(&self.open).take();
        drop(open);
    }

    /// Whether something is or was routed into the tunnel.
    pub fn is_used(&self) -> bool {
        self.keeper().is_some()
    }

    /// Makes these the routes into the tunnel, instead of those before; default routes in two
    /// halves. What must stay outside does so before they are there. Waits for the kernel. Whether
    /// anything was another.
    ///
    /// # Errors
    /// [`Error::RouteExists`], [`Error::TunPermission`], and [`Error::Route`] with the kernel's
    /// answer: then the routes are as before. [`Error::Closed`] when the tunnel is.
    pub fn set(&self, routes: &[Cidr]) -> Result<bool, Error> {
        // Held until it is done: of two who change, one comes after the other.
        let mut open = held(&self.open);
        let open = open.as_mut().ok_or(Error::Closed)?;
        let keeper = match &open.keeper {
            Some(keeper) => keeper,
            None if routes.is_empty() => return Ok(false),
            None => open.keeper.insert(Arc::new(Keeper::start(
                &open.name,
                open.device,
                open.networks.clone(),
                open.targets.clone(),
            )?)),
        };
        let halves = routes.iter().flat_map(|route| route.halves_of_default());
        keeper.route_into(halves.collect())
    }

    /// Sees to it that these destinations are reached outside the tunnel, now and with whatever is
    /// routed later; those that are. Those left out have no way but through the tunnel, and must
    /// not be tried.
    ///
    /// # Errors
    /// [`Error::Route`] with the kernel's answer.
    pub async fn keep_outside(&self, targets: Vec<Cidr>) -> Result<Vec<Cidr>, Error> {
        let keeper = {
            let mut open = held(&self.open);
            let open = open.as_mut().ok_or(Error::Closed)?;
            open.targets.clone_from(&targets);
            open.keeper.clone()
        };
        match keeper {
            Some(keeper) => keeper.keep_outside(targets).await,
            None => Ok(targets),
        }
    }

    fn keeper(&self) -> Option<Arc<Keeper>> {
        held(&self.open)
            .as_ref()
            .and_then(|open| open.keeper.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::Routing;

    #[test]
    fn without_routes_there_is_no_thread_and_after_the_end_there_are_none() {
        let routing = Routing::default();
        routing.open("zt0", u32::MAX, Vec::new());
        assert!(!routing.set(&[]).unwrap());
        assert!(!routing.is_used());
        routing.close();
        let refused = routing.set(&["10.0.0.0/8".parse().unwrap()]).unwrap_err();
        assert_eq!(refused.code(), "ZP_CLOSED");
    }

    #[test]
    fn what_the_kernel_refuses_is_not_there() {
        let routing = Routing::default();
        // No device has this number.
        routing.open("zt0", i32::MAX as u32, Vec::new());
        for _ in 0..2 {
            let refused = routing.set(&["198.51.100.0/24".parse().unwrap()]);
            let code = refused.unwrap_err().code();
            assert!(["ZP_ROUTE", "ZP_TUN_PERMISSION"].contains(&code), "{code}");
        }
        assert!(!routing.set(&[]).unwrap());
        routing.close();
    }
}
