//! "Did you mean": the nearest name.

/// The candidate that differs least from `name`, if it is near enough to be a slip of the hand.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (row, one) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(one != *other);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let is_swap = column > 0 && last == Some(*other) && right[column - 1] == one;
            if is_swap {
                best = best.min(older[column - 1] + 1);
            }
            current.push(best);
        }
        last = Some(one);
        older = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(closest("grops", ["group", "groups", "home"]), Some("groups"));
        assert_eq!(closest("shel", ["shell", "user"]), Some("shell"));
        assert_eq!(closest("nmae", ["name"]), Some("name"));
        assert_eq!(closest("zzz", ["name", "group"]), None);
        assert_eq!(closest("", ["a"]), Some("a"));
    }
}
