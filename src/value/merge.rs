//! Two mappings as one.

use super::{Map, Value};

/// Both mappings, the inner ones too; what `above` says counts more.
pub fn merged(below: &Map, above: &Map) -> Map {
    let mut all = below.clone();
    for (key, value) in above {
        let value = match (below.get(key), value) {
            (Some(Value::Map(below)), Value::Map(above)) => Value::map(merged(below, above)),
            _ => value.clone(),
        };
        all.insert(key.clone(), value);
    }
    all
}
