//! The client behind trusted hops, from `Forwarded` (RFC 7239) or `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

/// Addresses of proxies whose word about the hop before them is taken.
#[derive(Clone, Debug, Default)]
pub struct Hops(Vec<(u128, u128)>);

impl Hops {
    pub(super) fn new(ranges: &[String]) -> Result<Hops, String> {
        let range = |text: &String| range(text).ok_or_else(|| format!("trusted_hops: {text} is not an address range"));
        ranges.iter().map(range).collect::<Result<_, _>>().map(Hops)
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|&(network, mask)| bits & mask == network)
    }

    /// The address of who called the first trusted hop. `None` where `peer` is not trusted, nothing was forwarded,
    /// a hop hides its caller, or the two fields disagree (a client can forge the one that the proxy does not write).
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return None;
        }
        let standard = self.walk(forwarded.rev().flat_map(|value| elements(value).rev()).map(for_parameter));
        let common = self.walk(forwarded_for.rev().flat_map(|value| elements(value).rev()).map(node));
        match (standard, common) {
            (Walk::Nothing, other) | (other, Walk::Nothing) => other.address(),
            (one, other) => one.address().filter(|&address| other.address() == Some(address)),
        }
    }

    /// From the nearest hop outwards, while the address is trusted.
    fn walk(&self, nodes: impl Iterator<Item = Option<IpAddr>>) -> Walk {
        let mut found = Walk::Nothing;
        for node in nodes {
            let Some(address) = node else { return Walk::Hidden };
            found = Walk::At(address);
            if !self.trusts(address) {
                break;
            }
        }
        found
    }
}

#[derive(Clone, Copy)]
enum Walk {
    Nothing,
    Hidden,
    At(IpAddr),
}

impl Walk {
    fn address(self) -> Option<IpAddr> {
        match self {
            Walk::At(address) => Some(address),
            Walk::Nothing | Walk::Hidden => None,
        }
    }
}

fn range(text: &str) -> Option<(u128, u128)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.trim(), Some(length.trim().parse::<u32>().ok()?)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (width, shift) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length = length.unwrap_or(width);
    if length > width {
        return None;
    }
    let mask = u128::MAX.checked_shl(128 - (length + shift)).unwrap_or(0);
    Some((bits(address) & mask, mask))
}

/// Both families in one: IPv4 stands as v4-mapped.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// Splits at commas that stand outside quoted strings (RFC 9110, section 5.6.1).
fn elements(value: &[u8]) -> std::vec::IntoIter<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = value.split(move |&byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !was_escaped => escaped = true,
            b'"' if !was_escaped => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    });
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).collect::<Vec<_>>().into_iter()
}

/// The node of `for=` in one element of `Forwarded` (RFC 7239, section 4).
fn for_parameter(element: &[u8]) -> Option<IpAddr> {
    element.split(|&byte| byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.get(4..).filter(|_| pair[..4].eq_ignore_ascii_case(b"for="))?;
        Some(node(value))
    })?
}

/// An address, with or without quotes, brackets and port; `None` for `unknown`, `_hidden` and anything else.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches('"');
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>())
        .ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], forwarded_for: &[&str]) -> Option<String> {
        let hops = Hops::new(&["127.0.0.0/8".into(), "10.0.0.0/8".into(), "fd00::/8".into()]).unwrap();
        let bytes = |list: &[&'static str]| list.iter().map(|text| text.as_bytes()).collect::<Vec<_>>();
        let own = |list: &[&str]| list.iter().map(|text| text.to_string().leak() as &'static str).collect::<Vec<_>>();
        hops.client(peer.parse().unwrap(), bytes(&own(forwarded)).into_iter(), bytes(&own(forwarded_for)).into_iter())
            .map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        assert_eq!(client("192.0.2.1", &[], &["203.0.113.9"]), None);
        assert_eq!(client("127.0.0.1", &[], &["203.0.113.9"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(client("::ffff:127.0.0.1", &[], &["203.0.113.9"]).as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn the_walk_from_the_right_stops_at_the_first_address_that_is_not_trusted() {
        let chain = ["1.2.3.4, 203.0.113.9", "10.1.1.1 , 10.2.2.2"];
        assert_eq!(client("10.0.0.1", &[], &chain).as_deref(), Some("203.0.113.9"));
        assert_eq!(client("10.0.0.1", &[], &["10.9.9.9, 10.8.8.8"]).as_deref(), Some("10.9.9.9"));
    }

    #[test]
    fn nodes_are_read_in_every_form_of_rfc_7239() {
        for (value, expected) in [
            ("for=192.0.2.43", Some("192.0.2.43")),
            ("FOR=\"192.0.2.43:47011\";by=203.0.113.43", Some("192.0.2.43")),
            ("proto=https; for=\"[2001:db8:cafe::17]:4711\"", Some("2001:db8:cafe::17")),
            ("for=\"[2001:db8::1]\"", Some("2001:db8::1")),
            ("for=1.1.1.1;ext=\"a,b\", for=2.2.2.2;ext=\"c,\\\"d\"", Some("2.2.2.2")),
            ("for=unknown", None),
            ("for=_hidden", None),
            ("by=1.1.1.1", None),
            ("1.2.3.4, for=_hidden, for=10.1.1.1", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(client("10.0.0.1", &[value], &[]).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn fields_that_disagree_give_no_client() {
        assert_eq!(client("10.0.0.1", &["for=6.6.6.6"], &["203.0.113.9"]), None);
        assert_eq!(client("10.0.0.1", &["for=6.6.6.6"], &["6.6.6.6"]).as_deref(), Some("6.6.6.6"));
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for text in ["", "10.0.0.0/33", "x", "10.0.0.0/-1", "::/129"] {
            assert!(Hops::new(&[text.to_owned()]).is_err(), "{text}");
        }
        assert!(Hops::new(&["0.0.0.0/0".into()]).unwrap().trusts("9.9.9.9".parse().unwrap()));
        assert!(!Hops::new(&["0.0.0.0/0".into()]).unwrap().trusts("2001::1".parse().unwrap()));
        assert!(Hops::new(&["::/0".into()]).unwrap().trusts("2001::1".parse().unwrap()));
    }
}
