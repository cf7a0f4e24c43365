//! The verdict on a connection: deny, allow, local range, common port, otherwise the rule fires.

use crate::format::{AddrSet, Net4, Net6, Ports, Range, Scope, Section};
use crate::name::HostName;
use crate::rest::{default, mode};
use crate::{Findings, Mode, Outcome, Policy, Rule, Verdict};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a connection's socket is, asked only where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP and what behaves like it.
    Stream,
    /// UDP: connecting sends nothing.
    Datagram,
}

/// The address as it is judged: v4-mapped v6 as its v4 address, the unspecified ones as loopback (where Linux takes
/// a connection to them).
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    let address = match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => address,
        },
        IpAddr::V4(_) => address,
    };
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}

/// The v4 address in a v6 address that a translator or a tunnel takes there: NAT64's well-known prefix (RFC 6052), 6to4 (RFC 3056),
/// IPv4-compatible (RFC 4291). None of them may have a private one or a loopback one in it (RFC 6052, section 3.1; RFC 3056, section 2),
/// and it goes out of the host: it is not local because that would be.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let inner = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0, 0, 0, 0, 0, 0, _, _] => bits,
        [0x2002, ..] => bits >> 80,
        _ => return None,
    };
    let inner = Ipv4Addr::from_bits(inner as u32);
    let is_no_destination = inner.is_private() || inner.is_loopback() || inner.octets().first() == Some(&0);
    (!is_no_destination).then_some(inner)
}

/// A step of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What is looked at.
    pub name: &'static str,
    /// The clause that has what is asked about, if one has.
    pub clause: Option<u32>,
    /// The rule that fires where this step decides; `None` where the action is then allowed.
    pub fires: Option<Rule>,
}

/// A connection, or a datagram that is sent to an address.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Something is sent at once: a datagram. A connect of a datagram socket sends nothing.
    pub sends: bool,
}

/// Ports of name servers: DNS, and DNS over TLS (RFC 7858).
const DNS_PORTS: [u16; 2] = [53, 853];

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

impl<'a> Policy<'a> {
    /// The verdict on a connection to `to` in scope `scope`. `transport` and `name`, the name that was resolved to the
    /// address last, are called only where they matter.
    pub fn decide_connect(
        &self,
        scope: u32,
        to: Connection,
        transport: impl FnOnce() -> Transport,
        name: impl Fn() -> HostName,
    ) -> Verdict {
        const RULE: Rule = Rule::EgressPort;
        let scope = self.scope(scope);
        let mode = |rule| mode(scope, rule);
        let (address, port) = (canonical(to.address), to.port);
        if mode(RULE) != Mode::Off {
            let denied = self.find(scope.deny, address, port).or_else(|| {
                self.has_names(scope.deny_names).then(|| self.host(scope.deny_names, name().bytes(), port)).flatten()
            });
            if let Some(clause) = denied {
                return self.decide_denied(scope, address, port, clause);
            }
        }
        if let Some(clause) = self.find(scope.allow, address, port) {
            return Verdict::allow(RULE, clause);
        }
        let ordinary = self.find(scope.local, address, port).or_else(|| self.port(scope.common, port));
        let metadata = match mode(Rule::Metadata) {
            Mode::Off => None,
            _ => self.find(scope.metadata, address, port),
        };
        let dns = DNS_PORTS.contains(&port) && !is_loopback(address) && mode(Rule::DnsDirect) != Mode::Off;
        if let (Some(clause), None, false) = (ordinary, metadata, dns) {
            return Verdict::allow(RULE, clause);
        }
        let resolver = self.find(scope.resolvers, address, port);
        let dns = dns && resolver.is_none();
        let probe = self
            .port(scope.probes, port)
            .filter(|_| !to.sends && ordinary.is_none() && resolver.is_none())
            .filter(|_| transport() == Transport::Datagram);
        let quiet = ordinary.or(resolver).or(probe);
        let mut findings = Findings::none(RULE, quiet.unwrap_or(u32::MAX));
        if let Some(clause) = metadata {
            findings.fire(Rule::Metadata, mode(Rule::Metadata), clause);
        }
        if dns {
            findings.fire(Rule::DnsDirect, mode(Rule::DnsDirect), default(scope, Rule::DnsDirect));
        }
        if quiet.is_none() {
            findings.fire(RULE, mode(RULE), default(scope, RULE));
        }
        let verdict = findings.verdict();
        if verdict.outcome != Outcome::Allow
            && self.has_names(scope.allow_names)
            && let Some(clause) = self.host(scope.allow_names, name().bytes(), port)
        {
            return Verdict::allow(RULE, clause);
        }
        verdict
    }

    /// The verdict on what an entry of `deny` names. The entry is of its own rule: it takes nothing from what another refuses.
    #[cold]
    fn decide_denied(&self, scope: &Scope, address: IpAddr, port: u16, clause: u32) -> Verdict {
        const RULE: Rule = Rule::EgressPort;
        let mut findings = Findings::none(RULE, clause);
        findings.fire(RULE, mode(scope, RULE), clause);
        if let Some(clause) = self.find(scope.metadata, address, port) {
            findings.fire(Rule::Metadata, mode(scope, Rule::Metadata), clause);
        }
        if DNS_PORTS.contains(&port) && !is_loopback(address) && self.find(scope.resolvers, address, port).is_none() {
            findings.fire(Rule::DnsDirect, mode(scope, Rule::DnsDirect), default(scope, Rule::DnsDirect));
        }
        findings.verdict()
    }

    /// Whether an address is a configured name server in scope `scope`.
    #[must_use]
    pub fn is_resolver(&self, scope: u32, address: IpAddr) -> bool {
        self.find(self.scope(scope).resolvers, canonical(address), DNS_PORTS[0]).is_some()
    }

    /// Every step of the decision on a connection, in order, with the clause of the step that has the destination: of
    /// equally strict rules the first that has one decides. The last has one always.
    #[must_use]
    pub fn steps_connect(&self, number: u32, to: Connection, transport: Transport, name: &HostName) -> [Step; 9] {
        const RULE: Rule = Rule::EgressPort;
        let scope = self.scope(number);
        let (address, port) = (canonical(to.address), to.port);
        let fires = |name, rule, clause: Option<u32>| {
            let clause = clause.filter(|_| mode(scope, rule) != Mode::Off);
            Step { name, clause, fires: Some(rule) }
        };
        let allows = |name, clause| Step { name, clause, fires: None };
        let probe = self.port(scope.probes, port).filter(|_| transport == Transport::Datagram && !to.sends);
        let resolver = self.find(scope.resolvers, address, port);
        let dns = DNS_PORTS.contains(&port) && !is_loopback(address) && resolver.is_none();
        let by_name = |range| self.host(range, name.bytes(), port);
        [
            fires("deny", RULE, self.find(scope.deny, address, port).or_else(|| by_name(scope.deny_names))),
            allows("allow", self.find(scope.allow, address, port).or_else(|| by_name(scope.allow_names))),
            fires("metadata service", Rule::Metadata, self.find(scope.metadata, address, port)),
            fires("name server", Rule::DnsDirect, dns.then(|| default(scope, Rule::DnsDirect))),
            allows("local range", self.find(scope.local, address, port)),
            allows("common port", self.port(scope.common, port)),
            allows("configured name server", resolver),
            allows("own address", probe),
            Step { name: "otherwise", clause: Some(default(scope, RULE)), fires: Some(RULE) },
        ]
    }

    /// The clause of a set that has an address: the address itself, or the v4 address in it, to which a translator or a tunnel takes it.
    fn find(&self, set: AddrSet, address: IpAddr, port: u16) -> Option<u32> {
        match address {
            IpAddr::V4(v4) => self.find_v4(set, v4, port),
            IpAddr::V6(v6) => self.find_v6(set, v6, port).or_else(|| self.find_v4(set, embedded(v6)?, port)),
        }
    }

    fn find_v4(&self, set: AddrSet, address: Ipv4Addr, port: u16) -> Option<u32> {
        // Most lists are empty.
        if set.v4.len.get() == 0 {
            return None;
        }
        let nets: &[Net4] = self.range(Section::Net4, set.v4);
        let key = u32::from(address);
        let after = nets.partition_point(|net| net.start.get() <= key);
        self.port(nets.get(after.checked_sub(1)?)?.ports, port)
    }

    fn find_v6(&self, set: AddrSet, address: Ipv6Addr, port: u16) -> Option<u32> {
        if set.v6.len.get() == 0 {
            return None;
        }
        let nets: &[Net6] = self.range(Section::Net6, set.v6);
        let key = u128::from(address);
        let after = nets.partition_point(|net| net.start.get() <= key);
        self.port(nets.get(after.checked_sub(1)?)?.ports, port)
    }

    pub(crate) fn port(&self, range: Range, port: u16) -> Option<u32> {
        let ports: &[Ports] = self.range(Section::Ports, range);
        let after = ports.partition_point(|ports| ports.low.get() <= port);
        let found = ports.get(after.checked_sub(1)?)?;
        (port <= found.high.get()).then_some(found.clause.get())
    }
}
