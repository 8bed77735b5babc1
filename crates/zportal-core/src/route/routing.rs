//! The routes of one tunnel: which networks go into it, and which destinations must not. They can
//! be changed while a session has the tunnel's thread, because a thread of their own holds them
//! ([`Keeper`]); it runs from the first route on, or from the beginning where there are IPv6 addresses
//! to hold.

use std::sync::{Arc, Mutex};

use super::cidr::Cidr;
use super::keeper::Keeper;
use super::kept::Device;
use crate::error::Error;
use crate::lock::held;
use crate::tun::InterfaceAddress;

/// Nothing is routed before [`Routing::open`] and after [`Routing::close`].
#[derive(Default)]
pub struct Routing {
    open: Mutex<Option<Open>>,
}

/// What is known of a tunnel that is open.
struct Open {
    device: Device,
    /// What was last asked to be kept outside.
    targets: Vec<Cidr>,
    keeper: Option<Arc<Keeper>>,
    /// Something is or was routed into the tunnel.
    is_routed: bool,
}

impl Open {
    /// The thread, which is started if it does not run.
    fn keeper(&mut self) -> Result<&Keeper, Error> {
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper,
            None => Arc::new(Keeper::start(self.device.clone())?),
        };
        Ok(self.keeper.insert(keeper))
    }
}

impl Routing {
    /// Routes can be set from now on, for the device of that name and number. Its IPv6 addresses are
    /// held as well: the kernel takes them away when the device is taken down.
    ///
    /// # Errors
    /// [`Error::Internal`] where no thread can be started for that.
    pub fn open(
        &self,
        name: &str,
        index: u32,
        addresses: &[InterfaceAddress],
    ) -> Result<(), Error> {
        let device = Device {
            name: name.to_owned(),
            index,
            addresses: addresses.to_vec(),
        };
        let can_lose = device.can_lose();
        let mut open = Open {
            device,
            targets: Vec::new(),
            keeper: None,
            is_routed: false,
        };
        if can_lose {
            open.keeper()?;
        }
        *held(&self.open) = Some(open);
        Ok(())
    }

    /// Removes what was kept outside, and waits for that; what leads into the device goes with it.
    pub fn close(&self) {
        let open = held(&self.open).take();
        drop(open);
    }

    /// Whether something is or was routed into the tunnel.
    pub fn is_used(&self) -> bool {
        held(&self.open).as_ref().is_some_and(|open| open.is_routed)
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
        if !open.is_routed && routes.is_empty() {
            return Ok(false);
        }
        open.is_routed = true;
        let targets = open.targets.clone();
        let halves = routes.iter().flat_map(|route| route.halves_of_default());
        open.keeper()?.route_into(halves.collect(), targets)
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
            open.keeper.clone().filter(|_| open.is_routed)
        };
        match keeper {
            Some(keeper) => keeper.keep_outside(targets).await,
            None => Ok(targets),
        }
    }

    /// Keeps these outside too, as well as can be, until what is returned is dropped.
    pub async fn outside_meanwhile(&self, more: Vec<Cidr>) -> Meanwhile<'_> {
        let asked = held(&self.open).as_ref().and_then(|open| {
            let keeper = open.keeper.clone().filter(|_| open.is_routed)?;
            Some((keeper, [open.targets.clone(), more].concat()))
        });
        let meanwhile = Meanwhile { routing: self };
        if let Some((keeper, targets)) = asked
            && let Err(cause) = keeper.keep_outside(targets).await
        {
            log::warn!("cannot keep more outside the tunnel for a while: {cause}");
        }
        meanwhile
    }
}

/// As long as this lives, more is kept outside than was asked for last.
pub struct Meanwhile<'a> {
    routing: &'a Routing,
}

impl Drop for Meanwhile<'_> {
    fn drop(&mut self) {
        let open = held(&self.routing.open);
        if let Some(open) = open.as_ref()
            && let Some(keeper) = &open.keeper
        {
            // Nobody waits for that, and whatever is asked for next comes after it.
            let _ = keeper.begin_outside(open.targets.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Routing;

    #[test]
    fn without_routes_there_is_no_thread_and_after_the_end_there_are_none() {
        let routing = Routing::default();
        routing.open("zt0", u32::MAX, &[]).unwrap();
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
        routing.open("zt0", i32::MAX as u32, &[]).unwrap();
        for _ in 0..2 {
            let refused = routing.set(&["198.51.100.0/24".parse().unwrap()]);
            let code = refused.unwrap_err().code();
            assert!(["ZP_ROUTE", "ZP_TUN_PERMISSION"].contains(&code), "{code}");
        }
        assert!(!routing.set(&[]).unwrap());
        routing.close();
    }
}
