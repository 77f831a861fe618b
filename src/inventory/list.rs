//! `-i web1,web2,`: hosts by name.

use super::{Given, Loading};
use crate::value::Span;

pub(super) fn is_for(given: &Given) -> bool {
    !given.path.exists() && given.name.contains(',')
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    let source = loading.sources.add("-i", given.name.as_str());
    for pattern in given.name.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        let start = pattern.as_ptr() as usize - given.name.as_ptr() as usize;
        let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let span = Span { source, start: place(start), end: place(start + pattern.len()) };
        let (hosts, port) = loading.expand(pattern, span);
        for host in hosts {
            loading.add_host(&host, Some("ungrouped"), span);
            if let Some(port) = port {
                loading.inventory.set_host_var(&host, "ansible_port", i64::from(port).into());
            }
        }
    }
}
