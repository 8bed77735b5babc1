//! The routes of a tunnel over its life: set when the device is there, changed while it is, and
//! given up before it goes.

use super::request::{Options, Role};
use super::shared::Shared;
use crate::address::Address;
use crate::error::Error;
use crate::route;
use crate::tun::{self, Tun};

/// Routes can be changed for as long as this lives.
pub(super) struct OpenRoutes<'a> {
    shared: &'a Shared,
}

impl<'a> OpenRoutes<'a> {
    /// Removes what killed tunnels left, and routes into the device what the options say.
    pub(super) async fn begin(
        tun: &Tun,
        options: &Options,
        shared: &'a Shared,
    ) -> Result<OpenRoutes<'a>, Error> {
        if let Err(cause) = route::sweep().await {
            let message = format!("cannot look for what a killed tunnel left of routes: {cause}");
            shared.notices.warn("routes", message);
        }
        let device = tun::index(tun.name()).map_err(|_| tun.gone())?;
        let addresses = &options.tun.addresses;
        shared.routing.open(tun.name(), device, addresses)?;
        let routes = OpenRoutes { shared };
        set(shared, options)?;
        Ok(routes)
    }
}

impl Drop for OpenRoutes<'_> {
    fn drop(&mut self) {
        self.shared.routing.close();
    }
}

/// Makes the routes those of the options; the rest of them is not looked at.
///
/// # Errors
/// Those of [`route::Routing::set`]; then the routes are as before.
pub(super) fn set(shared: &Shared, options: &Options) -> Result<(), Error> {
    let is_other = shared.routing.set(&options.routes)?;
    let listens = matches!(
        options.role,
        Role::Serve {
            bind: Address::Tcp { .. },
            ..
        }
    );
    let everything = options.routes.iter().any(|route| route.prefix_bits() == 0);
    if is_other && listens && everything {
        // Who will come, nobody knows: there is nothing that could be kept outside.
        let message = "everything is routed into the tunnel, so only peers to whom a more specific \
                       route leads can reach this end";
        shared.notices.warn("routes", message.into());
    }
    Ok(())
}
