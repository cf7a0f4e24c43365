//! The verdict on a connection: deny, allow, local range, common port, otherwise the rule fires.

use crate::format::{AddrSet, Net4, Net6, Ports, Range, Section};
use crate::{Mode, Policy, Rule, Verdict};
use core::net::IpAddr;

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
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
        other => other,
    }
}

/// A step of a decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// What is looked at.
    pub name: &'static str,
    /// The clause that has what is asked about, if one has.
    pub clause: Option<u32>,
    /// The rule fires where this step decides; else the action is allowed.
    pub fires: bool,
}

impl<'a> Policy<'a> {
    /// The verdict on a connection to `address`, port `port`, in scope `scope`. `transport` is called only where the
    /// rule would fire.
    pub fn decide_connect(
        &self,
        scope: u32,
        address: IpAddr,
        port: u16,
        transport: impl FnOnce() -> Transport,
    ) -> Verdict {
        const RULE: Rule = Rule::EgressPort;
        let Some(scope) = self.scope(scope) else { return Verdict::allow(RULE, u32::MAX) };
        let mode = Mode::from_byte(scope.modes[RULE as usize]);
        if mode == Mode::Off {
            return Verdict::allow(RULE, u32::MAX);
        }
        let address = canonical(address);
        if let Some(clause) = self.find(scope.deny, address, port) {
            return Verdict::fire(RULE, mode, clause);
        }
        let allowed = self
            .find(scope.allow, address, port)
            .or_else(|| self.find(scope.local, address, port))
            .or_else(|| self.port(scope.common, port))
            .or_else(|| self.find(scope.resolvers, address, port));
        if let Some(clause) = allowed {
            return Verdict::allow(RULE, clause);
        }
        if let Some(clause) = self.port(scope.probes, port)
            && transport() == Transport::Datagram
        {
            return Verdict::allow(RULE, clause);
        }
        Verdict::fire(RULE, mode, scope.egress_default.get())
    }

    /// Every step of the decision on a connection, in order, with the clause of the step that has the destination: the
    /// first that has one decides. The last has one always.
    #[must_use]
    pub fn steps_connect(&self, scope: u32, address: IpAddr, port: u16, transport: Transport) -> [Step; 7] {
        let address = canonical(address);
        let Some(scope) = self.scope(scope) else { return [Step::default(); 7] };
        let fires = |clause| Step { name: "", clause, fires: true };
        let allows = |clause| Step { name: "", clause, fires: false };
        let probe = self.port(scope.probes, port).filter(|_| transport == Transport::Datagram);
        let name = |name, step: Step| Step { name, ..step };
        [
            name("deny", fires(self.find(scope.deny, address, port))),
            name("allow", allows(self.find(scope.allow, address, port))),
            name("local range", allows(self.find(scope.local, address, port))),
            name("common port", allows(self.port(scope.common, port))),
            name("name server", allows(self.find(scope.resolvers, address, port))),
            name("own address", allows(probe)),
            name("otherwise", fires(Some(scope.egress_default.get()))),
        ]
    }

    /// The errno of a refused connection in scope `scope`.
    #[must_use]
    pub fn egress_errno(&self, scope: u32) -> i32 {
        self.scope(scope).map_or(13, |scope| i32::from(scope.egress_errno.get()))
    }

    fn find(&self, set: AddrSet, address: IpAddr, port: u16) -> Option<u32> {
        let ports = match address {
            IpAddr::V4(v4) => {
                let nets: &[Net4] = self.range(Section::Net4, set.v4);
                let key = u32::from(v4);
                let after = nets.partition_point(|net| net.start.get() <= key);
                nets.get(after.checked_sub(1)?)?.ports
            }
            IpAddr::V6(v6) => {
                let nets: &[Net6] = self.range(Section::Net6, set.v6);
                let key = u128::from(v6);
                let after = nets.partition_point(|net| net.start.get() <= key);
                nets.get(after.checked_sub(1)?)?.ports
            }
        };
        self.port(ports, port)
    }

    fn port(&self, range: Range, port: u16) -> Option<u32> {
        let ports: &[Ports] = self.range(Section::Ports, range);
        let after = ports.partition_point(|ports| ports.low.get() <= port);
        let found = ports.get(after.checked_sub(1)?)?;
        (port <= found.high.get()).then_some(found.clause.get())
    }
}
