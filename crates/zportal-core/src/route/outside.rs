//! What is kept outside of one tunnel's routes, by host routes. What the kernel refuses costs the target
//! that it was for, and no other; what the kernel does not take away stays ours, to be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rtnetlink::packet_route::route::RouteMessage;

use super::cidr::Cidr;
use super::kernel::{Kernel, Table};
use super::plan::{Choice, captured_bits, choose};

/// The targets, and what the kernel was told for them.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) targets: Vec<Cidr>,
    routes: BTreeMap<Cidr, RouteMessage>,
}

/// A host route that should be there.
struct Wanted {
    target: Cidr,
    route: RouteMessage,
    /// It is, and is left alone: each change is news, and would bring us here again.
    is_there: bool,
}

/// What the kernel did not take.
struct Refusal {
    target: Cidr,
    cause: io::Error,
}

impl Outside {
    /// Makes the host routes what they should be now, where `tunnel` is all that is routed into the
    /// tunnel of that device; the targets that are outside.
    ///
    /// # Errors
    /// The kernel's, when no target is left.
    pub(super) async fn look(
        &mut self,
        kernel: &Kernel,
        device: u32,
        tunnel: &[Cidr],
    ) -> io::Result<Vec<Cidr>> {
        let is_captured = |target: &Cidr| captured_bits(*target, tunnel).is_some();
        let (captured, mut outside): (Vec<Cidr>, Vec<Cidr>) =
            self.targets.iter().partition(|target| is_captured(target));
        if !captured.is_empty() {
            kernel.sweep().await?;
        }
        let mut wanted = Vec::new();
        for ipv4 in [true, false] {
            let of_family = |target: &&Cidr| target.network().is_ipv4() == ipv4;
            let targets: Vec<Cidr> = captured.iter().filter(of_family).copied().collect();
            if targets.is_empty() {
                continue;
            }
            let table = kernel.main_table(ipv4).await?;
            let candidates: Vec<_> = table.iter().map(|route| route.candidate(device)).collect();
            for target in targets {
                let place = match choose(target, tunnel, &candidates) {
                    Choice::Outside => {
                        outside.push(target);
                        continue;
                    }
                    // The kernel looks for its own addresses before it looks into the main table.
                    _ if kernel.is_local(target.network()).await? => {
                        outside.push(target);
                        continue;
                    }
                    Choice::Like(place) => place,
                    Choice::Nowhere => continue,
                };
                outside.push(target);
                let route = table[place].narrowed(target, device);
                let is_there = table.iter().any(|known| known.is(&route));
                wanted.push(Wanted {
                    target,
                    route,
                    is_there,
                });
            }
        }
        let mut refusals = self.make(kernel, wanted).await;
        outside.retain(|target| refusals.iter().all(|refusal| refusal.target != *target));
        if outside.is_empty() && !refusals.is_empty() {
            return Err(refusals.swap_remove(0).cause);
        }
        for Refusal { target, cause } in refusals {
            log::warn!("cannot keep {target} outside the tunnel: {cause}");
        }
        Ok(outside)
    }

    /// Makes these the host routes, each as far as the kernel lets it.
    async fn make(&mut self, table: &impl Table, wanted: Vec<Wanted>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let targets: BTreeSet<Cidr> = wanted.iter().map(|one| one.target).collect();
        for Wanted {
            target,
            route,
            is_there,
        } in wanted
        {
            let kept = match is_there {
                true => Ok(()),
                false => table.keep_outside(&route).await,
            };
            match kept {
                Ok(()) => drop(self.routes.insert(target, route)),
                Err(cause) => refusals.push(Refusal { target, cause }),
            }
        }
        self.forget(table, |target| !targets.contains(target)).await;
        refusals
    }

    /// Takes away what is there for such targets.
    pub(super) async fn forget(&mut self, table: &impl Table, is_it: impl Fn(&Cidr) -> bool) {
        let mut rest = BTreeMap::new();
        for (target, route) in std::mem::take(&mut self.routes) {
            if is_it(&target) {
                match table.forget(&route).await {
                    Ok(()) => continue,
                    Err(cause) => {
                        log::warn!("cannot remove what kept {target} outside the tunnel: {cause}");
                    }
                }
            }
            rest.insert(target, route);
        }
        self.routes = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::io;

    use rtnetlink::packet_route::route::{RouteMessage, RouteType};

    use super::{Cidr, Outside, Wanted};
    use crate::route::kernel::Table;

    /// A table in which routes of one destination can be refused in both directions.
    #[derive(Default)]
    struct Scripted {
        there: RefCell<BTreeSet<u8>>,
        refuses: Option<u8>,
    }

    impl Scripted {
        fn change(
            &self,
            route: &RouteMessage,
            change: fn(&mut BTreeSet<u8>, u8) -> bool,
        ) -> io::Result<()> {
            let place = route.header.destination_prefix_length;
            if self.refuses == Some(place) {
                return Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH));
            }
            change(&mut self.there.borrow_mut(), place);
            Ok(())
        }

        fn there(&self) -> Vec<u8> {
            self.there.borrow().iter().copied().collect()
        }
    }

    impl Table for Scripted {
        async fn keep_outside(&self, route: &RouteMessage) -> io::Result<()> {
            self.change(route, |there, place| there.insert(place))
        }

        async fn forget(&self, route: &RouteMessage) -> io::Result<()> {
            self.change(route, |there, place| there.remove(&place))
        }
    }

    /// Targets are told apart by a number, which stands where a scripted table looks for it.
    fn wanted(numbers: &[u8]) -> Vec<Wanted> {
        let want = |number: &u8| {
            let mut route = RouteMessage::default();
            route.header.kind = RouteType::Unicast;
            route.header.destination_prefix_length = *number;
            Wanted {
                target: Cidr::host([192, 0, 2, *number].into()),
                route,
                is_there: false,
            }
        };
        numbers.iter().map(want).collect()
    }

    #[tokio::test]
    async fn one_that_is_refused_costs_no_other() {
        let mut outside = Outside::default();
        let table = Scripted {
            refuses: Some(1),
            ..Scripted::default()
        };
        let refusals = outside.make(&table, wanted(&[1, 2, 3])).await;
        let refused: Vec<_> = refusals.iter().map(|one| one.target).collect();
        assert_eq!(refused, [Cidr::host([192, 0, 2, 1].into())]);
        assert_eq!(table.there(), [2, 3]);
    }

    #[tokio::test]
    async fn one_that_stays_is_tried_again_and_keeps_no_other() {
        let mut outside = Outside::default();
        let mut table = Scripted::default();
        assert!(outside.make(&table, wanted(&[1, 2, 3])).await.is_empty());
        table.refuses = Some(1);
        assert!(outside.make(&table, wanted(&[3])).await.is_empty());
        assert_eq!(table.there(), [1, 3]);
        outside.forget(&table, |_| true).await;
        assert_eq!(table.there(), [1]);
        table.refuses = None;
        outside.forget(&table, |_| true).await;
        assert!(table.there().is_empty());
    }
}
