//! Networks with ports, flattened into the sorted disjoint intervals that the guard searches.

use crate::model::Net;
use std::collections::BTreeSet;

/// Ports of one interval: first, last and the index of the entry that they come from; disjoint and sorted.
pub type PortList = Vec<(u16, u16, usize)>;

/// Intervals by first address; each reaches up to the next; an empty list is a gap.
pub fn flatten(nets: &[(usize, &Net)], v4: bool) -> Vec<(u128, PortList)> {
    let mut edges: Vec<(u128, bool, usize)> = Vec::new();
    for (index, net) in nets {
        let (first, last) = match net.net {
            ipnet::IpNet::V4(n) if v4 => (u128::from(u32::from(n.network())), u128::from(u32::from(n.broadcast()))),
            ipnet::IpNet::V6(n) if !v4 => (u128::from(n.network()), u128::from(n.broadcast())),
            _ => continue,
        };
        edges.push((first, true, *index));
        if let Some(after) = last.checked_add(1) {
            edges.push((after, false, *index));
        }
    }
    edges.sort_unstable();
    let by_index: std::collections::HashMap<usize, &Net> = nets.iter().copied().collect();
    let mut active = BTreeSet::new();
    let mut out: Vec<(u128, PortList)> = Vec::new();
    let mut edges = edges.into_iter().peekable();
    while let Some((at, begins, index)) = edges.next() {
        if begins {
            active.insert(index);
        } else {
            active.remove(&index);
        }
        if edges.peek().is_some_and(|next| next.0 == at) || (v4 && at > u128::from(u32::MAX)) {
            continue;
        }
        let ports = merge(active.iter().map(|index| (by_index[index].ports.0, by_index[index].ports.1, *index)));
        if out.last().map_or(!ports.is_empty(), |last| last.1 != ports) {
            out.push((at, ports));
        }
    }
    out
}

/// Port ranges as disjoint sorted ones; where two overlap, the one listed first has the ports.
pub fn merge(ranges: impl Iterator<Item = (u16, u16, usize)>) -> PortList {
    let mut out: PortList = Vec::new();
    for (low, high, index) in ranges {
        let mut from = u32::from(low);
        let mut pieces = Vec::new();
        for &(taken_low, taken_high, _) in &out {
            if u32::from(taken_high) < from || taken_low > high {
                continue;
            }
            if u32::from(taken_low) > from {
                pieces.push((from as u16, taken_low - 1, index));
            }
            from = u32::from(taken_high) + 1;
        }
        if from <= u32::from(high) {
            pieces.push((from as u16, high, index));
        }
        out.extend(pieces);
        out.sort_unstable();
    }
    out
}
