//! Whether the tunnel's routes would swallow a destination, and which of the others it must go by
//! instead. Pure: the table goes in as it is, the choice comes out.

#![forbid(unsafe_code)]

use super::cidr::Cidr;

/// A route of the main table, as far as choosing is concerned. One whose device is down is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Where it leads.
    pub destination: Cidr,
    /// The kernel prefers the lowest among those of one destination.
    pub metric: u32,
    /// It carries packets; `unreachable` and the like refuse them.
    pub carries: bool,
    /// It leads into this tunnel, or is what this tunnel keeps outside.
    pub ours: bool,
}

/// What is to be done about a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Nothing: it stays outside by itself.
    Outside,
    /// It needs a route of its own, like the one at this place of the table.
    Like(usize),
    /// Nothing leads there but the tunnel itself.
    Nowhere,
}

/// The longest prefix by which the tunnel would swallow `target`, where `tunnel` is all that is routed
/// into it.
pub fn captured_bits(target: Cidr, tunnel: &[Cidr]) -> Option<u8> {
    let covering = tunnel.iter().filter(|route| route.covers(&target));
    covering.map(Cidr::prefix_bits).max()
}

/// Chooses for `target`, where `tunnel` is all that is routed into the tunnel. As the kernel does:
/// the longest prefix first, then the lowest metric.
pub fn choose(target: Cidr, tunnel: &[Cidr], table: &[Candidate]) -> Choice {
    let Some(captured_bits) = captured_bits(target, tunnel) else {
        return Choice::Outside;
    };
    let best = table
        .iter()
        .enumerate()
        .filter(|(_, route)| !route.ours && route.destination.covers(&target))
        .min_by_key(|(_, route)| (u8::MAX - route.destination.prefix_bits(), route.metric));
    match best {
        Some((_, route)) if route.destination.prefix_bits() > captured_bits => Choice::Outside,
        Some((place, route)) if route.carries => Choice::Like(place),
        _ => Choice::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Choice, choose};
    use crate::route::cidr::Cidr;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect(text)
    }

    fn route(destination: &str, metric: u32) -> Candidate {
        Candidate {
            destination: cidr(destination),
            metric,
            carries: true,
            ours: false,
        }
    }

    const HALVES: [&str; 2] = ["0.0.0.0/1", "128.0.0.0/1"];

    fn chosen(target: &str, tunnel: &[&str], table: &[Candidate]) -> Choice {
        let tunnel: Vec<Cidr> = tunnel.iter().map(|text| cidr(text)).collect();
        choose(cidr(target), &tunnel, table)
    }

    #[test]
    fn a_peer_behind_the_gateway_goes_as_the_default_route_goes() {
        let table = [route("10.0.0.0/8", 0), route("0.0.0.0/0", 100)];
        assert_eq!(chosen("192.0.2.1/32", &HALVES, &table), Choice::Like(1));
    }

    #[test]
    fn a_neighbour_stays_a_neighbour() {
        let table = [route("192.0.2.0/24", 0), route("0.0.0.0/0", 0)];
        assert_eq!(chosen("192.0.2.1/32", &HALVES, &table), Choice::Outside);
        // Unless the tunnel takes that very network, or a part of it.
        for tunnel in ["192.0.2.0/24", "192.0.2.0/28"] {
            assert_eq!(chosen("192.0.2.1/32", &[tunnel], &table), Choice::Like(0));
        }
    }

    #[test]
    fn what_is_not_routed_into_the_tunnel_needs_nothing() {
        assert_eq!(
            chosen("192.0.2.1/32", &["10.0.0.0/8"], &[]),
            Choice::Outside
        );
        assert_eq!(chosen("2001:db8::1/128", &HALVES, &[]), Choice::Outside);
    }

    #[test]
    fn the_lowest_metric_wins_and_our_own_routes_do_not_count() {
        let ours = Candidate {
            ours: true,
            ..route("192.0.2.1/32", 1)
        };
        let table = [route("0.0.0.0/0", 600), ours, route("0.0.0.0/0", 100)];
        assert_eq!(chosen("192.0.2.1/32", &HALVES, &table), Choice::Like(2));
    }

    #[test]
    fn without_any_other_way_there_is_none() {
        assert_eq!(chosen("192.0.2.1/32", &HALVES, &[]), Choice::Nowhere);
        // A route that refuses is not overruled by a wider one.
        let barred = Candidate {
            carries: false,
            ..route("192.0.0.0/16", 0)
        };
        let table = [route("0.0.0.0/0", 0), barred];
        assert_eq!(
            chosen("192.0.2.1/32", &["192.0.2.0/24"], &table),
            Choice::Nowhere
        );
        // It refuses by itself where it is the more specific one.
        assert_eq!(chosen("192.0.2.1/32", &HALVES, &table), Choice::Outside);
    }
}
